//! A request of adk's as one of Tollgate's. What has no place in it is refused by name.

use crate::{media, turn};
use adk_core::{Content, FunctionResponseData, GenerateContentConfig, LlmRequest, Part as Shown};
use serde_json::{Map, Value};
use std::fmt;
use tollgate_types::{
    Error, ErrorKind, Extras, FunctionTool, GenerateRequest, Message, OutputFormat, Part, Role,
    Sampling, Tool, ToolResult,
};

/// A field that cannot be honoured, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    field: String,
    reason: String,
}

impl Refusal {
    pub(crate) fn of(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }

    pub(crate) fn within(self, place: &str) -> Self {
        Self { field: format!("{place}.{}", self.field), ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(ErrorKind::Unsupported, refusal.to_string())
            .with(|body| body.param = Some(refusal.field))
    }
}

/// The request for this model, unless the request names another.
pub(crate) fn encode(request: LlmRequest, model: &str) -> Result<GenerateRequest, Refusal> {
    let model = if request.model.is_empty() { model } else { &request.model };
    let mut asked = GenerateRequest::new(model, messages(&request.contents)?);
    // A table has no order of its own, and a prompt that changes is not found in a cache.
    let mut tools: Vec<_> = request.tools.into_iter().collect();
    tools.sort_by(|(one, _), (other, _)| one.cmp(other));
    let tools = tools.into_iter().map(|(name, said)| tool(name, said));
    asked.tools = tools.collect::<Result<_, _>>()?;
    asked.continues = request.previous_response_id;
    if let Some(config) = request.config {
        configure(&mut asked, config).map_err(|refusal| refusal.within("config"))?;
    }
    Ok(asked)
}

fn configure(asked: &mut GenerateRequest, config: GenerateContentConfig) -> Result<(), Refusal> {
    if config.cached_content.is_some() {
        return Err(Refusal::of("cached_content", "caches are the provider's own"));
    }
    asked.sampling = Sampling {
        max_output_tokens: config
            .max_output_tokens
            .map(|n| count("max_output_tokens", n))
            .transpose()?,
        temperature: config.temperature.map(decimal),
        top_p: config.top_p.map(decimal),
        top_k: config.top_k.map(|n| count("top_k", n)).transpose()?,
        min_p: None,
        presence_penalty: config.presence_penalty.map(decimal),
        frequency_penalty: config.frequency_penalty.map(decimal),
        seed: config.seed,
        stop: config.stop_sequences,
        logprobs: config.top_logprobs,
    };
    asked.output = config.response_schema.map(OutputFormat::of_schema);
    asked.extras = extras(config.extensions)?;
    Ok(())
}

fn count(field: &str, number: i32) -> Result<u32, Refusal> {
    u32::try_from(number).map_err(|_| Refusal::of(field, "must not be negative"))
}

/// The number that was written: 0.1 as a short float is not 0.1 as a long one.
fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

fn extras(extensions: Map<String, Value>) -> Result<Extras, Refusal> {
    let own = |(provider, value)| match value {
        Value::Object(own) => Ok((provider, own)),
        _ => Err(Refusal::of(format!("extensions.{provider}"), "must be an object")),
    };
    extensions.into_iter().map(own).collect()
}

fn tool(name: String, said: Value) -> Result<Tool, Refusal> {
    let place = format!("tools.{name}");
    let Value::Object(mut said) = said else {
        return Err(Refusal::of(place, "must be an object"));
    };
    if let Some(hosted) = said.keys().find(|key| key.starts_with("x-adk")) {
        return Err(Refusal::of(format!("{place}.{hosted}"), "tools of one vendor have no place"));
    }
    let name = match said.remove("name") {
        Some(Value::String(named)) => named,
        _ => name,
    };
    let description = match said.remove("description") {
        Some(Value::String(description)) => description,
        _ => String::new(),
    };
    let parameters = said.remove("parameters").unwrap_or_default();
    let extras = match said.is_empty() {
        true => Extras::new(),
        false => Extras::from([("adk".to_owned(), said)]),
    };
    Ok(Tool::Function(FunctionTool { name, description, parameters, strict: None, extras }))
}

fn messages(contents: &[Content]) -> Result<Vec<Message>, Refusal> {
    let mut messages = Vec::with_capacity(contents.len());
    for (at, content) in contents.iter().enumerate() {
        let read = match content.role.as_str() {
            "model" | "assistant" => turn::message(content).map(|turn| messages.push(turn)),
            "system" => others(Role::System, content, &mut messages),
            "user" | "function" | "tool" => others(Role::User, content, &mut messages),
            _ => Err(Refusal::of("role", "must be user, model, function, tool or system")),
        };
        read.map_err(|refusal| refusal.within(&format!("contents[{at}]")))?;
    }
    Ok(messages)
}

/// Results of tools are turns of their own.
fn others(role: Role, content: &Content, messages: &mut Vec<Message>) -> Result<(), Refusal> {
    let mut parts = Vec::new();
    for (at, part) in content.parts.iter().enumerate() {
        let place = |refusal: Refusal| refusal.within(&format!("parts[{at}]"));
        if let Shown::FunctionResponse { function_response, id, .. } = part {
            if !parts.is_empty() {
                messages.push(Message::new(role, std::mem::take(&mut parts)));
            }
            let result = told(function_response, id.as_deref(), messages).map_err(place)?;
            messages.push(Message::new(Role::Tool, vec![Part::ToolResult(result)]));
        } else {
            parts.push(said(part).map_err(place)?);
        }
    }
    if !parts.is_empty() {
        messages.push(Message::new(role, parts));
    }
    Ok(())
}

/// A part that is neither a call nor a result.
pub(crate) fn said(part: &Shown) -> Result<Part, Refusal> {
    match part {
        Shown::Text { text } => Ok(Part::text(text)),
        Shown::InlineData { mime_type, data, uri, annotations } => {
            let uri = uri.clone().map(Value::from);
            Ok(media::inline(
                mime_type,
                data,
                &[("uri", uri), ("annotations", annotations.clone())],
            ))
        }
        Shown::FileData { mime_type, file_uri, annotations } => {
            Ok(media::file(mime_type, file_uri, &[("annotations", annotations.clone())]))
        }
        Shown::EmbeddedResource { resource } => media::resource(resource),
        Shown::Thinking { .. } => Err(Refusal::of("thinking", "only a model thinks")),
        Shown::FunctionCall { .. } => Err(Refusal::of("name", "only a model calls tools")),
        Shown::FunctionResponse { .. } => {
            Err(Refusal::of("functionResponse", "a model does not answer tools"))
        }
        Shown::ServerToolCall { .. } | Shown::ServerToolResponse { .. } => {
            Err(Refusal::of("server_tool_call", "was not made by this adapter"))
        }
    }
}

fn told(
    said: &FunctionResponseData,
    id: Option<&str>,
    before: &[Message],
) -> Result<ToolResult, Refusal> {
    let call_id = match id {
        Some(id) => id.to_owned(),
        None => unanswered(&said.name, before)
            .ok_or_else(|| Refusal::of("id", "is missing, and no call of that name waits"))?,
    };
    let text = match &said.response {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut content = vec![Part::text(text)];
    content.extend(said.inline_data.iter().map(media::inline_of));
    content.extend(said.file_data.iter().map(media::file_of));
    // Adk has no flag for failures: its agents say {"error": "..."}.
    let fields = said.response.as_object();
    let is_error = fields.is_some_and(|fields| fields.len() == 1 && fields.contains_key("error"));
    let name = Some(said.name.clone());
    Ok(ToolResult { call_id, name, content, is_error, ..ToolResult::default() })
}

/// The first call of that name in the last turn of the model that has no result yet.
fn unanswered(name: &str, before: &[Message]) -> Option<String> {
    let last = before.iter().rposition(|message| message.role == Role::Assistant)?;
    let (turn, after) = before.get(last..)?.split_first()?;
    let has_result = |id: &str| {
        after
            .iter()
            .flat_map(|message| &message.content)
            .any(|part| matches!(part, Part::ToolResult(result) if result.call_id == id))
    };
    turn.content.iter().find_map(|part| match part {
        Part::ToolCall(call) if call.name == name && !has_result(&call.id) => Some(call.id.clone()),
        _ => None,
    })
}
