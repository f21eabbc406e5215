//! `contents` and `systemInstruction`, written.

use serde_json::{Map, Value, json};
use std::collections::HashMap;
use tollgate_types::{Message, Part, Reasoning, Result, Role, ToolResult};

use super::{API, NAMESPACE, function, parts};
use crate::dialects::{
    honoured::Honoured,
    merge::{merge, object},
};

/// Models of the third generation refuse a turn whose first call has no signature. This word stands
/// for the signature of a call that another model made
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const FOREIGN_SIGNATURE: &str = "skip_thought_signature_validator";

/// The conversation as Google wants it.
pub(super) struct Contents {
    /// What operator and application say, wherever it stood.
    pub(super) system: Option<Value>,
    /// The turns.
    pub(super) turns: Vec<Value>,
}

/// Writes the conversation for a model.
///
/// # Errors
/// `unsupported` with the part that has no place.
pub(super) fn encode_messages(
    messages: &[Message],
    model: &str,
    honoured: &mut Honoured,
) -> Result<Contents> {
    let mut writer =
        Writer { modern: is_modern(model), called: HashMap::new(), honoured, calls: 0 };
    let (mut system, mut system_extras) = (Vec::new(), Map::new());
    let mut turns = Vec::<Value>::new();
    let mut results: Option<Results> = None;
    for (n, message) in messages.iter().enumerate() {
        let place = format!("messages[{n}].content");
        if message.name.is_some() {
            let param = format!("messages[{n}].name");
            writer.honoured.cannot(param, "Google does not tell speakers apart by name")?;
        }
        let own = message.extras.get(NAMESPACE).cloned().unwrap_or_default();
        match message.role {
            Role::System | Role::Developer => {
                system.extend(writer.parts(message, &place)?);
                merge(&mut system_extras, &own);
            }
            Role::Tool => {
                let all = results.get_or_insert_default();
                all.add(writer.results(message, &place)?, own);
            }
            Role::User | Role::Assistant => {
                turns.extend(results.take().and_then(Results::finish));
                let role = if message.role == Role::User { "user" } else { "model" };
                turns.extend(content(role, writer.parts(message, &place)?, &own));
            }
        }
    }
    turns.extend(results.take().and_then(Results::finish));
    let system = (!system.is_empty()).then(|| {
        let mut written = object([("parts", Some(system.into()))]);
        merge(&mut written, &system_extras);
        Value::Object(written)
    });
    Ok(Contents { system, turns })
}

/// Whether a model takes media within results and asks for signatures.
fn is_modern(model: &str) -> bool {
    let Some((_, version)) = model.split_once("gemini-") else { return false };
    let generation = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    generation.parse::<u32>().map_or(version.ends_with("-latest"), |n| n >= 3)
}

fn content(role: &str, parts: Vec<Value>, own: &Map<String, Value>) -> Option<Value> {
    if parts.is_empty() {
        return None;
    }
    let mut written = object([("role", Some(role.into())), ("parts", Some(parts.into()))]);
    merge(&mut written, own);
    Some(Value::Object(written))
}

/// Results of one turn's calls: Google wants them in one turn, in the order of the calls.
#[derive(Default)]
struct Results {
    parts: Vec<(usize, Vec<Value>)>,
    own: Map<String, Value>,
}

impl Results {
    fn add(&mut self, parts: Vec<(usize, Vec<Value>)>, own: Map<String, Value>) {
        self.parts.extend(parts);
        merge(&mut self.own, &own);
    }

    fn finish(mut self) -> Option<Value> {
        self.parts.sort_by_key(|(order, _)| *order);
        let parts = self.parts.into_iter().flat_map(|(_, parts)| parts).collect();
        content("user", parts, &self.own)
    }
}

struct Writer<'a> {
    modern: bool,
    /// Names of the calls so far and their places among all, by id.
    called: HashMap<String, (String, usize)>,
    /// How many calls there are so far.
    calls: usize,
    honoured: &'a mut Honoured,
}

impl Writer<'_> {
    fn parts(&mut self, message: &Message, place: &str) -> Result<Vec<Value>> {
        let mut written = Vec::with_capacity(message.content.len());
        let mut any_call = false;
        for part in &message.content {
            if let Part::ToolCall(call) = part
                && !call.hosted
            {
                self.called.insert(call.id.clone(), (call.name.clone(), self.calls));
                self.calls += 1;
                let Some(mut encoded) = parts::call(call, parts::Ids::Known) else {
                    let message =
                        format!("the arguments of the call {:?} are no JSON object", call.id);
                    self.honoured.cannot(place, message)?;
                    continue;
                };
                if self.modern && !any_call {
                    sign(&mut encoded);
                }
                any_call = true;
                written.push(encoded);
            } else {
                written.extend(self.part(part, message, place)?);
            }
        }
        Ok(written)
    }

    fn part(&mut self, part: &Part, message: &Message, place: &str) -> Result<Vec<Value>> {
        Ok(match part {
            Part::Text(text) => vec![parts::text(text)],
            Part::Refusal(refusal) => vec![json!({"text": refusal.text})],
            Part::Media(media) => vec![parts::media(media)],
            // Only its own thoughts are of use to a model.
            Part::Reasoning(reasoning) if is_own(reasoning, message) => {
                vec![parts::reasoning(reasoning)]
            }
            Part::Reasoning(_) => Vec::new(),
            Part::ToolResult(result) => self.result(result, place)?.1,
            Part::Native(native) if native.api == API => vec![native.item.clone()],
            Part::ToolCall(_) | Part::Native(_) => {
                let message = "an item that another API's provider made cannot be replayed";
                self.honoured.cannot(place, message)?;
                Vec::new()
            }
        })
    }

    /// The results of a turn with the places of their calls; whatever else stands in it keeps its
    /// place behind them.
    fn results(&mut self, message: &Message, place: &str) -> Result<Vec<(usize, Vec<Value>)>> {
        let only_results = message.content.iter().all(|part| matches!(part, Part::ToolResult(_)));
        let mut written = Vec::with_capacity(message.content.len());
        for part in &message.content {
            written.push(match part {
                Part::ToolResult(result) => {
                    let (order, parts) = self.result(result, place)?;
                    (if only_results { order } else { usize::MAX }, parts)
                }
                other => (usize::MAX, self.part(other, message, place)?),
            });
        }
        Ok(written)
    }

    fn result(&mut self, result: &ToolResult, place: &str) -> Result<(usize, Vec<Value>)> {
        let known = self.called.get(&result.call_id);
        let order = known.map(|(_, order)| *order);
        let Some(name) = result.name.clone().or_else(|| known.map(|(name, _)| name.clone())) else {
            let message = format!(
                "Google wants the name of the tool, and no call has the id {:?}",
                result.call_id
            );
            return Err(tollgate_types::Error::invalid(place, message));
        };
        let within = (place, self.modern);
        let parts = function::encode_result(result, &name, within, self.honoured)?;
        Ok((order.unwrap_or(usize::MAX), parts))
    }
}

/// Whether Google made a thought.
fn is_own(reasoning: &Reasoning, message: &Message) -> bool {
    match &message.origin {
        Some(origin) => origin.api == API,
        None => reasoning.extras.contains_key(NAMESPACE),
    }
}

fn sign(call: &mut Value) {
    if let Value::Object(part) = call
        && !part.contains_key("thoughtSignature")
    {
        part.insert("thoughtSignature".to_owned(), FOREIGN_SIGNATURE.into());
    }
}
