//! What the books say about a call.

use crate::gate::{Gate, Reply};
use reqwest::Method;
use std::time::{Duration, Instant};
use tollgate::{clock::SystemClock, ids::new_id, store::BudgetRow};
use tollgate_types::{
    Resource, UsageReport, UsageRow, Window,
    wire::{BudgetList, header::REQUEST_ID},
};

/// How long tests wait for what must happen soon. Only failing tests wait that long.
pub const SOON: Duration = Duration::from_secs(20);

/// Things that are not as they should be: a test tells all of them at once.
#[derive(Debug, Default)]
pub struct Findings(Vec<String>);

impl Findings {
    pub fn equal<T: PartialEq + std::fmt::Debug>(&mut self, case: &str, got: T, wanted: T) {
        if got != wanted {
            self.0.push(format!("{case}: {got:?} instead of {wanted:?}"));
        }
    }

    pub fn holds(&mut self, case: &str, holds: bool, got: &str) {
        if !holds {
            self.0.push(format!("{case}: {got}"));
        }
    }

    /// Fails unless everything is as it should be.
    pub fn settle(self) {
        assert!(self.0.is_empty(), "{} findings:\n{}", self.0.len(), self.0.join("\n"));
    }
}

/// A server whose key may use so many tokens a day.
pub async fn metered(cap: i64) -> Gate {
    let budget = BudgetRow {
        id: new_id(&SystemClock),
        owner_kind: "key".to_owned(),
        resource: Resource::Tokens.to_string(),
        span: Window::Day.to_string(),
        cap,
        // Filled in for the key that gets it.
        owner_id: String::new(),
        ..BudgetRow::default()
    };
    Gate::with(vec![budget]).await
}

/// Tollgate's id of an answer.
pub fn id_of(reply: &Reply) -> String {
    reply.headers[REQUEST_ID].to_str().unwrap().to_owned()
}

impl Gate {
    /// All usage, and the newest rows.
    pub async fn report(&self) -> UsageReport {
        let reply = self.send(Method::GET, "/api/v1/usage?rows=3", None).await;
        serde_json::from_str(&reply.body).unwrap()
    }

    /// The row of a call, once it is there.
    pub async fn row(&self, id: &str) -> UsageRow {
        let started = Instant::now();
        loop {
            let found = self.report().await.rows.into_iter().find(|row| row.request_id == id);
            if let Some(row) = found {
                return row;
            }
            assert!(started.elapsed() < SOON, "no row of {id}");
            tokio::task::yield_now().await;
        }
    }

    /// Tokens that are set aside.
    pub async fn held(&self) -> i64 {
        let reply = self.send(Method::GET, "/api/v1/budgets", None).await;
        let list: BudgetList = serde_json::from_str(&reply.body).unwrap();
        assert!(!list.budgets.is_empty(), "the key has no budget");
        list.budgets.iter().map(|budget| budget.held).sum()
    }
}
