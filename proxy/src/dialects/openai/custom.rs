//! Custom tools, whose input is plain text: chat completions and responses write the same thing in
//! two shapes.

use serde_json::{Map, Value, json};
use tollgate_types::{HostedTool, ToolCall};

use super::{CHAT_API, NAMESPACE, responses};

/// Whether a call is of a custom tool, whichever of the two APIs made it.
pub(super) fn is_call(call: &ToolCall) -> bool {
    let is = |namespace: &str, word: &str| {
        let own = call.extras.get(namespace);
        own.and_then(|own| own.get("type")).is_some_and(|kind| kind == word)
    };
    is(NAMESPACE, "custom") || is(responses::NAMESPACE, "custom_tool_call")
}

/// The name of a custom tool.
pub(super) fn name(tool: &HostedTool) -> Option<&str> {
    let config =
        if tool.api == CHAT_API { tool.config.get("custom")?.as_object()? } else { own(tool)? };
    config.get("name")?.as_str()
}

fn own(tool: &HostedTool) -> Option<&Map<String, Value>> {
    let custom = tool.config.get("type").is_some_and(|kind| kind == "custom");
    (tool.api == responses::API && custom).then_some(&tool.config)
}

/// A custom tool of the Responses API as chat completions take it.
pub(super) fn for_chat(tool: &HostedTool) -> Option<Map<String, Value>> {
    let mut custom = own(tool)?.clone();
    custom.shift_remove("type");
    if let Some(Value::Object(format)) = custom.get_mut("format")
        && format.get("type").is_some_and(|kind| kind == "grammar")
    {
        let mut grammar = std::mem::take(format);
        let kind = grammar.shift_remove("type").unwrap_or_default();
        format.insert("type".to_owned(), kind);
        format.insert("grammar".to_owned(), Value::Object(grammar));
    }
    let tool = json!({"type": "custom", "custom": custom});
    tool.as_object().cloned()
}

/// A custom tool of chat completions as the Responses API takes it.
pub(super) fn for_responses(tool: &HostedTool) -> Option<Map<String, Value>> {
    if tool.api != CHAT_API || tool.config.get("type")? != "custom" {
        return None;
    }
    let mut flat = Map::from_iter([("type".to_owned(), Value::from("custom"))]);
    flat.extend(tool.config.get("custom")?.as_object()?.clone());
    if let Some(Value::Object(format)) = flat.get_mut("format")
        && let Some(Value::Object(grammar)) = format.shift_remove("grammar")
    {
        format.extend(grammar);
    }
    Some(flat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_tool_goes_from_one_shape_to_the_other_and_back() {
        let flat = json!({"type": "custom", "name": "sql", "description": "d",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}});
        let deep = json!({"type": "custom", "custom": {"name": "sql", "description": "d",
            "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}}}});
        let hosted = |api: &str, config: &Value| HostedTool {
            api: api.to_owned(),
            config: config.as_object().unwrap().clone(),
        };
        let (own, chat) = (hosted(responses::API, &flat), hosted(CHAT_API, &deep));
        assert_eq!(Value::Object(for_chat(&own).unwrap()), deep);
        assert_eq!(Value::Object(for_responses(&chat).unwrap()), flat);
        assert_eq!((name(&own), name(&chat)), (Some("sql"), Some("sql")));
        assert!(for_chat(&hosted(responses::API, &json!({"type": "web_search"}))).is_none());
    }
}
