//! Budgets of a real server over real sockets, on SQLite and on PostgreSQL: what users of other
//! gateways suffer, and what must not happen here.
#![cfg(test)]

#[path = "../ollama_ingress/gate.rs"]
#[expect(dead_code, reason = "other tests ask this server for more")]
mod gate;

mod crowd;
mod ends;
mod estimates;

use gate::Gate;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tollgate::{clock::SystemClock, ids::new_id, store::BudgetRow};
use tollgate_bench::private::Kind;
use tollgate_types::{BudgetStatus, UsageReport, wire::BudgetList};

/// How long tests wait for what must happen soon. Only failing tests wait that long.
const SOON: Duration = Duration::from_secs(30);

/// A server whose key has these budgets: resource, window and cap.
async fn gate(kind: Kind, budgets: &[(&str, &str, i64)], settings: &str) -> Gate {
    let rows = budgets.iter().map(|(resource, span, cap)| BudgetRow {
        id: new_id(&SystemClock),
        owner_kind: "key".to_owned(),
        resource: (*resource).to_owned(),
        span: (*span).to_owned(),
        cap: *cap,
        ..BudgetRow::default()
    });
    Gate::on(kind, rows.collect(), settings).await
}

fn chat(model: &str, text: &str) -> Value {
    json!({
        "model": format!("openai/{model}"),
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 50,
    })
}

impl Gate {
    /// What is there; asked again where the database is too busy to say.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let started = Instant::now();
        loop {
            let reply = self.send(Method::GET, path, None).await;
            if reply.status != StatusCode::SERVICE_UNAVAILABLE || started.elapsed() > SOON {
                assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
                return serde_json::from_str(&reply.body).unwrap();
            }
        }
    }

    async fn budgets(&self) -> Vec<BudgetStatus> {
        self.get::<BudgetList>("/api/v1/budgets").await.budgets
    }

    async fn report(&self) -> UsageReport {
        self.get("/api/v1/usage?rows=20").await
    }

    /// The budgets, once nothing is held in any of them.
    async fn settled(&self) -> Vec<BudgetStatus> {
        let started = Instant::now();
        loop {
            let budgets = self.budgets().await;
            if budgets.iter().all(|budget| budget.held == 0) {
                return budgets;
            }
            assert!(started.elapsed() < SOON, "still held: {budgets:?}");
            tokio::task::yield_now().await;
        }
    }
}
