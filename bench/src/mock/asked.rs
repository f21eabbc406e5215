//! What a request asks for, whichever dialect it is written in: the dialects differ in names and
//! nesting only, so one reader serves all of them.

use serde_json::Value;
use std::borrow::Cow;

/// What Google calls the result of a tool.
const FUNCTION_RESPONSE: [&str; 2] = ["functionResponse", "function_response"];

/// A field that Google reads under both of its names; its own clients mix them.
pub(super) fn either<'a>(value: &'a Value, names: [&str; 2]) -> Option<&'a Value> {
    names.iter().find_map(|name| value.get(name))
}

/// What a request asks for.
pub(super) struct Asked<'a> {
    /// The model's name, as it was sent.
    pub(super) model: Cow<'a, str>,
    /// The text of the last user message.
    pub(super) said: Cow<'a, str>,
    request: &'a Value,
}

impl<'a> Asked<'a> {
    /// Reads a request; `path_model` is the model that its path names.
    pub(super) fn of(request: &'a Value, path_model: Option<&str>) -> Self {
        let model = match path_model {
            Some(model) => Cow::Owned(model.to_owned()),
            None => {
                let model = request.get("model").or_else(|| request.get("name"));
                Cow::Borrowed(model.and_then(Value::as_str).unwrap_or_default())
            }
        };
        Self { model, said: last_user_text(request), request }
    }

    /// How many words were sent: one word is one token.
    pub(super) fn words(&self) -> usize {
        let messages: usize = messages(self.request).map(words_in).sum();
        let beside = ["system", "instructions", "systemInstruction", "system_instruction"];
        let beside = beside.iter().filter_map(|key| self.request.get(key)).map(words_in);
        let plain = ["input", "prompt"].iter().filter_map(|key| self.request.get(key)?.as_str());
        messages + beside.sum::<usize>() + plain.map(count).sum::<usize>()
    }

    /// Whether the last message is the result of a tool, and what it says.
    pub(super) fn tool_result(&self) -> Option<String> {
        let last = messages(self.request).last()?;
        if last.get("role").is_some_and(|role| role == "tool") {
            return Some(text_of(last).into_owned());
        }
        if let Some(output) = last.get("output") {
            return Some(text_of(output).into_owned());
        }
        let parts = last.get("content").or_else(|| last.get("parts"))?.as_array()?;
        parts.iter().rev().find_map(|part| {
            let response = either(part, FUNCTION_RESPONSE).map(|result| result.get("response"));
            let is_result = part.get("type").is_some_and(|kind| kind == "tool_result");
            match (response, is_result) {
                (Some(response), _) => Some(response.map(Value::to_string).unwrap_or_default()),
                (None, true) => Some(text_of(part).into_owned()),
                (None, false) => None,
            }
        })
    }

    /// The n-th tool and its schema, starting over after the last one.
    pub(super) fn tool(&self, n: usize) -> Option<(&'a str, Option<&'a Value>)> {
        let tools: Vec<&Value> = tools(self.request).collect();
        let tool = tools.get(n.checked_rem(tools.len())?)?;
        let schemas =
            ["parameters", "input_schema", "parametersJsonSchema", "parameters_json_schema"];
        let schema = schemas.iter().find_map(|key| tool.get(key));
        Some((tool.get("name")?.as_str()?, schema))
    }
}

/// The functions among the tools.
fn tools(request: &Value) -> impl Iterator<Item = &Value> {
    let tools = request.get("tools").and_then(Value::as_array).into_iter().flatten();
    let functions = tools.flat_map(|tool| {
        match either(tool, ["functionDeclarations", "function_declarations"]) {
            Some(declared) => declared.as_array().map(Vec::as_slice).unwrap_or_default(),
            None => std::slice::from_ref(tool.get("function").unwrap_or(tool)),
        }
    });
    functions.filter(|function| function.get("name").is_some_and(Value::is_string))
}

/// The messages, oldest first.
fn messages(request: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    let lists = ["messages", "input", "contents"];
    lists.into_iter().filter_map(|key| request.get(key)?.as_array()).flatten()
}

/// The text of the last user message.
fn last_user_text(request: &Value) -> Cow<'_, str> {
    // Google lets a lone message go without its role.
    let is_user = |message: &&Value| match message.get("role") {
        Some(role) => role == "user",
        None => message.get("parts").is_some(),
    };
    if let Some(message) = messages(request).rev().find(is_user) {
        return text_of(message);
    }
    let plain = ["input", "prompt"].iter().find_map(|key| request.get(key)?.as_str());
    Cow::Borrowed(plain.unwrap_or_default())
}

/// All text of a message, a part or a text.
fn text_of(value: &Value) -> Cow<'_, str> {
    let parts = match body_of(value) {
        Value::String(text) => return Cow::Borrowed(text),
        Value::Array(parts) => parts,
        _ => return Cow::default(),
    };
    let mut texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
    match (texts.next(), texts.next()) {
        (None, _) => Cow::default(),
        (Some(only), None) => Cow::Borrowed(only),
        (Some(first), Some(second)) => {
            let all: Vec<&str> = [first, second].into_iter().chain(texts).collect();
            Cow::Owned(all.join(" "))
        }
    }
}

/// Where a message keeps what it says.
fn body_of(value: &Value) -> &Value {
    let keys = ["content", "parts", "output"];
    keys.iter().find_map(|key| value.get(key)).unwrap_or(value)
}

/// The words in a message, with those of tool results.
fn words_in(value: &Value) -> usize {
    match body_of(value) {
        Value::String(text) => count(text),
        Value::Array(parts) => parts.iter().map(words_of_part).sum(),
        _ => 0,
    }
}

fn words_of_part(part: &Value) -> usize {
    if let Some(text) = part.get("text").and_then(Value::as_str) {
        return count(text);
    }
    match either(part, FUNCTION_RESPONSE).and_then(|result| result.get("response")) {
        Some(response) => count(&response.to_string()),
        None if part.get("content").is_some() => words_in(part),
        None => part.as_str().map(count).unwrap_or_default(),
    }
}

/// One word is one token.
pub(super) fn count(text: &str) -> usize {
    text.split_whitespace().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_dialect_says_the_same() {
        let requests = [
            json!({"messages": [{"role": "system", "content": "be kind"},
                {"role": "user", "content": "hi there"}]}),
            json!({"instructions": "be kind", "input": "hi there"}),
            json!({"instructions": "be kind", "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "hi there"}]}]}),
            json!({"system": [{"type": "text", "text": "be kind"}], "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hi there"}]}]}),
            json!({"systemInstruction": {"parts": [{"text": "be kind"}]},
                "contents": [{"parts": [{"text": "hi there"}]}]}),
            json!({"system": "be kind", "prompt": "hi there"}),
        ];
        for request in requests {
            let asked = Asked::of(&request, None);
            assert_eq!((&*asked.said, asked.words()), ("hi there", 4), "{request}");
            assert!(asked.tool_result().is_none());
        }
    }

    #[test]
    fn tools_are_found_in_every_dialect() {
        let schema = json!({"type": "object"});
        let tools = [
            json!([{"type": "function", "function": {"name": "add", "parameters": schema}}]),
            json!([{"type": "function", "name": "add", "parameters": schema}]),
            json!([{"name": "add", "input_schema": schema}]),
            json!([{"functionDeclarations": [{"name": "add", "parametersJsonSchema": schema}]}]),
            json!([{"function_declarations": [{"name": "add", "parameters_json_schema": schema}]}]),
        ];
        for tools in tools {
            let request = json!({"tools": tools});
            let found = Asked::of(&request, None).tool(3);
            assert_eq!(found, Some(("add", Some(&schema))), "{request}");
        }
        assert_eq!(Asked::of(&json!({"tools": [{"googleSearch": {}}]}), None).tool(0), None);
    }

    #[test]
    fn tool_results_are_found_in_every_dialect() {
        let last = [
            json!({"messages": [{"role": "tool", "content": "42"}]}),
            json!({"input": [{"type": "function_call_output", "output": "42"}]}),
            json!({"messages": [{"role": "user", "content": [
                {"type": "tool_result", "content": [{"type": "text", "text": "42"}]}]}]}),
            json!({"contents": [{"role": "user", "parts": [
                {"functionResponse": {"name": "add", "response": 42}}]}]}),
            json!({"contents": [{"role": "user", "parts": [
                {"function_response": {"name": "add", "response": 42}}]}]}),
        ];
        for request in last {
            let asked = Asked::of(&request, None);
            assert_eq!(asked.tool_result().as_deref(), Some("42"), "{request}");
            assert_eq!(asked.words(), 1, "{request}");
        }
    }
}
