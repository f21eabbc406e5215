//! The calls of an answer: whole, or with arguments that come in pieces.

use serde_json::{Map, Value};
use tollgate_types::{Part, StreamEvent, ToolCall};

use super::{extras_of, ids, partial_args, parts::IN_CALL};
use crate::dialects::merge::merge;

/// Numbers the parts of an answer, and names calls that came without an id.
#[derive(Debug, Default)]
pub(super) struct PartNumbers {
    next: u32,
    calls: usize,
    answer: String,
}

impl PartNumbers {
    pub(super) fn next(&mut self) -> u32 {
        let index = self.next;
        self.next = index.saturating_add(1);
        index
    }

    /// Remembers the answer's id.
    pub(super) fn of_answer(&mut self, id: &str) {
        id.clone_into(&mut self.answer);
    }

    /// Whether any call has come.
    pub(super) fn any_call(&self) -> bool {
        self.calls > 0
    }

    fn id_of_call(&mut self, given: Option<String>, name: &str) -> String {
        let n = self.calls;
        self.calls += 1;
        given.unwrap_or_else(|| ids::made_up(&format!("{} {name}", self.answer), n))
    }
}

/// A call whose arguments still come.
#[derive(Debug)]
pub(super) struct OpenCall {
    index: u32,
    arguments: Value,
    /// Facts that came after the call was announced.
    late: Map<String, Value>,
}

/// A `functionCall`, taken apart.
struct Piece {
    name: String,
    id: Option<String>,
    args: Option<Value>,
    partial: Vec<Value>,
    in_pieces: bool,
    continues: bool,
    /// Fields of the part around it, and further ones of the call.
    own: Map<String, Value>,
}

impl Piece {
    fn of(call: Value, around: Map<String, Value>) -> Self {
        let mut call = match call {
            Value::Object(call) => call,
            _ => Map::new(),
        };
        let mut text = |key: &str| match call.shift_remove(key) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let (name, id) = (text("name").unwrap_or_default(), text("id"));
        let args = call.shift_remove("args").filter(Value::is_object);
        let partial = call.shift_remove("partialArgs");
        let continues = call.shift_remove("willContinue") == Some(Value::Bool(true));
        let in_pieces = partial.is_some() || continues;
        let partial = match partial {
            Some(Value::Array(pieces)) => pieces,
            _ => Vec::new(),
        };
        let mut own = around;
        call.retain(|_, value| !value.is_null());
        if !call.is_empty() {
            own.insert(IN_CALL.to_owned(), Value::Object(call));
        }
        Self { name, id, args, partial, in_pieces, continues, own }
    }
}

/// Takes one `functionCall` and the fields around it. `false` when a piece of its arguments has no
/// place.
pub(super) fn take(
    (call, around): (Value, Map<String, Value>),
    open: &mut Option<OpenCall>,
    numbers: &mut PartNumbers,
    out: &mut Vec<StreamEvent>,
) -> bool {
    let piece = Piece::of(call, around);
    let goes_on = open.is_some() && piece.name.is_empty();
    if !goes_on {
        end(open, out);
    }
    if !goes_on && !piece.in_pieces {
        let index = numbers.next();
        let arguments = piece.args.unwrap_or_else(|| Value::Object(Map::new())).to_string();
        let id = numbers.id_of_call(piece.id, &piece.name);
        let extras = extras_of(piece.own);
        let call = ToolCall { id, name: piece.name, arguments, hosted: false, extras };
        out.push(StreamEvent::PartStart { index, part: Part::ToolCall(call) });
        out.push(StreamEvent::part_end(index));
        return true;
    }
    let mut call = open.take().unwrap_or_else(|| announce(&piece, numbers, out));
    if goes_on {
        merge(&mut call.late, &piece.own);
    }
    if let (Some(Value::Object(args)), Value::Object(all)) = (&piece.args, &mut call.arguments) {
        merge(all, args);
    }
    let placed = piece
        .partial
        .iter()
        .all(|partial| partial_args::apply(&mut call.arguments, partial).is_some());
    *open = Some(call);
    if !piece.continues {
        end(open, out);
    }
    placed
}

fn announce(piece: &Piece, numbers: &mut PartNumbers, out: &mut Vec<StreamEvent>) -> OpenCall {
    let index = numbers.next();
    let call = ToolCall {
        id: numbers.id_of_call(piece.id.clone(), &piece.name),
        name: piece.name.clone(),
        arguments: String::new(),
        hosted: false,
        extras: extras_of(piece.own.clone()),
    };
    out.push(StreamEvent::PartStart { index, part: Part::ToolCall(call) });
    OpenCall { index, arguments: Value::Object(Map::new()), late: Map::new() }
}

/// Ends the call whose arguments still come: the pieces may have come in any order, so only now
/// can their text be told.
pub(super) fn end(open: &mut Option<OpenCall>, out: &mut Vec<StreamEvent>) {
    let Some(OpenCall { index, arguments, late }) = open.take() else { return };
    out.push(StreamEvent::delta(index, arguments.to_string()));
    out.push(StreamEvent::PartEnd {
        index,
        signature: None,
        citations: Vec::new(),
        extras: extras_of(late),
    });
}
