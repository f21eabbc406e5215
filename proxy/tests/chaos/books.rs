//! What the upstream saw and what the books say, against what callers were told.

use crate::{conversation::Called, world::World};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// How long calls that nobody waits for may take to be settled.
const SETTLED_WITHIN: Duration = Duration::from_secs(45);

/// How often something was seen, by the model's name.
type Counts = BTreeMap<String, u64>;

impl World {
    /// Everything in which the upstream or the books differ from what callers were told.
    pub async fn books_are_wrong(&self, calls: &[Called]) -> Vec<String> {
        let mut wrong: Vec<String> = self.still_held().await.into_iter().collect();
        let seen = self.seen();
        let rows = self.rows().await;
        let mut booked = Counts::new();
        for row in &rows {
            *booked.entry(text(row, "asked_model")).or_default() += 1;
        }
        for call in calls {
            let model = &call.model;
            let count = |counts: &Counts| counts.get(model).copied().unwrap_or_default();
            let (asked, written) = (count(&seen), count(&booked));
            // A call that failed may have never arrived; what arrived is booked.
            let right = match call.error {
                None => (asked, written) == (1, 1),
                Some(_) => asked <= 1 && written <= 1 && written >= asked,
            };
            if !right {
                wrong.push(format!("asked {asked} times and booked {written} times: {call:?}"));
            }
            let row = rows.iter().find(|row| text(row, "asked_model") == *model);
            if let (None, Some(row)) = (&call.error, row)
                && (text(row, "disposition") != "settled"
                    || Some(text(row, "request_id")) != call.request_id)
            {
                wrong.push(format!("{call:?} is booked as {row}"));
            }
        }
        wrong
    }

    /// How often the upstream was asked for each model.
    fn seen(&self) -> Counts {
        let mut seen = Counts::new();
        for request in self.mock.requests() {
            let model = request.body["model"].as_str().unwrap_or_default();
            *seen.entry(format!("mock/{model}")).or_default() += 1;
        }
        seen
    }

    async fn rows(&self) -> Vec<Value> {
        let printed = self.ran(&["usage", "--rows", "10000", "--json"]).await;
        let report: Value = serde_json::from_str(&printed).unwrap();
        report["rows"].as_array().cloned().unwrap_or_default()
    }

    /// The budgets in which something is still held when everything should be settled.
    async fn still_held(&self) -> Option<String> {
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            let printed = self.ran(&["budgets", "list", "--json"]).await;
            let budgets: Value = serde_json::from_str(&printed).unwrap();
            let budgets = budgets.as_array().unwrap();
            assert!(!budgets.is_empty(), "nothing could be held");
            if budgets.iter().all(|budget| budget["held"] == 0) {
                return None;
            }
            if Instant::now() > deadline {
                return Some(format!("still held: {budgets:?}"));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_default().to_owned()
}
