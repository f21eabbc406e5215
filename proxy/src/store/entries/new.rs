//! An entry on its way into the books. What it has in common with others is in memory once.

use super::{EntryRow, is_zero};
use crate::store::Tokens;
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    cell::RefCell,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// One request that reached a provider, as an [`EntryRow`] is to tell it: the same fields. As JSON
/// it is an [`EntryRow`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NewEntry {
    /// Tollgate's id of the request.
    pub request_id: String,
    /// What it has in common with others.
    #[serde(flatten)]
    pub kind: Arc<Kind<'static>>,
    /// Tokens by kind.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// Exact cost; absent when the model had no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nano_usd: Option<i64>,
    /// When it was admitted.
    pub started_ms: i64,
    /// From admission to the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<i64>,
    /// From admission to the end.
    #[serde(skip_serializing_if = "is_zero")]
    pub latency_ms: i64,
    /// The upstream's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
}

type Text<'k> = Cow<'k, str>;

/// What entries can have in common; see [`EntryRow`].
#[expect(missing_docs, reason = "an entry's fields have theirs")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind<'k> {
    pub attempt: i64,
    pub user_id: Text<'k>,
    pub key_id: Text<'k>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<Text<'k>>,
    pub provider: Text<'k>,
    pub model: Text<'k>,
    pub asked_model: Text<'k>,
    pub dialect: Text<'k>,
    pub features: Text<'k>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub streamed: i64,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub disposition: Text<'k>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Text<'k>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Text<'k>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub estimated: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clamped: i64,
    pub tool_fees: Text<'k>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Text<'k>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_version: Option<Text<'k>>,
    pub tags: Text<'k>,
}

/// Kinds that a thread remembers. Each has one place, which the next kind of that place takes.
const REMEMBERED: usize = 64;

thread_local! {
    static KINDS: RefCell<[Option<Arc<Kind<'static>>>; REMEMBERED]> =
        const { RefCell::new([const { None }; REMEMBERED]) };
}

impl Kind<'_> {
    /// The same without a copy of its texts, to say what is different about another.
    pub fn borrowed(&self) -> Kind<'_> {
        self.with(Cow::Borrowed)
    }

    /// Where it is in memory already, if this thread had it lately; else a copy.
    pub fn shared(self) -> Arc<Kind<'static>> {
        KINDS.with_borrow_mut(|kinds| {
            let Some(place) = kinds.get_mut(self.place()) else { return Arc::new(self.owned()) };
            match place {
                Some(kind) if **kind == self => Arc::clone(kind),
                _ => Arc::clone(place.insert(Arc::new(self.owned()))),
            }
        })
    }

    fn place(&self) -> usize {
        let mut hasher = DefaultHasher::new();
        (&self.key_id, &self.model, &self.disposition).hash(&mut hasher);
        usize::try_from(hasher.finish() % REMEMBERED as u64).unwrap_or_default()
    }

    fn owned(&self) -> Kind<'static> {
        self.with(|text| Cow::Owned(text.to_owned()))
    }

    fn with<'t, 'w>(&'t self, text: impl Fn(&'t str) -> Text<'w> + Copy) -> Kind<'w> {
        Kind {
            attempt: self.attempt,
            user_id: text(&self.user_id),
            key_id: text(&self.key_id),
            team_id: self.team_id.as_deref().map(text),
            provider: text(&self.provider),
            model: text(&self.model),
            asked_model: text(&self.asked_model),
            dialect: text(&self.dialect),
            features: text(&self.features),
            streamed: self.streamed,
            disposition: text(&self.disposition),
            finish: self.finish.as_deref().map(text),
            error: self.error.as_deref().map(text),
            estimated: self.estimated,
            clamped: self.clamped,
            tool_fees: text(&self.tool_fees),
            price: self.price.as_deref().map(text),
            price_version: self.price_version.as_deref().map(text),
            tags: text(&self.tags),
        }
    }
}

impl From<EntryRow> for NewEntry {
    fn from(row: EntryRow) -> Self {
        let kind = Kind {
            attempt: row.attempt,
            user_id: row.user_id.into(),
            key_id: row.key_id.into(),
            team_id: row.team_id.map(Into::into),
            provider: row.provider.into(),
            model: row.model.into(),
            asked_model: row.asked_model.into(),
            dialect: row.dialect.into(),
            features: row.features.into(),
            streamed: row.streamed,
            disposition: row.disposition.into(),
            finish: row.finish.map(Into::into),
            error: row.error.map(Into::into),
            estimated: row.estimated,
            clamped: row.clamped,
            tool_fees: row.tool_fees.into(),
            price: row.price.map(Into::into),
            price_version: row.price_version.map(Into::into),
            tags: row.tags.into(),
        };
        Self {
            request_id: row.request_id,
            kind: Arc::new(kind),
            tokens: row.tokens,
            cost_nano_usd: row.cost_nano_usd,
            started_ms: row.started_ms,
            first_token_ms: row.first_token_ms,
            latency_ms: row.latency_ms,
            upstream_request_id: row.upstream_request_id,
        }
    }
}

impl From<EntryRow> for Arc<NewEntry> {
    fn from(row: EntryRow) -> Self {
        Self::new(row.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field has a value of its own.
    fn kind(n: i64) -> Kind<'static> {
        let text = |name: &str| -> Text<'static> { format!("{name}{n}").into() };
        Kind {
            attempt: n,
            user_id: text("user"),
            key_id: "key".into(),
            team_id: Some(text("team")),
            provider: text("provider"),
            model: "model".into(),
            asked_model: text("asked"),
            dialect: text("dialect"),
            features: text("features"),
            streamed: n,
            disposition: "settled".into(),
            finish: Some(text("finish")),
            error: Some(text("error")),
            estimated: n,
            clamped: n,
            tool_fees: text("fees"),
            price: Some(text("price")),
            price_version: Some(text("version")),
            tags: text("tags"),
        }
    }

    #[test]
    fn the_same_kind_is_in_memory_once_and_another_never_stands_for_it() {
        let (one, two) = (kind(1), kind(2));
        let shared = one.borrowed().shared();
        assert!(Arc::ptr_eq(&shared, &one.borrowed().shared()));
        // It takes the place of the first, which who has it keeps.
        assert_eq!(*two.borrowed().shared(), two);
        assert_eq!((&*shared, &*one.borrowed().shared()), (&one, &one));
        let other = Kind { tags: "{}".into(), ..one.borrowed() };
        assert_eq!(other.shared().tags, "{}");
    }

    #[test]
    fn an_entry_is_told_as_the_row_that_it_becomes() {
        let kind = Arc::new(kind(3));
        let (tokens, request_id) = (Tokens { input: 7, ..Tokens::default() }, "r".to_owned());
        let entry = NewEntry { request_id, kind, tokens, started_ms: 5, ..NewEntry::default() };
        let text = serde_json::to_string(&entry).unwrap();
        let row: EntryRow = serde_json::from_str(&text).unwrap();
        assert_eq!((row.tokens.input, row.price_version.as_deref()), (7, Some("version3")));
        assert_eq!(NewEntry::from(row), entry);
    }
}
