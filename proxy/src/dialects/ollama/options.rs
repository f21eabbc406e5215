//! `options`, `format`, `think` and log-probabilities: how a model answers.

use serde_json::{Map, Value};
use tollgate_types::{Error, GenerateRequest, OutputFormat, ReasoningOptions, Result, Sampling};

use crate::dialects::{
    fields::{Fields, wrong_type},
    honoured::Honoured,
    merge::object,
};

/// The name of a schema, which Ollama does not give and others want.
const SCHEMA_NAME: &str = "response";

/// The effort that means no thinking at all.
const NO_EFFORT: &str = "none";

/// Reads everything that says how to answer. Options without common meaning stay where they are.
pub(super) fn decode(fields: &mut Fields, request: &mut GenerateRequest) -> Result<()> {
    request.sampling = sampling(fields)?;
    request.output = format(fields)?;
    request.reasoning = think(fields)?;
    Ok(())
}

fn sampling(fields: &mut Fields) -> Result<Sampling> {
    let logprobs = logprobs(fields)?;
    let Some(mut options) = fields.object("options")? else {
        return Ok(Sampling { logprobs, ..Sampling::default() });
    };
    let sampling = Sampling {
        max_output_tokens: count(&mut options, "num_predict")?,
        temperature: options.f64("temperature")?,
        top_p: options.f64("top_p")?,
        top_k: count(&mut options, "top_k")?,
        min_p: options.f64("min_p")?,
        presence_penalty: options.f64("presence_penalty")?,
        frequency_penalty: options.f64("frequency_penalty")?,
        seed: seed(&mut options)?,
        stop: stop(&mut options)?,
        logprobs,
    };
    let rest = options.rest();
    if !rest.is_empty() {
        fields.put_back("options", Value::Object(rest));
    }
    Ok(sampling)
}

/// A count; a negative one means no limit and stays where it is.
fn count(options: &mut Fields, key: &str) -> Result<Option<u32>> {
    let Some(value) = options.take(key).map(whole) else { return Ok(None) };
    let unlimited = value.as_i64().is_some_and(|number| number < 0);
    options.put_back(key, value);
    if unlimited { Ok(None) } else { options.u32(key) }
}

fn seed(options: &mut Fields) -> Result<Option<i64>> {
    if let Some(value) = options.take("seed") {
        options.put_back("seed", whole(value));
    }
    options.i64("seed")
}

/// Ollama reads `5.0` as five.
fn whole(value: Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 => {
            format!("{number:.0}").parse::<i64>().map_or(value, Value::from)
        }
        _ => value,
    }
}

fn stop(options: &mut Fields) -> Result<Vec<String>> {
    let path = options.path_of("stop");
    let wrong = |other: &Value| wrong_type(&path, "a list of strings", other);
    match options.take("stop") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(texts)) => texts
            .into_iter()
            .map(|text| match text {
                Value::String(text) => Ok(text),
                other => Err(wrong(&other)),
            })
            .collect(),
        Some(other) => Err(wrong(&other)),
    }
}

fn logprobs(fields: &mut Fields) -> Result<Option<u8>> {
    let wanted = fields.bool("logprobs")?.unwrap_or_default();
    let top = fields.u32("top_logprobs")?.unwrap_or_default();
    let invalid = || Error::invalid("top_logprobs", "top_logprobs is too large");
    let top = u8::try_from(top).map_err(|_| invalid())?;
    Ok(wanted.then_some(top))
}

/// `"json"`, or a schema.
fn format(fields: &mut Fields) -> Result<Option<OutputFormat>> {
    match fields.take("format") {
        None => Ok(None),
        Some(Value::String(word)) => match word.as_str() {
            "" => Ok(None),
            "json" => Ok(Some(OutputFormat::Json)),
            _ => {
                let message = format!("format must be \"json\" or a JSON schema, not {word:?}");
                Err(Error::invalid(fields.path_of("format"), message))
            }
        },
        Some(schema @ Value::Object(_)) => {
            // Ollama takes every schema; what others call strict takes only some.
            Ok(Some(OutputFormat::JsonSchema {
                name: SCHEMA_NAME.to_owned(),
                schema,
                strict: false,
            }))
        }
        Some(other) => Err(wrong_type("format", "\"json\" or a JSON schema", &other)),
    }
}

fn think(fields: &mut Fields) -> Result<Option<ReasoningOptions>> {
    let effort = |effort: &str| ReasoningOptions {
        effort: Some(effort.to_owned()),
        ..ReasoningOptions::default()
    };
    match fields.take("think") {
        None => Ok(None),
        Some(Value::Bool(true)) => {
            Ok(Some(ReasoningOptions { include_text: Some(true), ..ReasoningOptions::default() }))
        }
        Some(Value::Bool(false)) => Ok(Some(effort(NO_EFFORT))),
        Some(Value::String(level)) => Ok(Some(effort(&level))),
        Some(other) => Err(wrong_type("think", "true, false or a level", &other)),
    }
}

/// Writes everything that says how to answer, but what extras add.
pub(super) fn encode(
    request: &GenerateRequest,
    honour: &mut Honoured,
) -> Result<Map<String, Value>> {
    let sampling = &request.sampling;
    let stop = Some(&sampling.stop).filter(|stop| !stop.is_empty());
    let options = object([
        ("num_predict", sampling.max_output_tokens.map(Value::from)),
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("top_k", sampling.top_k.map(Value::from)),
        ("min_p", sampling.min_p.map(Value::from)),
        ("presence_penalty", sampling.presence_penalty.map(Value::from)),
        ("frequency_penalty", sampling.frequency_penalty.map(Value::from)),
        ("seed", sampling.seed.map(Value::from)),
        ("stop", stop.map(|stop| stop.as_slice().into())),
    ]);
    Ok(object([
        ("format", encode_format(request.output.as_ref(), honour)?),
        ("think", encode_think(request.reasoning.as_ref(), honour)?),
        ("logprobs", sampling.logprobs.map(|_| Value::Bool(true))),
        ("top_logprobs", sampling.logprobs.filter(|top| *top > 0).map(Value::from)),
        ("options", Some(options).filter(|options| !options.is_empty()).map(Value::Object)),
    ]))
}

fn encode_format(output: Option<&OutputFormat>, honour: &mut Honoured) -> Result<Option<Value>> {
    Ok(match output {
        None | Some(OutputFormat::Text) => None,
        Some(OutputFormat::Json) => Some("json".into()),
        Some(OutputFormat::JsonSchema { schema, .. }) => Some(schema.clone()),
        Some(OutputFormat::Grammar { .. }) => {
            honour.cannot("output", "Ollama does not take a grammar")?;
            None
        }
    })
}

/// A level is Ollama's to judge: which ones a model knows depends on the model.
fn encode_think(
    reasoning: Option<&ReasoningOptions>,
    honour: &mut Honoured,
) -> Result<Option<Value>> {
    let Some(reasoning) = reasoning else { return Ok(None) };
    if reasoning.budget_tokens.is_some() {
        let message = "Ollama takes a level of thinking, not a budget of tokens";
        honour.cannot("reasoning.budget_tokens", message)?;
    }
    Ok(match reasoning.effort.as_deref() {
        Some(NO_EFFORT) => Some(Value::Bool(false)),
        Some(level) => Some(level.into()),
        None if reasoning.include_text == Some(false) => None,
        None => Some(Value::Bool(true)),
    })
}
