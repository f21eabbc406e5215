//! What other vendors want back unchanged, on its way through a Responses client.
//!
//! Such a client returns reasoning items as they came, `encrypted_content` included. So what a
//! vendor signed travels there, in a wrapping that we know again: the signature and encrypted text
//! of a piece of reasoning, or what belongs to a call or a text (Google's thought signatures). What
//! comes back is restored and goes to the same vendor only; OpenAI never sees a seal.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tollgate_types::{Extras, Part, Reasoning};

use super::{super::NAMESPACE as CHAT_NAMESPACE, NAMESPACE};

/// What a seal begins with.
pub(super) const MARK: &str = "tollgate.v1.";

/// What is sealed.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Seal {
    /// The wire format that wants it back.
    pub(super) api: String,
    /// What it belongs to.
    pub(super) on: On,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encrypted: Option<String>,
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    extras: Extras,
}

/// What a seal belongs to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum On {
    /// The reasoning of the item that carries it.
    Reasoning,
    /// The call with this id.
    Call(String),
    /// A part of the message item before, by its place there.
    Message(usize),
}

impl Seal {
    /// Seals a piece of reasoning that another API made.
    pub(super) fn reasoning(api: &str, reasoning: &Reasoning) -> Self {
        Self {
            api: api.to_owned(),
            on: On::Reasoning,
            signature: reasoning.signature.clone(),
            encrypted: reasoning.encrypted.clone(),
            extras: foreign(&reasoning.extras),
        }
    }

    /// Seals what other vendors keep with a part; `None` when they keep nothing.
    pub(super) fn facts(api: &str, on: On, extras: &Extras) -> Option<Self> {
        let extras = foreign(extras);
        let seal = Self { api: api.to_owned(), on, signature: None, encrypted: None, extras };
        (!seal.extras.is_empty()).then_some(seal)
    }

    /// The seal that an item carries.
    pub(super) fn of_item(item: &Value) -> Option<Self> {
        let sealed = item.get("encrypted_content")?.as_str()?.strip_prefix(MARK)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(sealed).ok()?).ok()
    }

    /// As `encrypted_content`.
    pub(super) fn write(&self) -> String {
        let json = json!(self).to_string();
        format!("{MARK}{}", URL_SAFE_NO_PAD.encode(json))
    }

    /// A reasoning item that holds nothing but the seal.
    pub(super) fn into_item(self, id: &str) -> Map<String, Value> {
        Map::from_iter([
            ("id".to_owned(), id.into()),
            ("type".to_owned(), "reasoning".into()),
            ("summary".to_owned(), json!([])),
            ("encrypted_content".to_owned(), self.write().into()),
        ])
    }

    /// The reasoning that was sealed; its text stood in the open.
    pub(super) fn into_reasoning(self, text: String) -> Part {
        let (signature, encrypted) = (self.signature, self.encrypted);
        Part::Reasoning(Reasoning { text, signature, encrypted, extras: self.extras })
    }

    /// Gives a part back what was sealed.
    pub(super) fn restore(self, part: &mut Part) {
        if let Some(extras) = part.extras_mut() {
            extras.extend(self.extras);
        }
    }
}

/// Whether a body holds seals.
pub(super) fn is_in(body: &[u8]) -> bool {
    body.windows(MARK.len()).any(|window| window == MARK.as_bytes())
}

/// What belongs to other vendors.
fn foreign(extras: &Extras) -> Extras {
    let mut extras = extras.clone();
    extras.retain(|name, facts| name != NAMESPACE && name != CHAT_NAMESPACE && !facts.is_empty());
    extras
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_comes_back_and_nothing_else_is_a_seal() {
        let reasoning = Reasoning {
            text: "hm".into(),
            signature: Some("sig/+=".into()),
            encrypted: Some("xyz".into()),
            extras: Extras::from([("google".into(), Map::from_iter([("a".into(), json!(1))]))]),
        };
        let seal = Seal::reasoning("anthropic.messages", &reasoning);
        let item = Value::Object(Seal::reasoning("anthropic.messages", &reasoning).into_item("r"));
        let opened = Seal::of_item(&item).unwrap();
        assert_eq!(opened, seal);
        assert_eq!(opened.into_reasoning("hm".into()), Part::Reasoning(reasoning));
        assert!(is_in(item.to_string().as_bytes()));
        for other in ["gAAAA", "tollgate.v1.", "tollgate.v1.!!", "tollgate.v1.e30"] {
            assert!(Seal::of_item(&json!({"encrypted_content": other})).is_none(), "{other}");
        }
    }
}
