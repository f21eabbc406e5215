//! Users, keys and budgets of a test server.

use super::Server;
use tollgate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    clock::{Clock, SystemClock},
    ids::new_id,
    store::{BudgetRow, UserRow},
};
use tollgate_types::{Resource, Window};

/// A key and its secret text.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// What goes into the header.
    pub text: String,
}

/// What a key shall be; the default may do everything.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What it is for.
    pub role: Role,
    /// JSON of its permissions, as the database holds it.
    pub permissions: &'static str,
    /// Requests a minute.
    pub rate_per_minute: Option<u32>,
    /// When it stops working.
    pub expires_ms: Option<i64>,
    /// Its own budgets.
    pub budgets: Vec<BudgetRow>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            role: Role::Member,
            permissions: "{}",
            rate_per_minute: None,
            expires_ms: None,
            budgets: Vec::new(),
        }
    }
}

/// A budget; its owner is filled in when it gets one.
pub fn budget(resource: Resource, window: Window, cap: i64) -> BudgetRow {
    BudgetRow {
        id: new_id(&SystemClock),
        owner_kind: "key".to_owned(),
        owner_id: String::new(),
        resource: resource.to_string(),
        span: window.to_string(),
        cap,
        ..BudgetRow::default()
    }
}

impl Server {
    /// Makes a user with budgets of its own.
    pub async fn user(&self, name: &str, role: Role, mut budgets: Vec<BudgetRow>) -> UserRow {
        let user = UserRow {
            id: new_id(&SystemClock),
            name: name.to_owned(),
            role: role.as_str().to_owned(),
            time_zone: "UTC".to_owned(),
            permissions: "{}".to_owned(),
            created_ms: SystemClock.now_ms(),
            ..UserRow::default()
        };
        for budget in &mut budgets {
            budget.owner_kind = "user".to_owned();
            budget.owner_id.clone_from(&user.id);
        }
        self.store.insert_user(&user, &budgets).await.unwrap();
        user
    }

    /// Makes a key for a user, who is made when there is none of that name.
    pub async fn key(&self, user: &str, terms: Terms) -> Key {
        let user = match self.store.user_named(user).await.unwrap() {
            Some(user) => user,
            None => self.user(user, terms.role, Vec::new()).await,
        };
        let permissions: Permissions = serde_json::from_str(terms.permissions).unwrap();
        let order = KeyOrder {
            name: "test".to_owned(),
            role: terms.role,
            permissions,
            rate_per_minute: terms.rate_per_minute,
            expires_ms: terms.expires_ms,
            budgets: terms.budgets,
        };
        let issued = issue_key(&self.store, &SystemClock, &user, order).await.unwrap();
        Key { id: issued.id, text: issued.key.expose().clone() }
    }

    /// A key of alice's that may do everything.
    pub async fn any_key(&self) -> Key {
        self.key("alice", Terms::default()).await
    }

    /// A key of alice's with these budgets.
    pub async fn key_with(&self, budgets: Vec<BudgetRow>) -> Key {
        self.key("alice", Terms { budgets, ..Terms::default() }).await
    }
}
