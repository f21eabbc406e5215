//! `generationConfig`, read.

use serde_json::{Map, Value};
use tollgate_types::{
    Error, GenerateRequest, Modality, OutputFormat, ReasoningOptions, Result, Sampling,
};

use super::{
    names::{object_in, whole},
    schema::to_json_schema,
};
use crate::dialects::fields::{Fields, wrong_type};

/// The most candidates that Google gives (API reference, GenerationConfig, `candidateCount`).
const MAX_CANDIDATES: u32 = 8;

/// Reads `generationConfig` into the request; what has no common meaning stays where it is.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub(super) fn decode(fields: &mut Fields, request: &mut GenerateRequest) -> Result<()> {
    let Some(mut config) = object_in(fields, "generationConfig")? else { return Ok(()) };
    request.choices = candidates(&mut config)?;
    request.sampling = sampling(&mut config)?;
    request.output = output(&mut config)?;
    request.modalities = modalities(&mut config)?;
    request.reasoning = reasoning(&mut config)?;
    let rest = config.rest();
    if !rest.is_empty() {
        fields.put_back("generationConfig", Value::Object(rest));
    }
    Ok(())
}

fn candidates(config: &mut Fields) -> Result<Option<u32>> {
    match whole(config, "candidateCount")? {
        Some(n) if !(1..=MAX_CANDIDATES).contains(&n) => {
            let path = config.path_of("candidateCount");
            let message = format!("{path} must be between 1 and {MAX_CANDIDATES}, not {n}");
            Err(Error::invalid(path, message))
        }
        n => Ok(n),
    }
}

fn sampling(config: &mut Fields) -> Result<Sampling> {
    Ok(Sampling {
        max_output_tokens: whole(config, "maxOutputTokens")?,
        temperature: config.f64("temperature")?,
        top_p: config.f64("topP")?,
        top_k: whole(config, "topK")?,
        min_p: None,
        presence_penalty: config.f64("presencePenalty")?,
        frequency_penalty: config.f64("frequencyPenalty")?,
        seed: config.i64("seed")?,
        stop: texts(config, "stopSequences")?,
        logprobs: logprobs(config)?,
    })
}

fn texts(config: &mut Fields, key: &str) -> Result<Vec<String>> {
    let items = config.list(key)?.unwrap_or_default();
    let text = |(path, item): (String, Value)| match item {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(&path, "a string", &other)),
    };
    items.into_iter().map(text).collect()
}

fn logprobs(config: &mut Fields) -> Result<Option<u8>> {
    let wanted = config.bool("responseLogprobs")?.unwrap_or_default();
    let top = whole(config, "logprobs")?;
    let path = config.path_of("logprobs");
    match (wanted, top) {
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => {
            let message = format!("{path} needs responseLogprobs to be true");
            Err(Error::invalid(path, message))
        }
        (true, top) => match u8::try_from(top.unwrap_or_default()) {
            Ok(top) => Ok(Some(top)),
            Err(_) => Err(Error::invalid(path.clone(), format!("{path} is too large"))),
        },
    }
}

/// The shape of the answer. Google names no schema and always enforces it.
fn output(config: &mut Fields) -> Result<Option<OutputFormat>> {
    let kind = config.string("responseMimeType")?;
    let mut schema = None;
    for key in ["responseJsonSchema", "_responseJsonSchema"] {
        let given = config.object(key)?.map(|given| Value::Object(given.rest()));
        schema = schema.or(given);
    }
    if schema.is_none()
        && let Some(googles) = config.take("responseSchema")
    {
        schema = Some(to_json_schema(&googles));
        // Kept beside what everybody reads, and sent again to Google.
        config.put_back("responseSchema", googles);
    }
    Ok(match (kind.as_deref(), schema) {
        (None, None) => None,
        (Some("text/plain"), None) => Some(OutputFormat::Text),
        (Some("application/json"), None) => Some(OutputFormat::Json),
        (None | Some("application/json"), Some(schema)) => {
            Some(OutputFormat::JsonSchema { name: "response".to_owned(), schema, strict: true })
        }
        (Some(other), schema) => {
            config.put_back("responseMimeType", other.into());
            if let Some(schema) = schema
                && !config.has("responseSchema")
            {
                config.put_back("responseJsonSchema", schema);
            }
            None
        }
    })
}

/// `responseModalities`; a list with a kind nobody knows stays where it is.
fn modalities(config: &mut Fields) -> Result<Vec<Modality>> {
    let Some(list) = config.list("responseModalities")? else { return Ok(Vec::new()) };
    let known = |(_, value): &(String, Value)| {
        Some(match value.as_str()?.to_ascii_uppercase().as_str() {
            "TEXT" => Modality::Text,
            "IMAGE" => Modality::Image,
            "AUDIO" => Modality::Audio,
            _ => return None,
        })
    };
    if let Some(all) = list.iter().map(known).collect() {
        return Ok(all);
    }
    let verbatim = list.into_iter().map(|(_, value)| value).collect();
    config.put_back("responseModalities", Value::Array(verbatim));
    Ok(Vec::new())
}

/// `thinkingConfig`. A budget of -1 leaves the choice to the model, and has no common meaning.
fn reasoning(config: &mut Fields) -> Result<Option<ReasoningOptions>> {
    let Some(mut thinking) = object_in(config, "thinkingConfig")? else { return Ok(None) };
    let include_text = thinking.bool("includeThoughts")?;
    let effort = thinking.string("thinkingLevel")?.map(|level| level.to_ascii_lowercase());
    let dynamic = thinking.take("thinkingBudget");
    let budget_tokens = match dynamic {
        Some(dynamic) if dynamic == -1 => {
            thinking.put_back("thinkingBudget", dynamic);
            None
        }
        Some(budget) => {
            thinking.put_back("thinkingBudget", budget);
            whole(&mut thinking, "thinkingBudget")?
        }
        None => None,
    };
    let rest: Map<String, Value> = thinking.rest();
    if !rest.is_empty() {
        config.put_back("thinkingConfig", Value::Object(rest));
    }
    let options = ReasoningOptions { effort, budget_tokens, include_text };
    Ok((options != ReasoningOptions::default()).then_some(options))
}
