//! Verified keys, and messages of theirs to the writer.

use super::NOW;
use crate::{
    access::{Access, Caller, Target, authorize},
    clock::ManualClock,
    config::PriceEntry,
    ids::new_id,
    ledger::writer::{Close, Message, PlaceHold},
    prices::{Bound, PriceList, Quote, quote},
    store::{
        BudgetRow, Charge, EntryRow, KeyRow, Store, UserRow,
        testing::{Home, Kind, store_on},
    },
};
use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A user and some of its keys, verified.
pub(in crate::ledger) struct People {
    pub(in crate::ledger) store: Store,
    pub(in crate::ledger) callers: Vec<Arc<Caller>>,
    _home: Home,
}

pub(in crate::ledger) fn budget(kind: &str, owner: &str, terms: (&str, &str, i64)) -> BudgetRow {
    BudgetRow {
        id: new_id(&ManualClock::at(NOW)),
        owner_kind: kind.into(),
        owner_id: owner.into(),
        resource: terms.0.into(),
        span: terms.1.into(),
        cap: terms.2,
        ..BudgetRow::default()
    }
}

impl People {
    /// So many keys, each with these budgets.
    pub(in crate::ledger) async fn with_keys(
        kind: Kind,
        keys: usize,
        budgets: &[(&str, &str, i64)],
    ) -> Self {
        let (home, store) = store_on(kind).await;
        let user = UserRow {
            id: "user".into(),
            name: "alice".into(),
            role: "member".into(),
            time_zone: "UTC".into(),
            permissions: "{}".into(),
            created_ms: NOW,
            ..UserRow::default()
        };
        store.insert_user(&user, &[]).await.unwrap();
        // The cheapest hash there is: this is about money, not about secrets.
        let cheap =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let hash = cheap.hash_password(b"secret").unwrap().to_string();
        let clock = Arc::new(ManualClock::at(NOW));
        let access = Access::new(store.clone(), clock).unwrap();
        let mut callers = Vec::new();
        for n in 0..keys {
            let id = format!("k{n}");
            let row = KeyRow {
                id: id.clone(),
                user_id: user.id.clone(),
                name: id.clone(),
                role: "member".into(),
                secret_hash: hash.clone(),
                permissions: "{}".into(),
                rate_per_minute: None,
                created_ms: NOW,
                expires_ms: None,
                ..KeyRow::default()
            };
            let budgets: Vec<_> = budgets.iter().map(|terms| budget("key", &id, *terms)).collect();
            store.insert_key(&row, &budgets).await.unwrap();
            let text = format!("tg_{id}_secret");
            let text = format!("{text}_{:08x}", crc32fast::hash(text.as_bytes()));
            callers.push(access.authenticate(Some(&text)).await.unwrap());
        }
        Self { store, callers, _home: home }
    }
}

/// One dollar a million tokens: 1000 nano-dollars a token.
pub(in crate::ledger) fn quoted(caller: &Arc<Caller>, input_tokens: u64, max_output: u64) -> Quote {
    let price = PriceEntry {
        model: "p/m".into(),
        input: "1".into(),
        output: "1".into(),
        ..PriceEntry::default()
    };
    let target = Target { provider: "p".into(), model: "m".into() };
    let permit = authorize(caller, vec![target], &[]).unwrap();
    let bound = Bound {
        input_tokens,
        max_output,
        min_output: 1,
        likely_input: input_tokens,
        in_process: false,
    };
    quote(&PriceList::new(&[price]).unwrap(), permit, bound)
}

pub(in crate::ledger) fn entry(request_id: &str) -> EntryRow {
    EntryRow { request_id: request_id.into(), user_id: "user".into(), ..EntryRow::default() }
}

pub(in crate::ledger) fn place(hold_id: &str, quote: Quote) -> Message {
    let reply = oneshot::channel().0;
    let (hold_id, entry) = (hold_id.to_owned(), entry(hold_id));
    Message::Place(Box::new(PlaceHold { hold_id, node: "n".into(), quote, entry, reply }))
}

pub(in crate::ledger) fn close(hold_id: &str, charge: Charge) -> Message {
    let reply = Some(oneshot::channel().0);
    let entry = Some(entry(hold_id));
    Message::Close(Box::new(Close { hold_id: hold_id.into(), charge, entry, reply }))
}

pub(in crate::ledger) fn tokens(used: i64) -> Charge {
    Charge { cost: used * 1000, tokens: used, requests: 1 }
}
