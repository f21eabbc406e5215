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
    pub(in crate::ledger) home: Home,
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
        store.insert_user(&user("user", None), &[]).await.unwrap();
        let desk = Desk::new(&store);
        let mut callers = Vec::new();
        for n in 0..keys {
            let id = format!("k{n}");
            let budgets: Vec<_> = budgets.iter().map(|terms| budget("key", &id, *terms)).collect();
            callers.push(desk.issue(&id, "user", &budgets).await);
        }
        Self { store, callers, home }
    }

    /// An organisation `org` with a team `team` of so many users `u0`, `u1` ... with a key `k0`,
    /// `k1` ... each, and these budgets: kind and id of the owner, then the terms.
    pub(in crate::ledger) async fn firm(kind: Kind, users: usize, budgets: &[FirmBudget]) -> Self {
        let (home, store) = store_on(kind).await;
        Self::firm_in(home, store, users, budgets).await
    }

    pub(in crate::ledger) async fn firm_in(
        home: Home,
        store: Store,
        users: usize,
        budgets: &[FirmBudget],
    ) -> Self {
        for statement in [
            "insert into organisations (id, name, time_zone, created_ms)
             values ('org', 'org', 'UTC', 1)",
            "insert into teams (id, organisation_id, name, time_zone, created_ms)
             values ('team', 'org', 'team', 'UTC', 1)",
        ] {
            assert_eq!(store.tamper(statement).await, 1);
        }
        let desk = Desk::new(&store);
        let mut callers = Vec::new();
        for n in 0..users {
            let owner = format!("u{n}");
            store.insert_user(&user(&owner, Some("team")), &[]).await.unwrap();
            callers.push(desk.issue(&format!("k{n}"), &owner, &[]).await);
        }
        for (owner_kind, owner_id, terms) in budgets {
            store.insert_budget(&budget(owner_kind, owner_id, *terms), NOW).await.unwrap();
        }
        Self { store, callers, home }
    }
}

/// Kind and id of the owner; resource, window and cap.
pub(in crate::ledger) type FirmBudget =
    (&'static str, &'static str, (&'static str, &'static str, i64));

fn user(id: &str, team: Option<&str>) -> UserRow {
    UserRow {
        id: id.into(),
        name: id.into(),
        role: "member".into(),
        time_zone: "UTC".into(),
        permissions: "{}".into(),
        team_id: team.map(str::to_owned),
        created_ms: NOW,
        ..UserRow::default()
    }
}

/// Issues keys and verifies them.
struct Desk<'s> {
    store: &'s Store,
    access: Access,
    hash: String,
}

impl<'s> Desk<'s> {
    fn new(store: &'s Store) -> Self {
        // The cheapest hash there is: this is about money, not about secrets.
        let cheap =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let hash = cheap.hash_password(b"secret").unwrap().to_string();
        let access = Access::new(store.clone(), Arc::new(ManualClock::at(NOW))).unwrap();
        Self { store, access, hash }
    }

    async fn issue(&self, id: &str, user_id: &str, budgets: &[BudgetRow]) -> Arc<Caller> {
        let row = KeyRow {
            id: id.into(),
            user_id: user_id.into(),
            name: id.into(),
            role: "member".into(),
            secret_hash: self.hash.clone(),
            permissions: "{}".into(),
            overrun: "clamp".into(),
            created_ms: NOW,
            ..KeyRow::default()
        };
        self.store.insert_key(&row, budgets).await.unwrap();
        let text = format!("tg_{id}_secret");
        let text = format!("{text}_{:08x}", crc32fast::hash(text.as_bytes()));
        self.access.authenticate(Some(&text)).await.unwrap()
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
    let draft = entry(hold_id).into();
    let (hold_id, quote) = (hold_id.into(), quote.into());
    Message::Place(Box::new(PlaceHold { hold_id, node: Arc::new("n".into()), quote, draft, reply }))
}

pub(in crate::ledger) fn close(hold_id: &str, charge: Charge) -> Message {
    let reply = Some(oneshot::channel().0);
    let entry = Some(entry(hold_id).into());
    Message::Close(Box::new(Close { hold_id: hold_id.into(), charge, entry, reply }))
}

pub(in crate::ledger) fn tokens(used: i64) -> Charge {
    Charge { cost: used * 1000, tokens: used, requests: 1 }
}
