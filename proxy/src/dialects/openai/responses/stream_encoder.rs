//! Our events to a response's, as the official SDKs accept them.

mod said;
mod thought;

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tollgate_types::{
    Citation, Error, Extras, Finish, Media, MediaSource, Part, Reasoning, StreamEvent,
    TokenLogprob, ToolCall, Usage,
};

use super::{
    super::custom,
    API, CONTENT_API, Echo, NAMESPACE,
    content::fill,
    events::{Events, usage_with},
    finish, item,
    seal::{On, Seal},
};
use crate::dialects::{
    call_id::IdRule,
    merge::{merge, object},
    stream::ReplyHead,
};
use said::Message;

/// Writes the events of one answer. The HTTP layer frames them as `event: TYPE` and `data: ...`.
#[derive(Debug)]
pub struct ResponsesEncoder {
    events: Events,
    /// Who answers: what another API signed is sealed.
    api: String,
    parts: BTreeMap<u32, Slot>,
    messages: BTreeMap<usize, Message>,
    /// The message item that the next text joins.
    current: Option<usize>,
}

/// A part that is not whole yet, and where it goes.
#[derive(Debug)]
enum Slot {
    /// Into a message item, at a place of its content.
    Said { item: usize, at: usize, part: Part },
    /// A reasoning item.
    Thought { item: usize, id: String, reasoning: Reasoning, shown: bool },
    /// A call.
    Called { item: usize, id: String, call: ToolCall },
    /// Written when it is whole.
    Made(Media),
    /// The format has no place for it.
    Silent,
}

impl ResponsesEncoder {
    /// Writes an answer under a head.
    pub fn new(head: ReplyHead, echo: Echo) -> Self {
        Self {
            events: Events::new(head, echo),
            api: String::new(),
            parts: BTreeMap::new(),
            messages: BTreeMap::new(),
            current: None,
        }
    }

    /// The events that an event becomes.
    pub fn push(&mut self, event: &StreamEvent) -> Vec<Value> {
        match event {
            StreamEvent::Start { origin, .. } => {
                self.api.clone_from(&origin.api);
                for kind in ["response.created", "response.in_progress"] {
                    self.events.response(kind, "in_progress", Map::new());
                }
            }
            StreamEvent::PartStart { index, part } => self.part_start(*index, part),
            StreamEvent::PartDelta { index, delta, logprobs } => {
                self.part_delta(*index, delta, logprobs);
            }
            StreamEvent::PartEnd { index, signature, citations, extras } => {
                self.part_end(*index, (signature.as_ref(), citations, extras));
            }
            StreamEvent::Raw { api, value } if api == API => {
                if let Some(kind) = value.get("type").and_then(Value::as_str) {
                    self.events.event(kind, value.clone());
                }
            }
            StreamEvent::Finish { finish, usage, extras, .. } => self.end(finish, usage, extras),
            StreamEvent::Error { error } => return self.error(error),
            _ => {}
        }
        self.events.take()
    }

    /// The events that report an error inside a stream; nothing follows them.
    pub fn error(&mut self, error: &Error) -> Vec<Value> {
        self.cut_off();
        self.events.failed(error);
        self.events.take()
    }

    fn is_own(&self) -> bool {
        self.api == API
    }

    /// The id that the provider gave, where it speaks this API; else one of ours.
    fn id(&self, prefix: &str, place: usize, extras: &Extras) -> String {
        let own = extras.get(NAMESPACE).filter(|_| self.is_own());
        let id = own.and_then(|own| own.get("id")).and_then(Value::as_str);
        id.map_or_else(|| self.events.id(prefix, place), str::to_owned)
    }

    fn part_start(&mut self, index: u32, part: &Part) {
        let slot = match part {
            Part::Text(_) | Part::Refusal(_) => self.say(part.clone()),
            Part::Native(native) if native.api == CONTENT_API => self.say(part.clone()),
            Part::Reasoning(reasoning) => self.think(reasoning),
            Part::ToolCall(call) if self.is_own() || !call.hosted => self.call(call),
            Part::Media(media) => {
                self.leave();
                Slot::Made(media.clone())
            }
            Part::Native(native) if native.api == API => {
                self.leave();
                self.events.whole(native.item.as_object().cloned().unwrap_or_default());
                Slot::Silent
            }
            // What another provider ran itself has no place here; the native dialect shows it.
            Part::ToolCall(_) | Part::ToolResult(_) | Part::Native(_) => Slot::Silent,
        };
        self.parts.insert(index, slot);
    }

    fn call(&mut self, call: &ToolCall) -> Slot {
        self.leave();
        let item = self.events.place();
        let custom = custom::is_call(call);
        let id = self.id(if custom { "ctc" } else { "fc" }, item, &call.extras);
        let empty = ToolCall { arguments: String::new(), ..call.clone() };
        let mut begun = object([("id", Some(id.as_str().into()))]);
        begun.extend(item::encode_call(&empty, IdRule::Any));
        begun.insert("status".to_owned(), "in_progress".into());
        self.events.added(item, Value::Object(begun));
        self.called((item, &id), custom, &call.arguments);
        Slot::Called { item, id, call: call.clone() }
    }

    fn called(&mut self, (item, id): (usize, &str), custom: bool, arguments: &str) {
        if arguments.is_empty() {
            return;
        }
        let kind = if custom {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        let fields = json!({"item_id": id, "output_index": item, "delta": arguments});
        self.events.event(kind, fields);
    }

    fn part_delta(&mut self, index: u32, delta: &str, odds: &[TokenLogprob]) {
        let Some(mut slot) = self.parts.remove(&index) else { return };
        match &mut slot {
            Slot::Said { item, at, part } => {
                if let Some(text) = part.growing() {
                    text.push_str(delta);
                }
                if let Part::Text(text) = part {
                    text.logprobs.extend(odds.iter().cloned());
                }
                self.said((*item, *at), part, delta, odds);
            }
            Slot::Thought { item, id, reasoning, shown } => {
                reasoning.text.push_str(delta);
                self.thought((*item, id), reasoning, delta, shown);
            }
            Slot::Called { item, id, call } => {
                call.arguments.push_str(delta);
                self.called((*item, id), custom::is_call(call), delta);
            }
            Slot::Made(Media { source: MediaSource::Base64(data), .. }) => data.push_str(delta),
            Slot::Made(_) | Slot::Silent => {}
        }
        self.parts.insert(index, slot);
    }

    fn part_end(&mut self, index: u32, facts: (Option<&String>, &[Citation], &Extras)) {
        let (signature, citations, extras) = facts;
        match self.parts.remove(&index) {
            Some(Slot::Said { item, at, mut part }) => {
                if let Part::Text(text) = &mut part {
                    text.citations.extend(citations.iter().cloned());
                }
                add_extras(&mut part, extras);
                self.end_said((item, at), &part);
            }
            Some(Slot::Thought { item, id, mut reasoning, shown }) => {
                if let Some(signature) = signature {
                    reasoning.signature = Some(signature.clone());
                }
                let mut part = Part::Reasoning(reasoning);
                add_extras(&mut part, extras);
                if let Part::Reasoning(reasoning) = part {
                    self.end_thought((item, id), &reasoning, shown);
                }
            }
            Some(Slot::Called { item, id, call }) => {
                let mut part = Part::ToolCall(call);
                add_extras(&mut part, extras);
                if let Part::ToolCall(call) = part {
                    self.end_call((item, id), &call);
                }
            }
            Some(Slot::Made(media)) => {
                let mut part = Part::Media(media);
                add_extras(&mut part, extras);
                if let Part::Media(media) = part {
                    self.end_made(&media);
                }
            }
            Some(Slot::Silent) | None => {}
        }
    }

    fn end_call(&mut self, (item, id): (usize, String), call: &ToolCall) {
        let (kind, key) = if custom::is_call(call) {
            ("response.custom_tool_call_input.done", "input")
        } else {
            ("response.function_call_arguments.done", "arguments")
        };
        let mut fields = json!({"item_id": id, "output_index": item, "name": call.name});
        if let Value::Object(fields) = &mut fields {
            fields.insert(key.to_owned(), call.arguments.as_str().into());
        }
        self.events.event(kind, fields);
        let mut whole = object([("id", Some(id.into()))]);
        whole.extend(item::encode_call(call, IdRule::Any));
        if self.is_own() {
            fill(&mut whole, &call.extras);
        }
        whole.entry("status").or_insert_with(|| "completed".into());
        self.events.done(item, whole);
        self.seal(Seal::facts(&self.api, On::Call(call.id.clone()), &call.extras));
    }

    /// Ends what is still open. Calls end without a word, so that nobody runs half of one.
    fn cut_off(&mut self) {
        let open: Vec<u32> = self.parts.keys().copied().collect();
        for index in open {
            match self.parts.remove(&index) {
                Some(Slot::Called { item, id, call }) => {
                    let mut cut = object([("id", Some(id.into()))]);
                    cut.extend(item::encode_call(&call, IdRule::Any));
                    cut.insert("status".to_owned(), "incomplete".into());
                    self.events.keep(item, cut);
                }
                Some(slot) => {
                    self.parts.insert(index, slot);
                    self.part_end(index, (None, &[], &Extras::new()));
                }
                None => {}
            }
        }
        self.leave();
    }

    /// An image is what the image tool made; sound is a part of a message.
    fn end_made(&mut self, media: &Media) {
        if let Some(image) = item::encode_image(media) {
            let mut whole = object([("id", Some(self.events.id("ig", self.events.len()).into()))]);
            merge(&mut whole, &image);
            return self.events.whole(whole);
        }
        if let (true, MediaSource::Base64(data)) =
            (media.media_type.starts_with("audio/"), &media.source)
        {
            let sound = json!({"type": "output_audio", "data": data,
                "transcript": media.transcript.as_deref().unwrap_or_default()});
            let whole = object([
                ("id", Some(self.events.id("msg", self.events.len()).into())),
                ("type", Some("message".into())),
                ("status", Some("completed".into())),
                ("role", Some("assistant".into())),
                ("content", Some(json!([sound]))),
            ]);
            self.events.whole(whole);
        }
    }

    fn end(&mut self, finish: &Finish, used: &Usage, extras: &Extras) {
        // An answer that Tollgate ended has parts that never did.
        self.cut_off();
        let (status, details) = finish::encode(finish, self.is_own());
        let mut own = extras.get(NAMESPACE).cloned().unwrap_or_default();
        let usage = usage_with(used, own.shift_remove("usage").as_ref());
        own.extend([("incomplete_details".to_owned(), details), ("usage".to_owned(), usage)]);
        self.events.response(finish::event(status), status, own);
    }
}

fn add_extras(part: &mut Part, more: &Extras) {
    let Some(extras) = part.extras_mut() else { return };
    for (name, facts) in more {
        extras.entry(name.clone()).or_default().extend(facts.clone());
    }
}

/// Fields of an event after those that say where it belongs.
fn with<const N: usize>(place: &Value, fields: [(&str, Value); N]) -> Value {
    let mut all = place.as_object().cloned().unwrap_or_default();
    all.extend(fields.into_iter().map(|(key, value)| (key.to_owned(), value)));
    Value::Object(all)
}
