//! The items of an answer while they grow: from deltas and finished items to parts.
//!
//! An item is known by its place in the output, because some hosts give it another id with each
//! event. What the finished item says counts; where deltas said less, the rest is added.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use tollgate_types::{Part, Reasoning, Refusal, StreamEvent, TokenLogprob, ToolCall};

use super::{
    annotation, extras_of, finish,
    item::{self, CUSTOM_CALL},
    reasoning::{Shown, full_facts},
};
use crate::dialects::merge::object;

/// Tools that providers run and charge for by call.
const FEES: [&str; 5] =
    ["web_search", "x_search", "file_search", "code_interpreter", "image_generation"];

/// The items of one answer.
#[derive(Debug, Default)]
pub(super) struct Items {
    items: BTreeMap<u64, Item>,
    next: u32,
    /// The tools that the answer says were offered.
    offered: Vec<Value>,
    /// The client has to run something.
    calls: bool,
    /// Calls of the client's own tools that the provider may have run itself.
    waiting: Vec<Option<String>>,
    ran: BTreeSet<String>,
    fees: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
struct Item {
    /// Facts of a message item that its parts carry.
    facts: Map<String, Value>,
    /// The number that waits for the first part of any other item.
    number: Option<u32>,
    parts: BTreeMap<u64, Growing>,
    shown: Shown,
    done: bool,
}

/// A part that has been announced.
#[derive(Debug)]
struct Growing {
    number: u32,
    sent: String,
    has_odds: bool,
    notes: Vec<Value>,
}

/// What a delta belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Refusal,
    Summary,
    Thought,
    /// Arguments of a call, or the input of a custom tool.
    Call,
}

impl Items {
    /// The answer says which tools were offered.
    pub(super) fn offer(&mut self, tools: Option<&Value>) {
        if let Some(tools) = tools.and_then(Value::as_array) {
            self.offered.clone_from(tools);
        }
    }

    /// Whether the client has to run something.
    pub(super) fn wants_tools(&self) -> bool {
        let waits = |id: &Option<String>| id.as_ref().is_none_or(|id| !self.ran.contains(id));
        self.calls || self.waiting.iter().any(waits)
    }

    /// Calls that are charged for, by tool.
    pub(super) fn fees(&self) -> BTreeMap<String, u64> {
        self.fees.clone()
    }

    /// An item begins.
    pub(super) fn begin(&mut self, at: u64, item: &Value, out: &mut Vec<StreamEvent>) {
        let Some(map) = item.as_object() else { return };
        let kind = map.get("type").and_then(Value::as_str).unwrap_or("message");
        if self.items.contains_key(&at) {
            return;
        }
        let mut begun = Item::default();
        if kind == "message" {
            begun.facts = item::message_facts(map);
            begun.facts.shift_remove("status");
        } else {
            begun.number = Some(self.number());
            begun.facts = object([("id", map.get("id").filter(|id| id.is_string()).cloned())]);
        }
        self.items.insert(at, begun);
        if matches!(kind, "function_call" | CUSTOM_CALL) {
            self.begin_call(at, item.clone(), out);
        }
    }

    fn begin_call(&mut self, at: u64, item: Value, out: &mut Vec<StreamEvent>) {
        let read = item::decode(format!("output[{at}]"), item, Shown::Nothing);
        let Some(Part::ToolCall(call)) = read.ok().into_iter().flatten().next() else { return };
        let mut call = self.claimed(call);
        let sent = call.arguments.clone();
        if let Some(own) = call.extras.get_mut(super::NAMESPACE) {
            own.shift_remove("status");
        }
        let reserved = self.items.get_mut(&at).and_then(|item| item.number.take());
        let number = reserved.unwrap_or_else(|| self.number());
        out.push(StreamEvent::PartStart { index: number, part: Part::ToolCall(call) });
        let growing = Growing { number, sent, has_odds: false, notes: Vec::new() };
        self.items.entry(at).or_default().parts.insert(0, growing);
    }

    /// A call of the client's. xAI runs tools of its own that look like custom ones: what nobody
    /// offered was not called for the client.
    fn claimed(&mut self, mut call: ToolCall) -> ToolCall {
        let custom = super::super::custom::is_call(&call);
        call.hosted = custom && !self.offered.is_empty() && !offers(&self.offered, &call.name);
        self.calls |= !call.hosted;
        call
    }

    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = number.saturating_add(1);
        number
    }

    /// More of an item's text.
    pub(super) fn append(
        &mut self,
        (at, inner): (u64, u64),
        kind: Kind,
        (delta, odds): (&str, Vec<TokenLogprob>),
        out: &mut Vec<StreamEvent>,
    ) {
        if delta.is_empty() && odds.is_empty() {
            return;
        }
        let Some(growing) = self.open((at, inner), kind, out) else { return };
        growing.sent.push_str(delta);
        growing.has_odds |= !odds.is_empty();
        let (index, delta) = (growing.number, delta.to_owned());
        out.push(StreamEvent::PartDelta { index, delta, logprobs: odds });
    }

    /// The whole text of a part: what no delta said is added.
    pub(super) fn catch_up(
        &mut self,
        place: (u64, u64),
        kind: Kind,
        whole: &str,
        out: &mut Vec<StreamEvent>,
    ) {
        let inner = if matches!(kind, Kind::Text | Kind::Refusal) { place.1 } else { 0 };
        let sent = self.items.get(&place.0).and_then(|item| item.parts.get(&inner));
        let sent = sent.map_or("", |growing| growing.sent.as_str());
        // Of a summary in pieces this is one piece, which the finished item puts in its place.
        if matches!(kind, Kind::Summary | Kind::Thought) && !sent.is_empty() {
            return;
        }
        if let Some(rest) = whole.strip_prefix(sent).map(str::to_owned) {
            self.append(place, kind, (&rest, Vec::new()), out);
        }
    }

    /// Opens a part of a message as soon as it is announced.
    pub(super) fn announce(&mut self, place: (u64, u64), kind: Kind, out: &mut Vec<StreamEvent>) {
        self.open(place, kind, out);
    }

    /// Keeps an annotation for a text whose item never ends.
    pub(super) fn note(&mut self, (at, inner): (u64, u64), note: &Value) {
        if let Some(part) = self.items.get_mut(&at).and_then(|item| item.parts.get_mut(&inner)) {
            part.notes.push(note.clone());
        }
    }

    /// The part that a delta belongs to; `None` when it is not shown.
    fn open(
        &mut self,
        (at, inner): (u64, u64),
        kind: Kind,
        out: &mut Vec<StreamEvent>,
    ) -> Option<&mut Growing> {
        let shown = match kind {
            Kind::Summary => Shown::Summary,
            Kind::Thought => Shown::Full,
            Kind::Text | Kind::Refusal | Kind::Call => Shown::Nothing,
        };
        let inner = if matches!(kind, Kind::Text | Kind::Refusal) { inner } else { 0 };
        let item = self.items.entry(at).or_default();
        if item.done || (item.shown != Shown::Nothing && shown != item.shown) {
            return None;
        }
        item.shown = shown;
        if !item.parts.contains_key(&inner) {
            let part = match kind {
                Kind::Text => Part::text(""),
                Kind::Refusal => Part::Refusal(Refusal::default()),
                Kind::Summary | Kind::Thought => thought(item, kind),
                // A call that was never announced has no name: its item brings it whole.
                Kind::Call => return None,
            };
            let part = with_facts(part, item);
            // The reserved number is for one part, whatever else the item turns out to hold.
            let number = item.number.take().unwrap_or(self.next);
            self.next = self.next.max(number.saturating_add(1));
            let growing = Growing { number, sent: String::new(), has_odds: false, notes: vec![] };
            item.parts.insert(inner, growing);
            out.push(StreamEvent::PartStart { index: number, part });
        }
        self.items.get_mut(&at)?.parts.get_mut(&inner)
    }

    /// An item is whole.
    pub(super) fn finish(&mut self, at: u64, whole: Value, out: &mut Vec<StreamEvent>) {
        let item = self.items.entry(at).or_default();
        if std::mem::replace(&mut item.done, true) {
            return;
        }
        let (shown, number) = (item.shown, item.number.take());
        let mut grown = std::mem::take(&mut item.parts);
        self.account(&whole);
        let parts = item::decode(format!("output[{at}]"), whole.clone(), shown)
            .unwrap_or_else(|_| vec![item::native(whole)]);
        for (inner, part) in (0..).zip(parts) {
            match grown.remove(&inner) {
                Some(growing) => complete(growing, part, out),
                None => {
                    let part = match part {
                        Part::ToolCall(call) => Part::ToolCall(self.claimed(call)),
                        part => part,
                    };
                    let index = number.filter(|_| inner == 0).unwrap_or_else(|| self.number());
                    out.push(StreamEvent::PartStart { index, part });
                    out.push(StreamEvent::part_end(index));
                }
            }
        }
        out.extend(grown.into_values().map(|growing| StreamEvent::part_end(growing.number)));
    }

    /// Counts what is charged for, and sees who runs what.
    fn account(&mut self, whole: &Value) {
        let Some(item) = whole.as_object() else { return };
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
        let id = item.get("call_id").and_then(Value::as_str).map(str::to_owned);
        if finish::waits_for_client(item) {
            self.waiting.push(id);
        } else if kind.ends_with("_output") {
            self.ran.extend(id);
        }
        // Opening a page and looking through it is a part of the search before it.
        let action = item.get("action").and_then(|action| action.get("type")?.as_str());
        let is_step = matches!(action, Some("open_page" | "find_in_page" | "find"));
        let tool = kind.strip_suffix("_call").filter(|tool| FEES.contains(tool) && !is_step);
        if let Some(tool) = tool {
            let tool = if tool == "web_search" { self.search_fee() } else { tool };
            let count = self.fees.entry(tool.to_owned()).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// The older search has a price of its own, and the items of both look alike.
    fn search_fee(&self) -> &'static str {
        let offers = |kind: fn(&str) -> bool| {
            let kinds = self.offered.iter().filter_map(|tool| tool.get("type")?.as_str());
            kinds.into_iter().any(kind)
        };
        let older = offers(|kind| kind.starts_with("web_search_preview"));
        let newer = offers(|kind| {
            kind.starts_with("web_search") && !kind.starts_with("web_search_preview")
        });
        if older && !newer { "web_search_preview" } else { "web_search" }
    }

    /// The answer is over: what never ended ends with what its deltas said.
    pub(super) fn end(&mut self, out: &mut Vec<StreamEvent>) {
        for item in self.items.values_mut().filter(|item| !item.done) {
            item.done = true;
            for growing in std::mem::take(&mut item.parts).into_values() {
                out.push(StreamEvent::PartEnd {
                    index: growing.number,
                    signature: None,
                    citations: annotation::decode(&growing.notes, &growing.sent),
                    extras: tollgate_types::Extras::new(),
                });
            }
        }
    }
}

/// Ends a part with what its finished item says beyond the deltas.
fn complete(growing: Growing, mut part: Part, out: &mut Vec<StreamEvent>) {
    let index = growing.number;
    let whole = part.growing().map(std::mem::take).unwrap_or_default();
    let rest = whole.strip_prefix(growing.sent.as_str()).unwrap_or_default().to_owned();
    let (mut signature, mut citations, mut logprobs) = (None, Vec::new(), Vec::new());
    match &mut part {
        Part::Text(text) => {
            citations = std::mem::take(&mut text.citations);
            logprobs = std::mem::take(&mut text.logprobs);
        }
        Part::Reasoning(reasoning) => signature = reasoning.signature.take(),
        _ => {}
    }
    if growing.has_odds {
        logprobs.clear();
    }
    if !rest.is_empty() || !logprobs.is_empty() {
        out.push(StreamEvent::PartDelta { index, delta: rest, logprobs });
    }
    let extras = part.extras_mut().map(std::mem::take).unwrap_or_default();
    out.push(StreamEvent::PartEnd { index, signature, citations, extras });
}

fn thought(item: &Item, kind: Kind) -> Part {
    let mut own = item.facts.clone();
    if kind == Kind::Thought {
        own.extend(full_facts());
    }
    Part::Reasoning(Reasoning { extras: extras_of(own), ..Reasoning::default() })
}

fn with_facts(mut part: Part, item: &Item) -> Part {
    if matches!(part, Part::Text(_) | Part::Refusal(_)) {
        item::put_facts(&mut part, &item.facts);
    }
    part
}

/// Whether a custom tool of this name was offered, alone or in a namespace.
fn offers(tools: &[Value], name: &str) -> bool {
    tools.iter().any(|tool| {
        let custom = tool.get("type").is_some_and(|kind| kind == "custom");
        let inner = tool.get("tools").and_then(Value::as_array);
        (custom && tool.get("name").is_some_and(|own| own == name))
            || inner.is_some_and(|inner| offers(inner, name))
    })
}
