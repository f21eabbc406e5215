//! What a request names but does not hold: how much of it the model reads, only the provider knows.
//! No more than the model's window fits.

use crate::dialects::{anthropic, google, openai};
use serde_json::{Map, Value};
use tollgate_types::{GenerateRequest, HostedTool, Media, MediaSource, Part, Tool};

/// Kinds of tools that the caller runs, although their makers defined them: what they answer stands
/// in the next request.
const RUN_BY_THE_CALLER: [&str; 10] = [
    "custom",
    "function",
    "bash",
    "text_editor",
    "computer",
    "memory",
    "local_shell",
    "apply_patch",
    "shell",
    "namespace",
];
/// Kinds of media of which the bytes tell how much the model reads at most.
const TOLD_BY_BYTES: [&str; 3] = ["image/", "audio/", "text/"];

/// Whether the model reads what the request does not hold.
pub(in crate::gateway) fn is_in(request: &GenerateRequest) -> bool {
    request.continues.is_some()
        || brings_tools(request)
        || request.tools.iter().any(is_hosted)
        || own(request, google::NAMESPACE).any(|(key, value)| is(key, "cachedcontent", value))
        || own(request, openai::NAMESPACE).any(|(key, value)| is(key, "datasources", value))
        || request.messages.iter().flat_map(|message| &message.content).any(is_unseen)
}

/// Whether the request brings tools that are not among its tools: Anthropic asks these servers which
/// ones they have.
pub(in crate::gateway) fn brings_tools(request: &GenerateRequest) -> bool {
    own(request, anthropic::NAMESPACE).any(|(key, value)| is(key, "mcpservers", value))
}

fn own<'a>(
    request: &'a GenerateRequest,
    namespace: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    request.extras.get(namespace).into_iter().flat_map(Map::iter)
}

/// Whether a field has a name, in whatever spelling, and says anything.
fn is(key: &str, name: &str, value: &Value) -> bool {
    let says_nothing = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    !says_nothing && key.replace('_', "").eq_ignore_ascii_case(name)
}

fn is_hosted(tool: &Tool) -> bool {
    match tool {
        Tool::Function(_) => false,
        Tool::Hosted(tool) => is_run_by_the_provider(tool),
    }
}

/// Whether it is not the caller who runs a tool that the provider defined.
pub(super) fn is_run_by_the_provider(tool: &HostedTool) -> bool {
    let kind = tool.config.get("type").and_then(Value::as_str).unwrap_or_default();
    !RUN_BY_THE_CALLER.iter().any(|own| kind.starts_with(own))
}

fn is_unseen(part: &Part) -> bool {
    match part {
        Part::Media(media) => is_unseen_media(media),
        Part::ToolResult(result) => result.content.iter().any(is_unseen),
        Part::Native(native) => {
            native.item.get("type").is_some_and(|kind| kind == "item_reference")
        }
        Part::Text(_) | Part::Reasoning(_) | Part::ToolCall(_) | Part::Refusal(_) => false,
    }
}

/// A document has as many pages, and a video as many pictures, as it has; what is an image counts as
/// one wherever it is.
fn is_unseen_media(media: &Media) -> bool {
    let is_of = |kind: &str| media.media_type.starts_with(kind);
    match &media.source {
        MediaSource::Base64(_) => !TOLD_BY_BYTES.iter().any(|kind| is_of(kind)),
        MediaSource::Url(_) | MediaSource::FileId(_) => !is_of("image/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(request: Value) -> bool {
        let mut whole = json!({"model": "p/m", "messages": []});
        whole.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
        !is_in(&serde_json::from_value(whole).unwrap())
    }

    fn media(kind: &str, source: &str) -> Value {
        let part = json!({"type": "media", "media_type": kind, "source": {source: "AA=="}});
        json!({"messages": [{"role": "user", "content": [part]}]})
    }

    #[test]
    fn what_the_request_does_not_hold_is_noticed() {
        let hosted = |kind: &str| json!({"tools": [{"type": "hosted", "api": "a", "config": {"type": kind}}]});
        let reference = json!({"type": "native", "api": "a", "item": {"type": "item_reference"}});
        for unseen in [
            json!({"continues": "resp_1"}),
            hosted("web_search_20250305"),
            json!({"extras": {"google": {"cached_content": "cachedContents/1"}}}),
            json!({"extras": {"anthropic": {"mcp_servers": [{"url": "https://a.example"}]}}}),
            media("application/pdf", "file_id"),
            media("application/pdf", "base64"),
            media("video/mp4", "url"),
            media("audio/mpeg", "url"),
            json!({"messages": [{"role": "user", "content": [reference]}]}),
        ] {
            assert!(!seen(unseen.clone()), "{unseen}");
        }
        for plain in [
            json!({}),
            hosted("custom"),
            hosted("bash_20250124"),
            json!({"extras": {"google": {"cachedContent": null}, "anthropic": {"mcp_servers": []}}}),
            media("image/png", "url"),
            media("audio/wav", "base64"),
            media("text/plain", "base64"),
        ] {
            assert!(seen(plain.clone()), "{plain}");
        }
    }

    #[test]
    fn servers_with_tools_need_the_permission_for_tools() {
        let asked = |servers: Value| {
            let extras = json!({"anthropic": {"mcp_servers": servers}});
            let request = json!({"model": "p/m", "messages": [], "extras": extras});
            let request = serde_json::from_value(request).unwrap();
            let call = crate::gateway::Call {
                request,
                request_id: String::new(),
                dialect: "anthropic",
                streamed: false,
            };
            call.features()
        };
        assert!(
            asked(json!([{"url": "https://a.example"}])).contains(&tollgate_types::Feature::Tools)
        );
        assert!(!asked(json!([])).contains(&tollgate_types::Feature::Tools));
    }
}
