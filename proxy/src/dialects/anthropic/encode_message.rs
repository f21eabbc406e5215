//! Messages and the system prompt of a request, written.

use serde_json::{Map, Value, json};
use tollgate_types::{Message, Part, Result, Role, ToolResult};

use super::{
    API, NAMESPACE,
    blocks::{self, add_extras},
    decode_message::IN_PLACE,
    tools,
};
use crate::dialects::{
    call_id::{self, IdRule},
    honoured::Honoured,
    merge::object,
};

/// The system prompt and the turns of a conversation.
#[derive(Default)]
pub(super) struct Conversation {
    system: Vec<Value>,
    turns: Vec<Turn>,
    /// Some file is named by its id.
    pub(super) uses_files: bool,
}

struct Turn {
    role: &'static str,
    content: Vec<Value>,
    extras: Map<String, Value>,
}

impl Conversation {
    /// Writes the messages. Instructions become the system prompt, wherever they stood; turns of the
    /// same speaker that follow each other become one, as the API reads them.
    pub(super) fn of(messages: &[Message], honour: &mut Honoured) -> Result<Self> {
        let mut conversation = Self::default();
        for (n, message) in messages.iter().enumerate() {
            if message.name.is_some() {
                let text = "Anthropic does not tell several speakers apart by name";
                honour.cannot(format!("messages[{n}].name"), text)?;
            }
            let content = conversation.content(n, message, honour)?;
            conversation.add(message, content);
        }
        Ok(conversation)
    }

    /// `system`, in the shortest form.
    pub(super) fn take_system(&mut self) -> Option<Value> {
        let system = std::mem::take(&mut self.system);
        (!system.is_empty()).then(|| shortest(system))
    }

    /// `messages`.
    pub(super) fn into_messages(self) -> Vec<Value> {
        let write = |turn: Turn| {
            let mut written = object([
                ("role", Some(turn.role.into())),
                ("content", Some(shortest(turn.content))),
            ]);
            add_extras(&mut written, Some(&turn.extras));
            Value::Object(written)
        };
        self.turns.into_iter().map(write).collect()
    }

    fn add(&mut self, message: &Message, content: Vec<Value>) {
        let mut extras = message.extras.get(NAMESPACE).cloned().unwrap_or_default();
        let in_place = extras.shift_remove(IN_PLACE).is_some();
        let role = match message.role {
            Role::System | Role::Developer if !in_place => return self.system.extend(content),
            Role::System | Role::Developer => "system",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        // Anthropic refuses a turn that says nothing; its models do answer like that.
        if content.is_empty() && role == "assistant" {
            return;
        }
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => {
                turn.content.extend(content);
                turn.extras.extend(extras);
            }
            _ => self.turns.push(Turn { role, content, extras }),
        }
    }

    fn content(
        &mut self,
        n: usize,
        message: &Message,
        honour: &mut Honoured,
    ) -> Result<Vec<Value>> {
        let own = is_own(message);
        let mut content = Vec::with_capacity(message.content.len());
        for (at, part) in message.content.iter().enumerate() {
            let place = format!("messages[{n}].content[{at}]");
            let block = match part {
                // What Anthropic did not sign it would refuse: another model's reasoning stays out.
                Part::Reasoning(reasoning) if own => {
                    blocks::encode_reasoning(reasoning).map(Value::Object)
                }
                Part::Reasoning(_) => None,
                Part::Media(_) if message.role == Role::Assistant => {
                    honour.cannot(place, "an assistant turn cannot hold media")?;
                    None
                }
                part => self.block(&place, part, honour)?,
            };
            content.extend(block);
        }
        Ok(content)
    }

    fn block(&mut self, place: &str, part: &Part, honour: &mut Honoured) -> Result<Option<Value>> {
        Ok(match part {
            // Anthropic refuses empty texts.
            Part::Text(text) if text.text.is_empty() => None,
            Part::Text(text) => Some(Value::Object(blocks::encode_text(text))),
            Part::Refusal(refusal) if refusal.text.is_empty() => None,
            Part::Refusal(refusal) => Some(json!({"type": "text", "text": refusal.text})),
            Part::ToolCall(call) if !call.hosted || blocks::is_own_hosted(call) => {
                let input = tools::input_of(place, &call.arguments)?;
                Some(Value::Object(blocks::encode_call(call, IdRule::Anthropic, input)))
            }
            Part::ToolResult(result) => Some(self.result(place, result, honour)?),
            Part::Media(media) => {
                let block = blocks::encode_media(media);
                self.uses_files |= matches!(media.source, tollgate_types::MediaSource::FileId(_))
                    && block.is_some();
                if block.is_none() {
                    honour.cannot(place, format!("no place for {}", media.media_type))?;
                }
                block
            }
            Part::Native(native) if native.api == API => Some(native.item.clone()),
            Part::ToolCall(_) | Part::Native(_) => {
                honour
                    .cannot(place, "an item that another API's provider made cannot be replayed")?;
                None
            }
            Part::Reasoning(_) => None,
        })
    }

    fn result(&mut self, place: &str, result: &ToolResult, honour: &mut Honoured) -> Result<Value> {
        let mut content = Vec::with_capacity(result.content.len());
        for (at, part) in result.content.iter().enumerate() {
            let place = format!("{place}.content[{at}]");
            match part {
                Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning(_) => {
                    honour
                        .cannot(place, "a tool result can only hold text, images and documents")?;
                }
                part => content.extend(self.block(&place, part, honour)?),
            }
        }
        let mut block = object([
            ("type", Some("tool_result".into())),
            ("tool_use_id", Some(call_id::fit(&result.call_id, IdRule::Anthropic).into())),
            ("content", Some(content).filter(|content| !content.is_empty()).map(shortest)),
            ("is_error", result.is_error.then_some(Value::Bool(true))),
        ]);
        add_extras(&mut block, result.extras.get(NAMESPACE));
        Ok(Value::Object(block))
    }
}

/// Whether Anthropic made the turn: only then it knows the signatures in it.
fn is_own(message: &Message) -> bool {
    match &message.origin {
        Some(origin) => origin.api == API,
        None => {
            let marked = |part: &Part| match part {
                Part::Reasoning(reasoning) => reasoning.extras.contains_key(NAMESPACE),
                _ => false,
            };
            message.extras.contains_key(NAMESPACE) || message.content.iter().any(marked)
        }
    }
}

/// A single plain text is written as a string.
fn shortest(content: Vec<Value>) -> Value {
    match content.as_slice() {
        [] => Value::String(String::new()),
        [Value::Object(block)]
            if block.len() == 2 && block.get("type").is_some_and(|t| t == "text") =>
        {
            block.get("text").cloned().unwrap_or(Value::Array(content))
        }
        _ => Value::Array(content),
    }
}
