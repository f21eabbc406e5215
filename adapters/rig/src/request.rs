//! A request of rig's as one of Tollgate's. What has no place in it is refused by name.

use crate::{item::Item, media, options};
use rig_core::{
    completion::{CompletionRequest, OnUnsupported as Policy, ToolDefinition},
    error::EncodeError,
    message::{
        AssistantContent, AssistantMessage, Message as Turn, ToolChoice as Choice,
        ToolResult as Told, ToolResultContent, UserContent,
    },
};
use serde_json::Value;
use std::fmt;
use tollgate_types::{
    Extras, GenerateRequest, Message, OnUnsupported, OutputFormat, Part, Reasoning, Role, Sampling,
    Tool, ToolCall, ToolChoice, ToolResult,
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

    fn within(self, place: String) -> Self {
        Self { field: format!("{place}.{}", self.field), ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for EncodeError {
    fn from(refusal: Refusal) -> Self {
        Self::request(refusal)
    }
}

/// The request for this model, unless the request names another.
pub(crate) fn encode(request: CompletionRequest, model: &str) -> Result<GenerateRequest, Refusal> {
    let model = request.model.as_deref().filter(|named| !named.is_empty()).unwrap_or(model);
    let messages = messages(&request.chat_history)?;
    let tools = request.tools.iter().map(tool).collect();
    let mut asked = GenerateRequest::new(model, messages).tools(tools);
    let max_output_tokens = request.max_tokens.map(u32::try_from).transpose();
    asked.sampling = Sampling {
        max_output_tokens: max_output_tokens
            .map_err(|_| Refusal::of("max_tokens", "is too large"))?,
        temperature: request.temperature,
        ..Sampling::default()
    };
    options::apply(&mut asked, &request.options)?;
    asked.tool_choice = request.tool_choice.map(choice);
    asked.extras = extras(request.additional_params)?;
    asked.output = request.output_schema.map(|schema| OutputFormat::of_schema(schema.to_value()));
    asked.on_unsupported = match request.options.unsupported_policy() {
        Policy::Error => OnUnsupported::Fail,
        Policy::Ignore => OnUnsupported::Warn,
        _ => OnUnsupported::Fail,
    };
    Ok(asked)
}

fn tool(tool: &ToolDefinition) -> Tool {
    Tool::function(tool.name.as_str(), &tool.description, tool.parameters.clone())
}

fn choice(choice: Choice) -> ToolChoice {
    match choice {
        Choice::Auto => ToolChoice::Auto,
        Choice::None => ToolChoice::None,
        Choice::Required => ToolChoice::Required,
        Choice::Specific { function_names } => {
            let mut names: Vec<String> = function_names.into_iter().map(String::from).collect();
            match names.pop() {
                Some(only) if names.is_empty() => ToolChoice::Tool(only),
                last => {
                    names.extend(last);
                    ToolChoice::Subset { names, required: true }
                }
            }
        }
    }
}

fn extras(params: Option<Value>) -> Result<Extras, Refusal> {
    let refusal = || {
        let reason = "must be an object of objects, by provider: {\"openai\": {...}}";
        Refusal::of("additional_params", reason)
    };
    match params {
        None | Some(Value::Null) => Ok(Extras::new()),
        Some(Value::Object(providers)) => providers
            .into_iter()
            .map(|(provider, own)| match own {
                Value::Object(own) => Ok((provider, own)),
                _ => Err(refusal()),
            })
            .collect(),
        Some(_) => Err(refusal()),
    }
}

fn messages(history: &[Turn]) -> Result<Vec<Message>, Refusal> {
    let mut messages = Vec::with_capacity(history.len());
    for (at, turn) in history.iter().enumerate() {
        let place = |refusal: Refusal| refusal.within(format!("chat_history[{at}]"));
        match turn {
            Turn::System { content } => messages.push(Message::system(content)),
            Turn::User { content } => user(content, &mut messages).map_err(place)?,
            Turn::Assistant(turn) => messages.push(assistant(turn).map_err(place)?),
        }
    }
    Ok(messages)
}

/// Rig's user turns hold results of tools too; here these are turns of their own.
fn user(content: &[UserContent], messages: &mut Vec<Message>) -> Result<(), Refusal> {
    let mut said = Vec::new();
    for (at, part) in content.iter().enumerate() {
        let place = |refusal: Refusal| refusal.within(format!("content[{at}]"));
        let part = match part {
            UserContent::ToolResult(result) => {
                if !said.is_empty() {
                    messages.push(Message::new(Role::User, std::mem::take(&mut said)));
                }
                let result = Part::ToolResult(told(result).map_err(place)?);
                messages.push(Message::new(Role::Tool, vec![result]));
                continue;
            }
            UserContent::Text(text) => Ok(Part::text(&text.text)),
            UserContent::Image(image) => media::image(image),
            UserContent::Audio(audio) => media::audio(audio),
            UserContent::Video(video) => media::video(video),
            UserContent::Document(document) => media::document(document),
        };
        said.push(part.map_err(place)?);
    }
    if !said.is_empty() {
        messages.push(Message::new(Role::User, said));
    }
    Ok(())
}

fn told(result: &Told) -> Result<ToolResult, Refusal> {
    let content = result.content.iter().map(|part| match part {
        ToolResultContent::Text(text) => Ok(Part::text(&text.text)),
        ToolResultContent::Json { value } => Ok(Part::text(value.to_string())),
        ToolResultContent::Image(image) => media::image(image),
    });
    Ok(ToolResult {
        call_id: result.call.wire().into_owned(),
        name: Some(result.name.as_str().to_owned()),
        content: content.collect::<Result<_, _>>()?,
        is_error: result.is_error,
        ..ToolResult::default()
    })
}

fn assistant(turn: &AssistantMessage) -> Result<Message, Refusal> {
    let mut message = Message::new(Role::Assistant, Vec::with_capacity(turn.content.len()));
    for (at, block) in turn.content.iter().enumerate() {
        let item = match kept(block) {
            Some(item) => Some(Item::read(item).map_err(|error| {
                Refusal::of(format!("content[{at}].native"), format!("is no part: {error}"))
            })?),
            None => None,
        };
        let Some(Item { mut part, origin }) = item else {
            message
                .content
                .push(rebuilt(block).map_err(|refusal| refusal.within(format!("content[{at}]")))?);
            continue;
        };
        // Rig may have given the call another id, and its result has that one.
        if let (Part::ToolCall(part), AssistantContent::ToolCall(call)) = (&mut part, block) {
            part.id = call.id.wire().into_owned();
        }
        message.origin = message.origin.or(origin);
        message.content.push(part);
    }
    Ok(message)
}

/// The provider's part, while the block still is what it was made from.
fn kept(block: &AssistantContent) -> Option<&Value> {
    match block {
        AssistantContent::Opaque(opaque) => Some(&opaque.item),
        block => block.native_item(),
    }
}

/// A block that was made by hand, edited, or comes from another model.
fn rebuilt(block: &AssistantContent) -> Result<Part, Refusal> {
    match block {
        AssistantContent::Text(text) => Ok(Part::text(&text.text)),
        AssistantContent::Reasoning(thought) => {
            Ok(Part::Reasoning(Reasoning { text: thought.text.clone(), ..Reasoning::default() }))
        }
        AssistantContent::ToolCall(call) => Ok(Part::ToolCall(ToolCall {
            id: call.id.wire().into_owned(),
            name: call.function.name.as_str().to_owned(),
            arguments: match &call.function.invalid_arguments {
                Some(text) => text.clone(),
                None => call.function.arguments_value().to_string(),
            },
            ..ToolCall::default()
        })),
        AssistantContent::Image(image) => media::image(image),
        _ => Err(Refusal::of("type", "this adapter does not know that kind of block")),
    }
}
