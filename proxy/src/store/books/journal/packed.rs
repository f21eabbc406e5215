//! A batch as a row of the journal holds it: JSON in which what many of its calls have in common is
//! written once, and the rest are arrays. Every call is in the journal twice, so its length counts.

use super::Changes;
use crate::store::{
    Booking, EntryRow, NewAlert, NewHold, Share, StoreError, Tokens, WindowChange, WindowKey,
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::HashMap, hash::Hash, sync::Arc};

type Text<'c> = Cow<'c, str>;

/// The batch. Numbers that stand for something of another list are places in it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Packed<'c> {
    nodes: Vec<Text<'c>>,
    kinds: Vec<Kind<'c>>,
    windows: Vec<(Text<'c>, i64)>,
    changed: Vec<(usize, i64, i64)>,
    placed: Vec<PackedHold<'c>>,
    ended: Vec<Text<'c>>,
    notes: Vec<(Text<'c>, i64)>,
    booked: Vec<(PackedEntry<'c>, PackedShares)>,
    alerts: Cow<'c, [NewAlert]>,
}

/// What entries can have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind<'c> {
    attempt: i64,
    user_id: Text<'c>,
    key_id: Text<'c>,
    team_id: Option<Text<'c>>,
    provider: Text<'c>,
    model: Text<'c>,
    asked_model: Text<'c>,
    dialect: Text<'c>,
    features: Text<'c>,
    streamed: i64,
    disposition: Text<'c>,
    finish: Option<Text<'c>>,
    error: Option<Text<'c>>,
    estimated: i64,
    clamped: i64,
    tool_fees: Text<'c>,
    price: Option<Text<'c>>,
    price_version: Option<Text<'c>>,
    tags: Text<'c>,
}

/// The rest of an entry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackedEntry<'c> {
    #[serde(rename = "k")]
    kind: usize,
    #[serde(rename = "r")]
    request_id: Text<'c>,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    upstream_request_id: Option<Text<'c>>,
    #[serde(rename = "t")]
    tokens: [i64; 9],
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    cost_nano_usd: Option<i64>,
    #[serde(rename = "s")]
    started_ms: i64,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    first_token_ms: Option<i64>,
    #[serde(rename = "l")]
    latency_ms: i64,
}

/// Windows and amounts.
type PackedShares = Vec<(usize, i64)>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackedHold<'c> {
    id: Text<'c>,
    node: usize,
    draft: PackedEntry<'c>,
    delivered_tokens: i64,
    created_ms: i64,
    shares: PackedShares,
}

/// Things that are written once, in the order in which they came.
#[derive(Debug)]
struct Table<K> {
    rows: Vec<K>,
    places: HashMap<K, usize>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { rows: Vec::new(), places: HashMap::new() }
    }
}

impl<K: Clone + Eq + Hash> Table<K> {
    fn place(&mut self, key: K) -> usize {
        let next = self.rows.len();
        // Calls of the same kind come together more often than not.
        if self.rows.last() == Some(&key) {
            return next.saturating_sub(1);
        }
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        self.rows.push(key.clone());
        self.places.insert(key, next);
        next
    }
}

#[derive(Default)]
struct Packer<'c> {
    nodes: Table<&'c str>,
    kinds: Table<Kind<'c>>,
    windows: Table<(&'c str, i64)>,
}

impl<'c> Packer<'c> {
    fn window(&mut self, window: &'c WindowKey) -> usize {
        self.windows.place((&window.budget_id, window.start_ms))
    }

    fn shares(&mut self, shares: &'c [Share]) -> PackedShares {
        shares.iter().map(|share| (self.window(&share.window), share.amount)).collect()
    }

    fn entry(&mut self, entry: &'c EntryRow) -> PackedEntry<'c> {
        PackedEntry {
            kind: self.kinds.place(Kind::of(entry)),
            request_id: entry.request_id.as_str().into(),
            upstream_request_id: entry.upstream_request_id.as_deref().map(Into::into),
            tokens: entry.tokens.in_order(),
            cost_nano_usd: entry.cost_nano_usd,
            started_ms: entry.started_ms,
            first_token_ms: entry.first_token_ms,
            latency_ms: entry.latency_ms,
        }
    }

    fn hold(&mut self, hold: &'c NewHold) -> PackedHold<'c> {
        PackedHold {
            id: hold.id.as_str().into(),
            node: self.nodes.place(&hold.node),
            draft: self.entry(&hold.draft),
            delivered_tokens: hold.delivered_tokens,
            created_ms: hold.created_ms,
            shares: self.shares(&hold.shares),
        }
    }
}

impl<'c> Packed<'c> {
    /// Packs a batch.
    pub(super) fn of(changes: &'c Changes) -> Self {
        let Changes { windows, placed, ended, notes, bookings, alerts } = changes;
        let mut packer = Packer::default();
        let changed = windows.iter().map(|c| (packer.window(&c.window), c.spent, c.held)).collect();
        let placed = placed.iter().map(|hold| packer.hold(hold)).collect();
        let booked = bookings
            .iter()
            .map(|booking| (packer.entry(&booking.entry), packer.shares(&booking.charges)))
            .collect();
        Self {
            nodes: packer.nodes.rows.into_iter().map(Into::into).collect(),
            kinds: packer.kinds.rows,
            windows: packer.windows.rows.into_iter().map(|(id, ms)| (id.into(), ms)).collect(),
            changed,
            placed,
            ended: ended.iter().map(|id| id.as_str().into()).collect(),
            notes: notes.iter().map(|(id, tokens)| (id.as_str().into(), *tokens)).collect(),
            booked,
            alerts: alerts.as_slice().into(),
        }
    }

    /// The batch that was packed.
    ///
    /// # Errors
    /// When a place is not there.
    pub(super) fn unpack(self) -> Result<Changes, StoreError> {
        let Packed { nodes, kinds, windows, changed, placed, ended, notes, booked, alerts } = self;
        let nodes = nodes.into_iter().map(|node| Arc::new(node.into_owned())).collect();
        let window = |(id, start_ms): (Text<'_>, i64)| WindowKey { budget_id: id.into(), start_ms };
        let windows = windows.into_iter().map(window).collect();
        let lists = Lists { nodes, kinds, windows };
        let change = |(window, spent, held)| {
            Ok(WindowChange { window: there(&lists.windows, window)?.clone(), spent, held })
        };
        let booking = |(entry, charges)| {
            let charges = lists.shares(charges)?;
            Ok(Booking { entry: Arc::new(lists.entry(entry)?), charges })
        };
        Ok(Changes {
            windows: changed.into_iter().map(change).collect::<Result<_, StoreError>>()?,
            placed: placed.into_iter().map(|hold| lists.hold(hold)).collect::<Result<_, _>>()?,
            ended: ended.into_iter().map(Text::into_owned).collect(),
            notes: notes.into_iter().map(|(id, tokens)| (id.into_owned(), tokens)).collect(),
            bookings: booked.into_iter().map(booking).collect::<Result<_, StoreError>>()?,
            alerts: alerts.into_owned(),
        })
    }
}

/// What the numbers stand for.
struct Lists<'c> {
    nodes: Vec<Arc<String>>,
    kinds: Vec<Kind<'c>>,
    windows: Vec<WindowKey>,
}

impl Lists<'_> {
    fn shares(&self, shares: PackedShares) -> Result<Vec<Share>, StoreError> {
        let share =
            |(window, amount)| Ok(Share { window: there(&self.windows, window)?.clone(), amount });
        shares.into_iter().map(share).collect()
    }

    fn entry(&self, packed: PackedEntry<'_>) -> Result<EntryRow, StoreError> {
        let mut entry = there(&self.kinds, packed.kind)?.clone().unpack();
        entry.request_id = packed.request_id.into_owned();
        entry.upstream_request_id = packed.upstream_request_id.map(Text::into_owned);
        entry.tokens = Tokens::of(packed.tokens);
        entry.cost_nano_usd = packed.cost_nano_usd;
        entry.started_ms = packed.started_ms;
        entry.first_token_ms = packed.first_token_ms;
        entry.latency_ms = packed.latency_ms;
        Ok(entry)
    }

    fn hold(&self, packed: PackedHold<'_>) -> Result<NewHold, StoreError> {
        let PackedHold { id, node, draft, delivered_tokens, created_ms, shares } = packed;
        Ok(NewHold {
            id: id.into_owned(),
            node: Arc::clone(there(&self.nodes, node)?),
            draft: Arc::new(self.entry(draft)?),
            delivered_tokens,
            created_ms,
            shares: self.shares(shares)?,
        })
    }
}

fn there<T>(list: &[T], place: usize) -> Result<&T, StoreError> {
    let missing = || StoreError::Row(format!("a row of the journal names no. {place} of nothing"));
    list.get(place).ok_or_else(missing)
}

impl<'c> Kind<'c> {
    fn of(entry: &'c EntryRow) -> Self {
        let maybe = |text: &'c Option<String>| text.as_deref().map(Into::into);
        Self {
            attempt: entry.attempt,
            user_id: entry.user_id.as_str().into(),
            key_id: entry.key_id.as_str().into(),
            team_id: maybe(&entry.team_id),
            provider: entry.provider.as_str().into(),
            model: entry.model.as_str().into(),
            asked_model: entry.asked_model.as_str().into(),
            dialect: entry.dialect.as_str().into(),
            features: entry.features.as_str().into(),
            streamed: entry.streamed,
            disposition: entry.disposition.as_str().into(),
            finish: maybe(&entry.finish),
            error: maybe(&entry.error),
            estimated: entry.estimated,
            clamped: entry.clamped,
            tool_fees: entry.tool_fees.as_str().into(),
            price: maybe(&entry.price),
            price_version: maybe(&entry.price_version),
            tags: entry.tags.as_str().into(),
        }
    }

    fn unpack(self) -> EntryRow {
        let maybe = |text: Option<Text<'c>>| text.map(Text::into_owned);
        EntryRow {
            attempt: self.attempt,
            user_id: self.user_id.into_owned(),
            key_id: self.key_id.into_owned(),
            team_id: maybe(self.team_id),
            provider: self.provider.into_owned(),
            model: self.model.into_owned(),
            asked_model: self.asked_model.into_owned(),
            dialect: self.dialect.into_owned(),
            features: self.features.into_owned(),
            streamed: self.streamed,
            disposition: self.disposition.into_owned(),
            finish: maybe(self.finish),
            error: maybe(self.error),
            estimated: self.estimated,
            clamped: self.clamped,
            tool_fees: self.tool_fees.into_owned(),
            price: maybe(self.price),
            price_version: maybe(self.price_version),
            tags: self.tags.into_owned(),
            ..EntryRow::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two calls of one kind and one of another; every field has a value of its own.
    fn changes() -> Changes {
        let window = |n: i64| WindowKey { budget_id: format!("b{n}").into(), start_ms: n };
        let share = |n| Share { window: window(n), amount: 10 + n };
        let entry: EntryRow = serde_json::from_value(serde_json::json!({
            "request_id": "r", "attempt": 2, "user_id": "u", "key_id": "k", "team_id": "t",
            "provider": "p", "model": "m", "asked_model": "a", "dialect": "d", "features": "f",
            "streamed": 1, "disposition": "cut", "finish": "stop", "error": "e", "estimated": 1,
            "clamped": 1, "input": 1, "cache_read": 2, "cache_write_5m": 3, "cache_write_1h": 4,
            "audio_in": 5, "image_in": 6, "output": 7, "reasoning": 8, "audio_out": 9,
            "tool_fees": "{\"w\":1}", "cost_nano_usd": 10, "price": "{}", "price_version": "v",
            "started_ms": 11, "first_token_ms": 12, "latency_ms": 13,
            "upstream_request_id": "up\0", "tags": "{\"a\":\"b\"}"
        }))
        .unwrap();
        let other = EntryRow { key_id: "k2".into(), price: None, ..EntryRow::default() };
        let again = EntryRow { request_id: "r2".into(), latency_ms: 99, ..entry.clone() };
        let booking = |entry: &EntryRow, n| Booking {
            entry: Arc::new(entry.clone()),
            charges: vec![share(n), share(1)],
        };
        let hold = NewHold {
            id: "h".into(),
            node: Arc::new("n".into()),
            draft: Arc::new(other.clone()),
            delivered_tokens: 3,
            created_ms: 4,
            shares: vec![share(1), share(7)],
        };
        let alert = NewAlert {
            budget_id: "b1".into(),
            start_ms: 1,
            percent: 80,
            spent: 9,
            cap: 10,
            at_ms: 5,
        };
        Changes {
            windows: vec![WindowChange { window: window(1), spent: 5, held: -6 }],
            placed: vec![hold],
            ended: vec!["h0".into()],
            notes: vec![("h1".into(), 17)],
            bookings: vec![booking(&entry, 2), booking(&other, 3), booking(&again, 2)],
            alerts: vec![alert],
        }
    }

    #[test]
    fn what_is_packed_comes_out_whole() {
        let changes = changes();
        let text = serde_json::to_string(&Packed::of(&changes)).unwrap();
        let packed: Packed<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!((packed.kinds.len(), packed.windows.len()), (2, 4));
        assert_eq!(format!("{:?}", packed.unpack().unwrap()), format!("{changes:?}"));
    }

    #[test]
    fn a_place_that_is_not_there_is_told() {
        let wrong = Packed { changed: vec![(3, 1, 1)], ..Packed::default() };
        assert!(matches!(wrong.unpack(), Err(StoreError::Row(why)) if why.contains("no. 3")));
    }
}
