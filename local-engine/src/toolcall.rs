//! Finds tool calls in what a model writes.

use crate::text::overlap;
use serde::Deserialize;
use serde_json::value::RawValue;

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// Something found in the text of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Text outside of calls.
    Text(String),
    /// A call begins; its arguments follow.
    Call(String),
    /// More of the arguments of the call that began last.
    Arguments(String),
}

/// Takes `<tool_call>{json}</tool_call>` (Hermes, Qwen and others) out of free text. What is no
/// call of an offered tool stays text.
#[derive(Debug)]
pub(crate) struct Tagged {
    tools: Vec<String>,
    held: String,
    inside: bool,
}

#[derive(Deserialize)]
struct Call<'a> {
    name: String,
    #[serde(borrow, alias = "parameters")]
    arguments: Option<&'a RawValue>,
}

impl Tagged {
    pub(crate) fn new(tools: Vec<String>) -> Self {
        Self { tools, held: String::new(), inside: false }
    }

    pub(crate) fn push(&mut self, text: &str) -> Vec<Found> {
        self.held.push_str(text);
        let mut found = Vec::new();
        loop {
            let mark = if self.inside { CLOSE } else { OPEN };
            let Some((before, after)) = self.held.split_once(mark) else { break };
            let (before, after) = (before.to_owned(), after.to_owned());
            found.extend(if self.inside { self.call(&before, CLOSE) } else { words(before) });
            self.inside = !self.inside;
            self.held = after;
        }
        if !self.inside {
            let rest = self.held.split_off(self.held.len() - overlap(&self.held, OPEN));
            found.extend(words(std::mem::replace(&mut self.held, rest)));
        }
        found
    }

    /// What was held back. A call whose closing tag is missing counts when its JSON is whole.
    pub(crate) fn finish(&mut self) -> Vec<Found> {
        let rest = std::mem::take(&mut self.held);
        if self.inside { self.call(&rest, "") } else { words(rest) }
    }

    fn call(&self, json: &str, close: &str) -> Vec<Found> {
        let call = serde_json::from_str::<Call<'_>>(json.trim()).ok();
        let Some(call) = call.filter(|call| self.tools.contains(&call.name)) else {
            return words(format!("{OPEN}{json}{close}"));
        };
        let raw = call.arguments.map_or("{}", RawValue::get);
        // Some models write the arguments as a string of JSON.
        let arguments = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
        vec![Found::Call(call.name), Found::Arguments(arguments)]
    }
}

fn words(text: String) -> Vec<Found> {
    if text.is_empty() { Vec::new() } else { vec![Found::Text(text)] }
}

/// Reads the call that a grammar forced: `{"name": "...", "arguments": {...}}` and nothing else, so
/// the arguments can be passed on as they are written.
#[derive(Debug, Default)]
pub(crate) struct Forced {
    head: String,
    depth: Option<Depth>,
}

/// Where in the arguments the text stands.
#[derive(Debug, Default)]
struct Depth {
    open: usize,
    in_string: bool,
    escaped: bool,
    over: bool,
}

impl Forced {
    pub(crate) fn push(&mut self, text: &str) -> Vec<Found> {
        if let Some(depth) = &mut self.depth {
            return depth.arguments(text);
        }
        self.head.push_str(text);
        let Some((name, arguments)) = split_head(&self.head) else { return Vec::new() };
        let mut found = vec![Found::Call(name)];
        let depth = self.depth.insert(Depth::default());
        found.extend(depth.arguments(arguments));
        found
    }

    /// An answer that was cut before its call had a name is passed on as text.
    pub(crate) fn finish(&mut self) -> Vec<Found> {
        if self.depth.is_some() { Vec::new() } else { words(std::mem::take(&mut self.head)) }
    }
}

/// Name and beginning of the arguments, once both are there. Names are checked to have no quotes.
fn split_head(head: &str) -> Option<(String, &str)> {
    let (before, after) = head.split_once("\"arguments\"")?;
    let (_, arguments) = after.split_once(':')?;
    let arguments = arguments.trim_start();
    let name = before.split('"').nth(3)?;
    (!arguments.is_empty()).then(|| (name.to_owned(), arguments))
}

impl Depth {
    /// The part of the text that belongs to the arguments.
    fn arguments(&mut self, text: &str) -> Vec<Found> {
        if self.over {
            return Vec::new();
        }
        let end = text.char_indices().find(|(_, letter)| self.ends_with(*letter));
        let mine =
            end.map_or(text, |(at, letter)| text.get(..at + letter.len_utf8()).unwrap_or(text));
        if mine.is_empty() { Vec::new() } else { vec![Found::Arguments(mine.to_owned())] }
    }

    fn ends_with(&mut self, letter: char) -> bool {
        if self.in_string {
            self.in_string = self.escaped || letter != '"';
            self.escaped = !self.escaped && letter == '\\';
            return false;
        }
        match letter {
            '"' => self.in_string = true,
            '{' | '[' => self.open += 1,
            '}' | ']' => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        self.over = self.open == 0 && matches!(letter, '}' | ']');
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Neighbours of one kind joined, as a reader would join them.
    fn join(found: Vec<Found>) -> Vec<Found> {
        let mut joined: Vec<Found> = Vec::new();
        for next in found {
            match (joined.last_mut(), next) {
                (Some(Found::Text(a)), Found::Text(b))
                | (Some(Found::Arguments(a)), Found::Arguments(b)) => a.push_str(&b),
                (_, next) => joined.push(next),
            }
        }
        joined
    }

    fn pieces(text: &str, size: usize) -> Vec<String> {
        let letters: Vec<char> = text.chars().collect();
        letters.chunks(size.max(1)).map(|chunk| chunk.iter().collect()).collect()
    }

    fn tagged(text: &str, size: usize) -> Vec<Found> {
        let mut reader = Tagged::new(vec!["add".into(), "now".into()]);
        let mut found: Vec<Found> =
            pieces(text, size).iter().flat_map(|piece| reader.push(piece)).collect();
        found.extend(reader.finish());
        join(found)
    }

    fn forced(text: &str, size: usize) -> Vec<Found> {
        let mut reader = Forced::default();
        let mut found: Vec<Found> =
            pieces(text, size).iter().flat_map(|piece| reader.push(piece)).collect();
        found.extend(reader.finish());
        join(found)
    }

    fn call(name: &str, arguments: &str) -> [Found; 2] {
        [Found::Call(name.into()), Found::Arguments(arguments.into())]
    }

    proptest! {
        #[test]
        fn calls_are_found_however_the_text_is_cut(size in 1usize..40) {
            let text = "Let me <b> see.<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":  1}}\n\
                </tool_call>\n<tool_call>{\"name\":\"now\"}</tool_call>";
            let mut expected = vec![Found::Text("Let me <b> see.".into())];
            expected.extend(call("add", "{\"a\":  1}"));
            expected.push(Found::Text("\n".into()));
            expected.extend(call("now", "{}"));
            prop_assert_eq!(tagged(text, size), expected);
        }

        #[test]
        fn a_forced_call_streams_its_arguments_as_written(size in 1usize..40) {
            let text = r#"{"name": "add", "arguments": {"a": "}\"]", "b": [1, {}]} }"#;
            prop_assert_eq!(forced(text, size), call("add", r#"{"a": "}\"]", "b": [1, {}]}"#));
        }
    }

    #[test]
    fn what_is_no_call_of_an_offered_tool_stays_text() {
        for text in [
            "<tool_call>not json</tool_call>",
            "<tool_call>{\"name\":\"rm\",\"arguments\":{}}</tool_call>",
            "<tool_call>{\"name\":\"add\"",
            "a <tool_ca",
        ] {
            assert_eq!(tagged(text, 3), [Found::Text(text.into())], "{text}");
        }
    }

    #[test]
    fn arguments_in_a_string_and_a_missing_end_tag_are_understood() {
        let text = r#"<tool_call>{"name":"add","parameters":"{\"a\":1}"}"#;
        assert_eq!(tagged(text, 5), call("add", r#"{"a":1}"#));
    }

    #[test]
    fn a_forced_call_that_was_cut_short_keeps_what_it_has() {
        assert_eq!(forced(r#"{"name": "add", "arguments": {"a": "#, 4), call("add", r#"{"a": "#));
        assert_eq!(forced(r#"{"name": "ad"#, 4), [Found::Text(r#"{"name": "ad"#.into())]);
    }
}
