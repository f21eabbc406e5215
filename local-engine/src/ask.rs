//! Checks a request before anything is computed: what a client sends must never reach llama.cpp
//! unchecked, because there a wrong value ends the process instead of the request.

mod offer;
mod sampling;

pub(crate) use offer::{Offer, Reading};

use crate::{Grammars, backend::GrammarSource, grammar, sampler::Choice};
use tollgate_types::{
    Error, ErrorKind, GenerateRequest, Message, Modality, OnUnsupported, OutputFormat, Part, Tool,
    Warning,
};

/// Bytes of a prompt that may be split into tokens, per token that fits: no text is denser.
const BYTES_PER_TOKEN: usize = 16;

/// A request that makes sense.
pub(crate) struct Asked {
    pub(crate) choice: Choice,
    pub(crate) stop: Vec<String>,
    pub(crate) max_output: Option<u32>,
    pub(crate) offer: Offer,
    pub(crate) grammar: Option<GrammarSource>,
    /// The field that is at fault when the grammar cannot be built.
    pub(crate) grammar_param: String,
    pub(crate) warnings: Vec<Warning>,
}

/// What a model offers to its callers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The most tokens of prompt and answer together.
    pub(crate) limit: u32,
    /// Output limit of a request that names none.
    pub(crate) default_output: u32,
    pub(crate) grammars: Grammars,
}

/// Options of other APIs that change no answer: who asks, and where and how it is run and kept.
const WITHOUT_EFFECT: [&str; 8] = [
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
    "stream_options",
    "store",
];

/// Checks a request for a model.
pub(crate) fn check(request: &GenerateRequest, terms: Terms) -> Result<Asked, Error> {
    let mut cannot = Cannot { how: request.on_unsupported, warnings: Vec::new() };
    check_tools(&request.tools)?;
    check_size(request, terms.limit as usize)?;
    check_messages(&request.messages, &mut cannot)?;
    check_extent(request, &mut cannot)?;
    let choice = sampling::choice(&request.sampling)?;
    let offer = Offer::of(request, &mut cannot)?;
    let (grammar, grammar_param) = held_to(request, &offer, terms.grammars, &mut cannot)?;
    Ok(Asked {
        choice,
        stop: sampling::stop(&request.sampling)?,
        max_output: sampling::max_output(&request.sampling)?,
        offer,
        grammar,
        grammar_param,
        warnings: cannot.warnings,
    })
}

/// Deals with what this engine cannot do, as the request says.
pub(crate) struct Cannot {
    how: OnUnsupported,
    warnings: Vec<Warning>,
}

impl Cannot {
    pub(crate) fn honour(&mut self, param: impl Into<String>, what: &str) -> Result<(), Error> {
        let param = Some(param.into());
        if self.how == OnUnsupported::Fail {
            return Err(Error::unsupported(what).with(|body| body.param = param));
        }
        self.warn(param, format!("the local engine does not offer {what}; it was left out"));
        Ok(())
    }

    fn warn(&mut self, param: Option<String>, message: String) {
        self.warnings.push(Warning { code: "unsupported_option".into(), message, param });
    }
}

/// First of all, because everything else walks through these values by recursion.
fn check_tools(tools: &[Tool]) -> Result<(), Error> {
    for (at, tool) in tools.iter().enumerate() {
        if let Tool::Function(tool) = tool {
            grammar::check_depth(&tool.parameters, &format!("tools[{at}].parameters"))?;
        }
    }
    Ok(())
}

/// Refuses early what cannot fit, because splitting megabytes into tokens takes seconds.
fn check_size(request: &GenerateRequest, limit: usize) -> Result<(), Error> {
    let turns = request
        .messages
        .iter()
        .map(|message| BYTES_PER_TOKEN + message.content.iter().map(part_bytes).sum::<usize>());
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Function(tool) => tool.description.len() + tool.parameters.to_string().len(),
        Tool::Hosted(_) => 0,
    });
    let bytes: usize = turns.chain(tools).sum();
    let most = limit.saturating_mul(BYTES_PER_TOKEN);
    if bytes <= most {
        return Ok(());
    }
    let message = format!(
        "the prompt has {bytes} bytes, far more than fit into the model's {limit} tokens \
         (at most {most} bytes)"
    );
    Err(Error::new(ErrorKind::ContextLength, message)
        .with(|body| body.param = Some("messages".into())))
}

fn part_bytes(part: &Part) -> usize {
    match part {
        Part::Text(text) => text.text.len(),
        Part::Reasoning(thought) => thought.text.len(),
        Part::Refusal(refusal) => refusal.text.len(),
        Part::ToolCall(call) => call.name.len() + call.arguments.len(),
        Part::ToolResult(result) => result.content.iter().map(part_bytes).sum(),
        Part::Media(_) | Part::Native(_) => 0,
    }
}

fn check_messages(messages: &[Message], cannot: &mut Cannot) -> Result<(), Error> {
    if messages.is_empty() {
        return Err(Error::invalid("messages", "a request needs at least one message"));
    }
    for (i, message) in messages.iter().enumerate() {
        for (j, part) in message.content.iter().enumerate() {
            let nested: &[Part] = match part {
                Part::ToolResult(result) => &result.content,
                _ => &[],
            };
            for part in std::iter::once(part).chain(nested) {
                let what = match part {
                    Part::Media(_) => "images, audio or files",
                    Part::Native(_) => "items of another provider's API",
                    _ => continue,
                };
                cannot.honour(format!("messages[{i}].content[{j}]"), what)?;
            }
        }
    }
    Ok(())
}

/// Everything that a provider may offer around a conversation and this one does not.
fn check_extent(request: &GenerateRequest, cannot: &mut Cannot) -> Result<(), Error> {
    let thinks = request.reasoning.as_ref().is_some_and(|reasoning| {
        reasoning.effort.as_deref().is_some_and(|effort| effort != "none")
            || reasoning.budget_tokens.is_some_and(|budget| budget > 0)
    });
    if thinks {
        cannot.honour("reasoning", "reasoning options")?;
    }
    if request.modalities.iter().any(|kind| *kind != Modality::Text) {
        cannot.honour("modalities", "output other than text")?;
    }
    if request.continues.is_some() {
        cannot.honour("continues", "stored conversations")?;
    }
    if request.store == Some(true) {
        cannot.honour("store", "stored answers")?;
    }
    for (api, options) in &request.extras {
        for name in options.keys().filter(|name| !WITHOUT_EFFECT.contains(&name.as_str())) {
            cannot.honour(format!("extras.{api}.{name}"), "options of another API")?;
        }
    }
    Ok(())
}

/// The grammar that the answer is held to, and the field that asked for it.
fn held_to(
    request: &GenerateRequest,
    offer: &Offer,
    grammars: Grammars,
    cannot: &mut Cannot,
) -> Result<(Option<GrammarSource>, String), Error> {
    let forced = offer.forced_schema(cannot)?;
    let shaped = request.output.as_ref().filter(|output| **output != OutputFormat::Text);
    if let (Some(_), true) = (shaped, offer.reading != Reading::Text) {
        cannot.honour("output", "a shape of the answer together with tools")?;
    }
    match (forced, shaped) {
        (Some(schema), _) => Ok((Some(GrammarSource::Schema(schema)), "tools".into())),
        (None, Some(output)) if offer.reading == Reading::Text => {
            grammar::of_output(output, grammars, cannot)
        }
        _ => Ok((None, String::new())),
    }
}
