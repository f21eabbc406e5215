//! A batch as a row of the journal holds it: JSON in which what many of its calls have in common is
//! written once, and the rest are arrays. Every call is in the journal twice, so its length counts.

use super::Changes;
use crate::store::{
    Booking, Kind, NewAlert, NewEntry, NewHold, Share, StoreError, Tokens, WindowChange, WindowKey,
    entries::is_zero,
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::HashMap, hash::Hash, sync::Arc};

type Text<'c> = Cow<'c, str>;

/// The batch. Numbers that stand for something of another list are places in it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Packed<'c> {
    nodes: Vec<Text<'c>>,
    kinds: Vec<Arc<Kind<'static>>>,
    windows: Vec<(Text<'c>, i64)>,
    changed: Vec<(usize, i64, i64)>,
    placed: Vec<PackedHold<'c>>,
    ended: Vec<Text<'c>>,
    notes: Vec<(Text<'c>, i64)>,
    booked: Vec<(PackedEntry<'c>, PackedShares)>,
    alerts: Cow<'c, [NewAlert]>,
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
    /// Without the zeros behind the last number.
    #[serde(rename = "t")]
    tokens: Vec<i64>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    cost_nano_usd: Option<i64>,
    #[serde(rename = "s")]
    started_ms: i64,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    first_token_ms: Option<i64>,
    #[serde(rename = "l", default, skip_serializing_if = "is_zero")]
    latency_ms: i64,
}

/// Windows and amounts.
type PackedShares = Vec<(usize, i64)>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackedHold<'c> {
    #[serde(rename = "i", alias = "id")]
    id: Text<'c>,
    #[serde(rename = "n", alias = "node")]
    node: usize,
    #[serde(rename = "e", alias = "draft")]
    draft: PackedEntry<'c>,
    #[serde(rename = "d", alias = "delivered_tokens", default, skip_serializing_if = "is_zero")]
    delivered_tokens: i64,
    #[serde(rename = "c", alias = "created_ms")]
    created_ms: i64,
    #[serde(rename = "s", alias = "shares")]
    shares: PackedShares,
}

fn without_zeros(tokens: &Tokens) -> Vec<i64> {
    let mut tokens = tokens.in_order().to_vec();
    while tokens.last() == Some(&0) {
        tokens.pop();
    }
    tokens
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
    kinds: Table<&'c Arc<Kind<'static>>>,
    windows: Table<(&'c str, i64)>,
}

impl<'c> Packer<'c> {
    fn window(&mut self, window: &'c WindowKey) -> usize {
        self.windows.place((&window.budget_id, window.start_ms))
    }

    fn shares(&mut self, shares: &'c [Share]) -> PackedShares {
        shares.iter().map(|share| (self.window(&share.window), share.amount)).collect()
    }

    fn entry(&mut self, entry: &'c NewEntry) -> PackedEntry<'c> {
        PackedEntry {
            kind: self.kinds.place(&entry.kind),
            request_id: entry.request_id.as_str().into(),
            upstream_request_id: entry.upstream_request_id.as_deref().map(Into::into),
            tokens: without_zeros(&entry.tokens),
            cost_nano_usd: entry.cost_nano_usd,
            started_ms: entry.started_ms,
            first_token_ms: entry.first_token_ms,
            latency_ms: entry.latency_ms,
        }
    }

    fn hold(&mut self, hold: &'c NewHold) -> PackedHold<'c> {
        PackedHold {
            id: (&*hold.id).into(),
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
            kinds: packer.kinds.rows.into_iter().cloned().collect(),
            windows: packer.windows.rows.into_iter().map(|(id, ms)| (id.into(), ms)).collect(),
            changed,
            placed,
            ended: ended.iter().map(|id| (&**id).into()).collect(),
            notes: notes.iter().map(|(id, tokens)| ((&**id).into(), *tokens)).collect(),
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
            ended: ended.into_iter().map(Into::into).collect(),
            notes: notes.into_iter().map(|(id, tokens)| (id.into(), tokens)).collect(),
            bookings: booked.into_iter().map(booking).collect::<Result<_, StoreError>>()?,
            alerts: alerts.into_owned(),
        })
    }
}

/// What the numbers stand for.
struct Lists {
    nodes: Vec<Arc<String>>,
    kinds: Vec<Arc<Kind<'static>>>,
    windows: Vec<WindowKey>,
}

impl Lists {
    fn shares(&self, shares: PackedShares) -> Result<Vec<Share>, StoreError> {
        let share =
            |(window, amount)| Ok(Share { window: there(&self.windows, window)?.clone(), amount });
        shares.into_iter().map(share).collect()
    }

    fn entry(&self, packed: PackedEntry<'_>) -> Result<NewEntry, StoreError> {
        // More would be counts that a newer version knows.
        if packed.tokens.len() > Tokens::KINDS {
            let count = packed.tokens.len();
            let wrong = format!("a row of the journal counts {count} kinds of tokens");
            return Err(StoreError::Row(wrong));
        }
        Ok(NewEntry {
            request_id: packed.request_id.into_owned(),
            kind: Arc::clone(there(&self.kinds, packed.kind)?),
            tokens: Tokens::of(packed.tokens),
            cost_nano_usd: packed.cost_nano_usd,
            started_ms: packed.started_ms,
            first_token_ms: packed.first_token_ms,
            latency_ms: packed.latency_ms,
            upstream_request_id: packed.upstream_request_id.map(Text::into_owned),
        })
    }

    fn hold(&self, packed: PackedHold<'_>) -> Result<NewHold, StoreError> {
        let PackedHold { id, node, draft, delivered_tokens, created_ms, shares } = packed;
        Ok(NewHold {
            id: id.into(),
            node: Arc::clone(there(&self.nodes, node)?),
            draft: Arc::new(self.entry(draft)?),
            delivered_tokens,
            created_ms,
            shares: self.shares(shares)?.into(),
        })
    }
}

fn there<T>(list: &[T], place: usize) -> Result<&T, StoreError> {
    let missing = || StoreError::Row(format!("a row of the journal names no. {place} of nothing"));
    list.get(place).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EntryRow;

    /// Two calls of one kind and one of another; every field has a value of its own.
    fn changes() -> Changes {
        let window = |n: i64| WindowKey { budget_id: format!("b{n}").into(), start_ms: n };
        let share = |n| Share { window: window(n), amount: 10 + n };
        let row: EntryRow = serde_json::from_value(serde_json::json!({
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
        let entry = NewEntry::from(row);
        let other = EntryRow { key_id: "k2".into(), price: None, ..EntryRow::default() };
        let other = NewEntry::from(other);
        let again = NewEntry { request_id: "r2".into(), latency_ms: 99, ..entry.clone() };
        let booking = |entry: &NewEntry, n| Booking {
            entry: Arc::new(entry.clone()),
            charges: vec![share(n), share(1)],
        };
        let hold = NewHold {
            id: "h".into(),
            node: Arc::new("n".into()),
            draft: Arc::new(other.clone()),
            delivered_tokens: 3,
            created_ms: 4,
            shares: [share(1), share(7)].into(),
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

    /// A server that was killed left it, and the next one is newer.
    #[test]
    fn a_row_of_the_version_before_is_understood() {
        let row = r#"{"nodes":["n"],"kinds":[{"attempt":1,"user_id":"u","key_id":"k","team_id":null,
            "provider":"p","model":"m","asked_model":"a","dialect":"d","features":"","streamed":0,
            "disposition":"","finish":null,"error":null,"estimated":0,"clamped":0,"tool_fees":"{}",
            "price":null,"price_version":null,"tags":"{}"}],"windows":[["b",3]],
            "changed":[[0,0,9]],"placed":[{"id":"h","node":0,"draft":{"k":0,"r":"r",
            "t":[236,0,0,0,0,0,7,0,0],"s":5,"l":0},"delivered_tokens":16,"created_ms":6,
            "shares":[[0,9]]}],"ended":[],"notes":[],"booked":[],"alerts":[]}"#;
        let packed: Packed<'_> = serde_json::from_str(row).unwrap();
        let changes = packed.unpack().unwrap();
        let [hold] = &changes.placed[..] else { panic!("{changes:?}") };
        assert_eq!((&*hold.id, hold.delivered_tokens, hold.created_ms), ("h", 16, 6));
        let tokens = Tokens { input: 236, output: 7, ..Tokens::default() };
        assert_eq!((hold.draft.tokens, hold.draft.kind.key_id.as_ref()), (tokens, "k"));
        assert_eq!(hold.shares[0].amount, 9);
    }

    #[test]
    fn more_kinds_of_tokens_than_there_are_are_told() {
        let kinds = vec![Arc::default()];
        for (count, is_read) in [(0, true), (9, true), (10, false)] {
            let tokens = format!("{:?}", vec![1; count]);
            let entry = format!(r#"[{{"k":0,"r":"r","t":{tokens},"s":5}},[]]"#);
            let booked = vec![serde_json::from_str(&entry).unwrap()];
            let packed = Packed { kinds: kinds.clone(), booked, ..Packed::default() };
            assert_eq!(packed.unpack().is_ok(), is_read, "{count}");
        }
    }

    #[test]
    fn a_place_that_is_not_there_is_told() {
        let wrong = Packed { changed: vec![(3, 1, 1)], ..Packed::default() };
        assert!(matches!(wrong.unpack(), Err(StoreError::Row(why)) if why.contains("no. 3")));
    }
}
