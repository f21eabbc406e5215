//! Operators' changes on both databases.

mod budgets;
mod delegations;
mod keys;
mod repetition;
mod teams;
mod tokens;
mod trail;
mod users;

use super::{Actor, AdminError, BudgetTerms, Mandate, NewKey, Office, UserOrder};
use crate::{
    access::{Permissions, Role},
    clock::ManualClock,
    store::{
        Store,
        testing::{Home, Kind, store_on},
    },
};
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: i64 = 1_795_000_000_000;

/// An office over a new store.
struct Desk {
    office: Office,
    store: Store,
    clock: Arc<ManualClock>,
    home: Home,
}

impl Desk {
    async fn on(kind: Kind) -> Self {
        let (home, store) = store_on(kind).await;
        let clock = Arc::new(ManualClock::at(NOW));
        Self { office: Office::new(store.clone(), clock.clone()), store, clock, home }
    }

    /// Makes the user alice; returns its id.
    async fn alice(&self) -> String {
        self.office.create_user(&somebody(), user("alice")).await.unwrap().user.id
    }

    /// Makes a key of alice's; returns its id and its text.
    async fn key(&self) -> (String, String) {
        let issued = self.office.create_key(&somebody(), key_of("alice")).await.unwrap();
        (issued.made.view.id, issued.key.unwrap().expose().clone())
    }

    async fn rows_of_trail(&self) -> i64 {
        self.store.number("select count(*) from audit").await
    }
}

fn somebody() -> Mandate {
    Mandate::of(Actor::shell("root"))
}

fn once(key: &str) -> Mandate {
    Mandate::once(Actor::shell("root"), key).unwrap()
}

fn user(name: &str) -> UserOrder {
    UserOrder {
        name: name.into(),
        role: Role::Member,
        time_zone: "UTC".into(),
        team: None,
        permissions: Permissions::default(),
        budgets: Vec::new(),
    }
}

fn terms(text: &str) -> BudgetTerms {
    text.parse().unwrap()
}

fn key_of(user: &str) -> NewKey {
    serde_json::from_value(json!({"user": user})).unwrap()
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The field that is wrong, and what is said of it.
fn invalid<T: std::fmt::Debug>(result: Result<T, AdminError>) -> (String, String) {
    match result {
        Err(AdminError::Invalid { field, message }) => (field, message),
        other => panic!("{other:?}"),
    }
}

fn in_the_way<T: std::fmt::Debug>(result: Result<T, AdminError>) -> String {
    match result {
        Err(AdminError::InTheWay(message)) => message,
        other => panic!("{other:?}"),
    }
}
