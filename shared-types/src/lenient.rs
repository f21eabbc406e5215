//! Reading what a newer server says: what an older reader does not know is kept aside or left out,
//! and never makes the rest unreadable. Requests are read strictly; this is for answers alone.

use crate::{DelegatedPermissions, Feature, Part};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};

/// Under this name a part keeps what its reader does not know.
pub(crate) const NATIVE_API: &str = "tollgate";

/// Items that can be read; one that says a word of a newer server is left out.
pub(crate) fn readable<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let items = Vec::<Value>::deserialize(from)?;
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}

/// A value, or nothing where it says a word of a newer server.
pub(crate) fn if_readable<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Option::<Value>::deserialize(from)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// Permissions of a key that is there: a feature that nobody here knows is left out.
pub(crate) fn permissions<'de, D>(from: D) -> Result<DelegatedPermissions, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Fields {
        providers: Option<Vec<String>>,
        models: Option<Vec<String>>,
        features: Option<Vec<String>>,
    }
    let Fields { providers, models, features } = Fields::deserialize(from)?;
    let known = |words: Vec<String>| -> Vec<Feature> {
        words.iter().filter_map(|word| word.parse().ok()).collect()
    };
    Ok(DelegatedPermissions { providers, models, features: features.map(known) })
}

/// A part of an answer. A kind that nobody here knows becomes a native item, a field that nobody
/// here knows goes to the part's extras.
pub(crate) fn part<'de, D: Deserializer<'de>>(from: D) -> Result<Part, D::Error> {
    read_part(Value::deserialize(from)?).map_err(D::Error::custom)
}

/// Parts of an answer, each as [`part`].
pub(crate) fn parts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Part>, D::Error> {
    let values = Vec::<Value>::deserialize(from)?;
    values.into_iter().map(read_part).collect::<Result<_, _>>().map_err(D::Error::custom)
}

fn read_part(mut value: Value) -> Result<Part, serde_json::Error> {
    match gather(&mut value) {
        true => serde_json::from_value(value),
        false => serde_json::from_value(native(value)),
    }
}

fn native(item: Value) -> Value {
    serde_json::json!({"type": "native", "api": NATIVE_API, "item": item})
}

/// Moves unknown fields of a part into its extras; false when the part is of an unknown kind.
fn gather(part: &mut Value) -> bool {
    let Some(fields) = part.as_object_mut() else { return true };
    let known: &[&str] = match fields.get("type").and_then(Value::as_str) {
        Some("text") => &["text", "citations", "logprobs"],
        Some("reasoning") => &["text", "signature", "encrypted"],
        Some("tool_call") => &["id", "name", "arguments", "hosted"],
        Some("tool_result") => &["call_id", "name", "content", "is_error"],
        Some("media") => &["media_type", "source", "filename", "transcript"],
        Some("refusal") => &["text"],
        Some("native") => &["api", "item"],
        Some(_) => return false,
        // Not a part at all: the strict reader says so.
        None => return true,
    };
    if known.contains(&"api") {
        fields.retain(|name, _| name == "type" || known.contains(&name.as_str()));
        return true;
    }
    move_unknown(fields, known);
    if let Some(Value::Array(citations)) = fields.get_mut("citations") {
        for citation in citations.iter_mut().filter_map(Value::as_object_mut) {
            move_unknown(citation, &["url", "title", "quote", "span"]);
        }
    }
    if let Some(Value::Array(content)) = fields.get_mut("content") {
        for inner in content {
            if !gather(inner) {
                *inner = native(inner.take());
            }
        }
    }
    match fields.get("source").and_then(Value::as_object) {
        Some(source) => {
            source.keys().all(|word| matches!(word.as_str(), "base64" | "url" | "file_id"))
        }
        None => true,
    }
}

fn move_unknown(fields: &mut Map<String, Value>, known: &[&str]) {
    let is_known = |name: &str| matches!(name, "type" | "extras") || known.contains(&name);
    let unknown: Vec<String> = fields.keys().filter(|name| !is_known(name)).cloned().collect();
    if unknown.is_empty() {
        return;
    }
    let taken: Vec<_> = unknown.into_iter().filter_map(|name| fields.remove_entry(&name)).collect();
    let extras = fields.entry("extras").or_insert_with(|| Value::Object(Map::new()));
    if let Some(extras) = extras.as_object_mut() {
        let own = extras.entry(NATIVE_API).or_insert_with(|| Value::Object(Map::new()));
        if let Some(own) = own.as_object_mut() {
            own.extend(taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Blame, Error, ErrorKind, FinishReason, GenerateResponse, MediaSource, ModelInfo, Part,
        StreamEvent, wire::BudgetList,
    };
    use serde_json::json;

    fn budget(resource: &str) -> serde_json::Value {
        json!({"budget": "b", "owner": "user:a", "resource": resource, "window": "day",
            "cap": 1, "spent": 0, "held": 0, "colour": "red"})
    }

    #[test]
    fn an_answer_of_a_newer_server_is_read_and_nothing_of_it_is_lost() {
        let answer = json!({
            "content": [
                {"type": "text", "text": "hi", "colour": "red",
                    "citations": [{"url": "u", "page": 3}]},
                {"type": "hologram", "beams": [1, 2]},
                {"type": "media", "media_type": "image/png", "source": {"torrent": "x"}},
                {"type": "tool_result", "call_id": "c",
                    "content": [{"type": "smell", "of": "rain"}]},
            ],
            "finish": {"reason": "bored", "raw": "BORED", "mood": 1},
            "usage": {"input": 1, "output": 2, "dreams": 3},
            "origin": {"api": "a", "provider": "p", "model": "m", "planet": "Mars"},
            "receipt": {"request_id": "r", "budgets": [budget("cost"), budget("gold")], "tip": 1},
            "mood": "good",
        });
        let answer: GenerateResponse = serde_json::from_value(answer).unwrap();
        assert_eq!(answer.text(), "hi");
        assert_eq!(answer.finish.reason, FinishReason::Other);
        assert_eq!(answer.receipt.unwrap().budgets.len(), 1);
        let Part::Text(text) = &answer.content[0] else { panic!("{:?}", answer.content) };
        assert_eq!(text.extras["tollgate"]["colour"], "red");
        assert_eq!(text.citations[0].extras["tollgate"]["page"], 3);
        let Part::Native(hologram) = &answer.content[1] else { panic!("{:?}", answer.content) };
        assert_eq!(hologram.item["beams"], json!([1, 2]));
        assert!(matches!(&answer.content[2], Part::Native(item) if item.api == "tollgate"));
        let Part::ToolResult(result) = &answer.content[3] else { panic!("{:?}", answer.content) };
        assert!(matches!(&result.content[0], Part::Native(item) if item.item["of"] == "rain"));
    }

    #[test]
    fn events_and_errors_of_a_newer_server_are_read() {
        let part = json!({"type": "part_start", "index": 0, "at": 1,
            "part": {"type": "reasoning", "text": "hm", "depth": 2}});
        let StreamEvent::PartStart { part, .. } = serde_json::from_value(part).unwrap() else {
            panic!("no part")
        };
        assert!(matches!(part, Part::Reasoning(part) if part.extras["tollgate"]["depth"] == 2));
        let error = json!({"kind": "moon_phase", "message": "m", "retryable": true,
            "blame": "the moon", "quota": budget("gold"), "tide": "high"});
        let error: Error = serde_json::from_value(error).unwrap();
        assert_eq!((error.kind(), error.body().blame), (ErrorKind::Other, Blame::Upstream));
        assert!(error.is_retryable() && error.body().quota.is_none());
        let bare: Error =
            serde_json::from_value(json!({"kind": "conflict", "message": "m"})).unwrap();
        assert!(!bare.is_retryable());
    }

    #[test]
    fn lists_of_a_newer_server_are_read() {
        let list: BudgetList =
            serde_json::from_value(json!({"budgets": [budget("gold"), budget("tokens")]})).unwrap();
        assert_eq!(list.budgets.len(), 1);
        let model = json!({"id": "m", "features": ["chat", "fly"], "wings": 2});
        let model: ModelInfo = serde_json::from_value(model).unwrap();
        assert_eq!(model.features, [crate::Feature::Chat]);
        let key = json!({"id": "k", "name": "n", "depth": 1, "created_ms": 1, "expires_ms": 2,
            "permissions": {"features": ["chat", "fly"], "seas": ["all"]},
            "budgets": [budget("gold")]});
        let key: crate::DelegatedKey = serde_json::from_value(key).unwrap();
        assert_eq!(key.permissions.features, Some(vec![crate::Feature::Chat]));
        assert!(key.budgets.is_empty());
    }

    #[test]
    fn what_is_broken_and_not_new_is_still_an_error() {
        for broken in [
            json!({"type": "text"}),
            json!({"type": "text", "text": 1}),
            json!({"text": "a"}),
            json!("text"),
            json!({"type": "media", "media_type": "a/b", "source": {"base64": 1}}),
        ] {
            let event = json!({"type": "part_start", "index": 0, "part": broken});
            assert!(serde_json::from_value::<StreamEvent>(event).is_err(), "{broken}");
        }
        let kept = json!({"type": "media", "media_type": "a/b", "source": {"base64": "AA=="}});
        let event = json!({"type": "part_start", "index": 0, "part": kept});
        let StreamEvent::PartStart { part: Part::Media(media), .. } =
            serde_json::from_value(event).unwrap()
        else {
            panic!("no media")
        };
        assert_eq!(media.source, MediaSource::Base64("AA==".to_owned()));
    }
}
