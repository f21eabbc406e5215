//! What vendors want back with their reasoning and calls, on its way through a client of chat
//! completions.
//!
//! Reasoning travels as `reasoning_details`, as OpenRouter writes them: text with a signature
//! (Anthropic), encrypted blocks (Anthropic's redacted thinking, OpenAI's responses). Google's
//! thought signature of a call travels in its `extra_content`, as Google's own compatible endpoint
//! writes it. A client that returns both as they came gets them restored; one that keeps only
//! `reasoning_content` loses the signatures, and a signature on a text of Google's has no place.

use serde_json::{Map, Value, json};
use tollgate_types::{Extras, Part, Reasoning};

use super::{NAMESPACE, responses};
use crate::dialects::merge::object;

/// Where OpenRouter's details stand in a message, and among the extras of a piece of reasoning.
pub(super) const DETAILS: &str = "reasoning_details";
const GOOGLE: &str = "google";
const GOOGLE_SIGNATURE: &str = "thoughtSignature";
const EXTRA_CONTENT: &str = "extra_content";

/// Formats of details and the wire formats they belong to (openrouter.ai/docs, "Reasoning tokens").
const FORMATS: [(&str, &str); 4] = [
    ("anthropic-claude-v1", "anthropic.messages"),
    ("google-gemini-v1", "google.generate_content"),
    ("openai-responses-v1", responses::API),
    ("xai-responses-v1", responses::API),
];

/// The details of a piece of reasoning: its own, else what another API signed.
pub(super) fn of(reasoning: &Reasoning, api: &str, at: usize) -> Vec<Value> {
    let own = reasoning.extras.get(NAMESPACE).and_then(|own| own.get(DETAILS));
    if let Some(Value::Array(own)) = own {
        return own.clone();
    }
    let Some((format, _)) = FORMATS.iter().find(|(_, of)| *of == api) else { return Vec::new() };
    let sealed = |data: &String, id: Option<&Value>| {
        Value::Object(object([
            ("type", Some("reasoning.encrypted".into())),
            ("data", Some(data.as_str().into())),
            ("id", id.cloned()),
            ("format", Some((*format).into())),
            ("index", Some(at.into())),
        ]))
    };
    let id = reasoning.extras.get(responses::NAMESPACE).and_then(|own| own.get("id"));
    let mut details = Vec::new();
    match &reasoning.signature {
        Some(signature) if api == responses::API => {
            if !reasoning.text.is_empty() {
                details.push(json!({"type": "reasoning.summary", "summary": reasoning.text,
                    "id": id, "format": format, "index": at}));
            }
            details.push(sealed(signature, id));
        }
        Some(signature) => details.push(json!({"type": "reasoning.text", "text": reasoning.text,
            "signature": signature, "format": format, "index": at})),
        None => {}
    }
    details.extend(reasoning.encrypted.as_ref().map(|data| sealed(data, None)));
    details
}

/// The details without the text that a stream has told already; what says nothing else is left out.
pub(super) fn without_text(details: Vec<Value>) -> Vec<Value> {
    let bare = |detail: Value| {
        let Value::Object(mut detail) = detail else { return Some(detail) };
        let told = detail.shift_remove("text").is_some() | detail.shift_remove("summary").is_some();
        let says = |key: &str| detail.get(key).is_some_and(|value| !value.is_null());
        let more = ["signature", "data", "id"].into_iter().any(says);
        (more || !told).then_some(Value::Object(detail))
    };
    details.into_iter().filter_map(bare).collect()
}

/// The reasoning of a turn that a client sends back with its details, and the API that made it.
/// Where a detail lacks its text, it is the one that stood in the open.
pub(super) fn decode(details: &[Value], open: &str) -> (Vec<Reasoning>, Option<&'static str>) {
    let format = |detail: &Value| {
        let word = detail.get("format")?.as_str()?;
        FORMATS.iter().find(|(format, _)| *format == word).map(|(_, api)| *api)
    };
    let api = details.iter().find_map(format);
    let mut pieces: Vec<Reasoning> = if api == Some(responses::API) {
        items(details)
    } else {
        details.iter().map(piece).collect()
    };
    let told: bool = pieces.iter().any(|piece| !piece.text.is_empty());
    if !told && !open.is_empty() {
        match pieces.iter_mut().find(|piece| piece.encrypted.is_none()) {
            Some(piece) => open.clone_into(&mut piece.text),
            None => pieces.insert(0, Reasoning { text: open.to_owned(), ..Reasoning::default() }),
        }
    }
    if let Some(first) = pieces.first_mut() {
        let own = object([(DETAILS, Some(Value::Array(details.to_vec())))]);
        first.extras.entry(NAMESPACE.to_owned()).or_default().extend(own);
    }
    (pieces, api)
}

fn piece(detail: &Value) -> Reasoning {
    let word = |key: &str| Some(detail.get(key)?.as_str()?.to_owned());
    Reasoning {
        text: word("text").or_else(|| word("summary")).unwrap_or_default(),
        signature: word("signature"),
        encrypted: word("data"),
        extras: Extras::new(),
    }
}

/// Summaries and encrypted content of OpenAI's reasoning items, put together by their ids.
fn items(details: &[Value]) -> Vec<Reasoning> {
    let mut items: Vec<(Option<&Value>, Reasoning)> = Vec::new();
    for detail in details {
        let id = detail.get("id").filter(|id| id.is_string());
        let said = piece(detail);
        match items.last_mut() {
            Some((last, item)) if *last == id && item.signature.is_none() => {
                item.text.push_str(&said.text);
                item.signature = said.encrypted.or(said.signature);
            }
            _ => {
                let own = object([("id", id.cloned())]);
                let extras = Extras::from([(responses::NAMESPACE.to_owned(), own)]);
                let signature = said.encrypted.or(said.signature);
                items.push((id, Reasoning { text: said.text, signature, encrypted: None, extras }));
            }
        }
    }
    items.into_iter().map(|(_, item)| item).collect()
}

/// Takes Google's signature of a call out of its fields.
pub(super) fn take_signature(call: &mut Map<String, Value>) -> Extras {
    let Some(Value::Object(extra)) = call.get_mut(EXTRA_CONTENT) else { return Extras::new() };
    let Some(Value::Object(google)) = extra.get_mut(GOOGLE) else { return Extras::new() };
    let Some(signature) = google.shift_remove("thought_signature") else { return Extras::new() };
    if google.is_empty() {
        extra.shift_remove(GOOGLE);
    }
    if extra.is_empty() {
        call.shift_remove(EXTRA_CONTENT);
    }
    Extras::from([(GOOGLE.to_owned(), object([(GOOGLE_SIGNATURE, Some(signature))]))])
}

/// Puts Google's signature of a call among its fields.
pub(super) fn put_signature(call: &mut Map<String, Value>, extras: &Extras) {
    let signature = extras.get(GOOGLE).and_then(|google| google.get(GOOGLE_SIGNATURE));
    let Some(signature) = signature else { return };
    let extra = call.entry(EXTRA_CONTENT).or_insert_with(|| json!({}));
    if let Value::Object(extra) = extra {
        let google = extra.entry(GOOGLE).or_insert_with(|| json!({}));
        if let Value::Object(google) = google {
            google.insert("thought_signature".to_owned(), signature.clone());
        }
    }
}

/// The parts of a turn's reasoning.
pub(super) fn parts(pieces: Vec<Reasoning>) -> impl Iterator<Item = Part> {
    pieces.into_iter().map(Part::Reasoning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vendor_signed_goes_out_and_comes_back() {
        let signed =
            Reasoning { text: "hm".into(), signature: Some("sig".into()), ..Reasoning::default() };
        let hidden = Reasoning { encrypted: Some("xyz".into()), ..Reasoning::default() };
        let mut details = of(&signed, "anthropic.messages", 0);
        details.extend(of(&hidden, "anthropic.messages", 1));
        let (mut back, api) = decode(&details, "hm");
        back[0].extras.clear();
        assert_eq!((back, api), (vec![signed, hidden], Some("anthropic.messages")));
        assert!(of(&Reasoning::default(), "ollama.chat", 0).is_empty());
    }

    #[test]
    fn openai_s_items_come_back_whole() {
        let own = object([("id", Some("rs_1".into()))]);
        let item = Reasoning {
            text: "sum".into(),
            signature: Some("enc".into()),
            encrypted: None,
            extras: Extras::from([(responses::NAMESPACE.to_owned(), own)]),
        };
        let (mut back, api) = decode(&of(&item, responses::API, 0), "");
        back[0].extras.remove(NAMESPACE);
        assert_eq!((back, api), (vec![item], Some(responses::API)));
    }

    #[test]
    fn a_stream_does_not_tell_text_twice_and_the_open_text_fills_the_gap() {
        let told = vec![
            json!({"type": "reasoning.text", "text": "a", "index": 0}),
            json!({"type": "reasoning.text", "text": "b", "signature": "s", "index": 1}),
            json!({"type": "brand_new"}),
        ];
        let rest = without_text(told);
        assert_eq!(rest.len(), 2);
        assert!(rest[0].get("text").is_none() && rest[0]["signature"] == "s");
        let (back, _) = decode(&rest[..1], "ab");
        assert_eq!((back[0].text.as_str(), back[0].signature.as_deref()), ("ab", Some("s")));
    }

    #[test]
    fn google_s_signature_of_a_call_goes_where_its_compatible_endpoint_has_it() {
        let mut call =
            object([("extra_content", Some(json!({"google": {"thought_signature": "s"}})))]);
        let extras = take_signature(&mut call);
        assert!(call.is_empty());
        assert_eq!(extras["google"]["thoughtSignature"], "s");
        put_signature(&mut call, &extras);
        assert_eq!(call["extra_content"], json!({"google": {"thought_signature": "s"}}));
    }
}
