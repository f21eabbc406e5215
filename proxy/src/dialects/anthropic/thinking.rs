//! How much the model thinks first: a budget of tokens at Anthropic's older models, an effort at its
//! newer ones.
//!
//! What a client of this dialect said in a way that the common words cannot hold stays in its own
//! words (extras), which win.

use serde_json::{Map, Value, json};
use tollgate_types::{ReasoningOptions, Result};

use crate::dialects::{fields::Fields, honoured::Honoured, merge::object};

/// The least that a model can be told to think (API reference, `thinking.budget_tokens`).
const LEAST_BUDGET: u32 = 1024;

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It cannot think: Claude 3.5 and before.
    Never,
    /// By a budget: Claude 3.7 to 4.5.
    Budget,
    /// By an effort, and by a budget besides: Claude Opus 4.5.
    EffortWithBudget,
    /// By an effort, adaptively: Claude 4.6 and every newer model.
    Effort,
}

impl Way {
    /// The way of a model, by its id (<https://platform.claude.com/docs/en/build-with-claude/effort>
    /// and "Adaptive thinking" list the models).
    fn of(model: &str) -> Self {
        let has = |names: &[&str]| names.iter().any(|name| model.contains(name));
        if has(&["claude-2", "claude-instant", "claude-3-5", "claude-3-opus"])
            || has(&["claude-3-sonnet", "claude-3-haiku"])
        {
            return Self::Never;
        }
        if has(&["opus-4-5"]) {
            return Self::EffortWithBudget;
        }
        let older = ["claude-3-7", "sonnet-4-0", "opus-4-0", "opus-4-1", "sonnet-4-5", "haiku-4-5"];
        // Without a minor version: claude-sonnet-4, or with its date.
        let first = ["sonnet-4", "opus-4"];
        let unversioned = first.iter().any(|name| {
            let after = model.split_once(name).map(|(_, after)| after);
            after.is_some_and(|after| {
                after.is_empty() || after.starts_with(['@', ':']) || dated(after)
            })
        });
        if has(&older) || unversioned { Self::Budget } else { Self::Effort }
    }
}

/// Whether a name goes on with a date: `-20250514`.
fn dated(after: &str) -> bool {
    after.strip_prefix(['-', '@']).is_some_and(|date| {
        date.get(..8).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Reads `thinking` and `output_config.effort`.
pub(super) fn decode(fields: &mut Fields) -> Result<Option<ReasoningOptions>> {
    let mut config = fields.object("output_config")?;
    let effort = config.as_mut().map_or(Ok(None), |config| config.string("effort"))?;
    if let Some(config) = config {
        fields.put_back("output_config", Value::Object(config.rest()));
    }
    let Some(mut thinking) = fields.object("thinking")? else {
        // Without thinking, an effort still shortens or lengthens the answer.
        if let Some(effort) = &effort {
            keep_effort(fields, effort)?;
        }
        return Ok(
            effort.map(|effort| ReasoningOptions { effort: Some(effort), ..Default::default() })
        );
    };
    let kind = thinking.required_string("type")?;
    let budget_tokens = thinking.u32("budget_tokens")?;
    let display = thinking.string("display")?;
    let include_text = match display.as_deref() {
        Some("summarized") => Some(true),
        Some("omitted") => Some(false),
        _ => None,
    };
    let rest = thinking.rest();
    let plain = rest.is_empty() && display.is_some() == include_text.is_some();
    let options = |effort: Option<&str>| ReasoningOptions {
        effort: effort.map(str::to_owned),
        budget_tokens,
        include_text,
    };
    let (read, whole) = match (kind.as_str(), effort.as_deref(), budget_tokens) {
        ("enabled", None, Some(_)) => (options(None), plain),
        ("adaptive", Some(effort), None) => (options(Some(effort)), plain),
        ("disabled", None, None) => (options(Some("none")), plain && include_text.is_none()),
        ("disabled", _, _) => (options(Some("none")), false),
        (_, effort, _) => (options(effort), false),
    };
    if !whole {
        let mut own = object([
            ("type", Some(kind.into())),
            ("budget_tokens", budget_tokens.map(Value::from)),
            ("display", display.map(Value::from)),
        ]);
        own.extend(rest);
        fields.put_back("thinking", Value::Object(own));
        if let Some(effort) = effort {
            keep_effort(fields, &effort)?;
        }
    }
    Ok(Some(read))
}

fn keep_effort(fields: &mut Fields, effort: &str) -> Result<()> {
    let mut config = fields.object("output_config")?.map(Fields::rest).unwrap_or_default();
    config.insert("effort".to_owned(), effort.into());
    fields.put_back("output_config", Value::Object(config));
    Ok(())
}

/// Where thinking is asked of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room<'a> {
    /// The model's bare id.
    pub(super) model: &'a str,
    /// The most tokens it may produce, where the caller says.
    pub(super) stated: Option<u32>,
}

/// What is asked for, and the output limit that it needs.
#[derive(Debug, Default)]
pub(super) struct Thinking {
    /// `thinking` and `output_config`.
    pub(super) fields: Map<String, Value>,
    /// Tokens to think, on top of the usual limit.
    pub(super) budget: Option<u32>,
}

/// Writes `thinking` and `output_config.effort`; nothing where the caller's own words say it.
pub(super) fn encode(
    options: Option<&ReasoningOptions>,
    own: Option<&Map<String, Value>>,
    room: Room<'_>,
    honour: &mut Honoured,
) -> Result<Thinking> {
    let said = own.is_some_and(|own| {
        let effort = own.get("output_config").and_then(|config| config.get("effort"));
        own.contains_key("thinking") || effort.is_some()
    });
    let Some(options) = options.filter(|_| !said) else { return Ok(Thinking::default()) };
    let display = options.include_text.map(|text| if text { "summarized" } else { "omitted" });
    match (options.effort.as_deref(), options.budget_tokens) {
        (Some("none"), None | Some(0)) | (None, Some(0)) => Ok(switched_off(room)),
        (Some(effort), None) => by_effort(effort, display, room, honour),
        (None, Some(budget)) => by_budget(budget, display, room, honour),
        (Some(_), Some(_)) => {
            let message = "thinking is limited either by an effort or by a budget, not by both";
            honour.cannot("reasoning.effort", message)?;
            by_budget(options.budget_tokens.unwrap_or_default(), display, room, honour)
        }
        (None, None) if display.is_none() => Ok(Thinking::default()),
        (None, None) if Way::of(room.model) == Way::Effort => {
            Ok(Thinking { fields: thinking("adaptive", None, display), budget: None })
        }
        (None, None) => {
            let message = "this model shows its thinking only with an effort or a budget";
            honour.cannot("reasoning.include_text", message)?;
            Ok(Thinking::default())
        }
    }
}

fn switched_off(room: Room<'_>) -> Thinking {
    let fields = match Way::of(room.model) {
        Way::Never => Map::new(),
        _ => thinking("disabled", None, None),
    };
    Thinking { fields, budget: None }
}

fn by_effort(
    effort: &str,
    display: Option<&str>,
    room: Room<'_>,
    honour: &mut Honoured,
) -> Result<Thinking> {
    let way = Way::of(room.model);
    if way == Way::Never {
        honour.cannot("reasoning.effort", "this model does not think")?;
        return Ok(Thinking::default());
    }
    let known = ["low", "medium", "high", "xhigh", "max"].contains(&effort);
    if way == Way::Effort && known {
        let mut fields = thinking("adaptive", None, display);
        fields.insert("output_config".to_owned(), json!({"effort": effort}));
        return Ok(Thinking { fields, budget: None });
    }
    let budget = match effort {
        "minimal" => LEAST_BUDGET,
        "low" => 2048,
        "medium" => 8192,
        "high" => 16_384,
        "xhigh" | "max" => 24_576,
        _ => 0,
    };
    if budget == 0 || way == Way::Effort {
        let message =
            format!("Anthropic has no effort {effort:?}, use low, medium, high, xhigh or max");
        honour.cannot("reasoning.effort", message)?;
        return Ok(Thinking::default());
    }
    // An effort is no promise of an amount: it leaves a quarter of a small limit for the answer.
    let fitting = room.stated.map_or(budget, |limit| budget.min(limit / 4 * 3));
    if fitting < LEAST_BUDGET {
        let message = format!(
            "an output limit this small leaves no room to think, {LEAST_BUDGET} tokens is the least"
        );
        honour.cannot("reasoning.effort", message)?;
        return Ok(Thinking::default());
    }
    let mut by_budget = by_budget(fitting, display, room, honour)?;
    if way == Way::EffortWithBudget && ["low", "medium", "high"].contains(&effort) {
        by_budget.fields.insert("output_config".to_owned(), json!({"effort": effort}));
    }
    Ok(by_budget)
}

fn by_budget(
    budget: u32,
    display: Option<&str>,
    room: Room<'_>,
    honour: &mut Honoured,
) -> Result<Thinking> {
    let refused = if Way::of(room.model) == Way::Never {
        Some("this model does not think".to_owned())
    } else if budget < LEAST_BUDGET {
        Some(format!("Anthropic's models think {LEAST_BUDGET} tokens or more"))
    } else if room.stated.is_some_and(|limit| limit <= budget) {
        Some("the budget to think must be smaller than the output limit".to_owned())
    } else {
        None
    };
    if let Some(message) = refused {
        honour.cannot("reasoning.budget_tokens", message)?;
        return Ok(Thinking::default());
    }
    Ok(Thinking { fields: thinking("enabled", Some(budget), display), budget: Some(budget) })
}

fn thinking(kind: &str, budget: Option<u32>, display: Option<&str>) -> Map<String, Value> {
    let thinking = object([
        ("type", Some(kind.into())),
        ("budget_tokens", budget.map(Value::from)),
        ("display", display.map(Value::from)),
    ]);
    object([("thinking", Some(Value::Object(thinking)))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_to_think_in_their_own_way() {
        let cases = [
            ("claude-3-5-sonnet-20241022", Way::Never),
            ("claude-3-haiku-20240307", Way::Never),
            ("claude-3-7-sonnet-20250219", Way::Budget),
            ("claude-sonnet-4-20250514", Way::Budget),
            ("claude-sonnet-4@20250514", Way::Budget),
            ("claude-opus-4-1-20250805", Way::Budget),
            ("claude-haiku-4-5", Way::Budget),
            ("claude-opus-4-5-20251101", Way::EffortWithBudget),
            ("claude-opus-4-6", Way::Effort),
            ("claude-sonnet-4-6", Way::Effort),
            ("claude-opus-5", Way::Effort),
            ("brand-new", Way::Effort),
        ];
        for (model, way) in cases {
            assert_eq!(Way::of(model), way, "{model}");
        }
    }
}
