//! `generationConfig`, written.

use serde_json::{Map, Value, json};
use tollgate_types::{GenerateRequest, Modality, OutputFormat, ReasoningOptions, Result, Sampling};

use super::NAMESPACE;
use crate::dialects::{
    honoured::Honoured,
    merge::{merge, object},
};

/// Writes `generationConfig` for a model.
///
/// # Errors
/// `unsupported` with the field that cannot be honoured.
pub(super) fn encode(
    request: &GenerateRequest,
    model: &str,
    honour: &mut Honoured,
) -> Result<Map<String, Value>> {
    let mut config = sampling(&request.sampling, honour)?;
    let own = request.extras.get(NAMESPACE).and_then(|own| own.get("generationConfig"));
    let own = |key: &str| own.is_some_and(|own| own.get(key).is_some());
    merge(&mut config, &output(request.output.as_ref(), own("responseSchema"), honour)?);
    if !request.modalities.is_empty() {
        let kinds: Vec<&str> = request.modalities.iter().map(|kind| modality(*kind)).collect();
        config.insert("responseModalities".to_owned(), json!(kinds));
    }
    if let Some(options) = &request.reasoning {
        let thinking = thinking(options, model, honour)?;
        if !thinking.is_empty() {
            config.insert("thinkingConfig".to_owned(), Value::Object(thinking));
        }
    }
    Ok(config)
}

fn sampling(sampling: &Sampling, honour: &mut Honoured) -> Result<Map<String, Value>> {
    if sampling.min_p.is_some() {
        honour.cannot("sampling.min_p", "Google does not offer min_p")?;
    }
    let stop = Some(&sampling.stop).filter(|stop| !stop.is_empty());
    Ok(object([
        ("maxOutputTokens", sampling.max_output_tokens.map(Value::from)),
        ("temperature", sampling.temperature.map(Value::from)),
        ("topP", sampling.top_p.map(Value::from)),
        ("topK", sampling.top_k.map(Value::from)),
        ("presencePenalty", sampling.presence_penalty.map(Value::from)),
        ("frequencyPenalty", sampling.frequency_penalty.map(Value::from)),
        ("seed", sampling.seed.map(Value::from)),
        ("stopSequences", stop.map(|stop| json!(stop))),
        ("responseLogprobs", sampling.logprobs.map(|_| Value::Bool(true))),
        ("logprobs", sampling.logprobs.filter(|top| *top > 0).map(Value::from)),
    ]))
}

/// Schemas go out as JSON schema, with references, unless Google's own is known.
fn output(
    output: Option<&OutputFormat>,
    googles: bool,
    honour: &mut Honoured,
) -> Result<Map<String, Value>> {
    let kind = |kind: &str| ("responseMimeType", Some(Value::from(kind)));
    Ok(match output {
        None => Map::new(),
        Some(OutputFormat::Text) => object([kind("text/plain")]),
        Some(OutputFormat::Json) => object([kind("application/json")]),
        Some(OutputFormat::JsonSchema { schema, .. }) => {
            let schema = Some(schema).filter(|schema| !schema.is_null() && !googles);
            object([kind("application/json"), ("responseJsonSchema", schema.cloned())])
        }
        Some(OutputFormat::Grammar { .. }) => {
            honour.cannot("output", "Google does not take a grammar")?;
            Map::new()
        }
    })
}

fn modality(kind: Modality) -> &'static str {
    match kind {
        Modality::Text => "TEXT",
        Modality::Image => "IMAGE",
        Modality::Audio => "AUDIO",
    }
}

/// Models of the second generation take a budget, later ones a level; asking one of them for both
/// is an error (<https://ai.google.dev/gemini-api/docs/thinking>).
fn thinking(
    options: &ReasoningOptions,
    model: &str,
    honour: &mut Honoured,
) -> Result<Map<String, Value>> {
    let mut budget = options.budget_tokens;
    let mut level = None;
    if let (Some(effort), None) = (options.effort.as_deref(), budget) {
        match (takes_budget(model), effort) {
            (true, word) if budget_of(word).is_some() => budget = budget_of(word),
            (false, "minimal" | "low" | "medium" | "high") => {
                level = Some(effort.to_ascii_uppercase());
            }
            _ => {
                let message = format!("{model} has no reasoning effort {effort:?}");
                honour.cannot("reasoning.effort", message)?;
            }
        }
    }
    Ok(object([
        ("includeThoughts", options.include_text.map(Value::Bool)),
        ("thinkingBudget", budget.map(Value::from)),
        ("thinkingLevel", level.map(Value::from)),
    ]))
}

fn takes_budget(model: &str) -> bool {
    ["gemini-2", "gemini-1"].iter().any(|generation| model.contains(generation))
}

/// What Google's OpenAI-compatible endpoint takes the words for
/// (<https://ai.google.dev/gemini-api/docs/openai>).
fn budget_of(effort: &str) -> Option<u32> {
    Some(match effort {
        "none" => 0,
        "minimal" | "low" => 1024,
        "medium" => 8192,
        "high" => 24_576,
        _ => return None,
    })
}
