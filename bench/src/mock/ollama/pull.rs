//! Ollama's pull of a model: lines that tell how far it is.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::{error, line};
use crate::mock::{
    answer::Api,
    gate::Call,
    turn::Turn,
    vendor::{Fault, Vendor},
};

/// The size of a model, bytes.
const SIZE: u64 = 1_000_000;

/// A request to pull a model.
pub(super) struct Pull {
    streams: bool,
}

impl Api for Pull {
    const VENDOR: Vendor = Vendor::Ollama;
    const TROUBLE: u16 = 500;

    fn of(call: &Call) -> Self {
        Self { streams: call.request.get("stream").is_none_or(|stream| stream != false) }
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn whole(&self, _: &Turn) -> String {
        line(&json!({"status": "success"}))
    }

    fn frames(&self, turn: &Turn) -> Vec<Bytes> {
        let digest = format!("sha256:{}", "0".repeat(64));
        let status = |status: &str| json!({"status": status});
        let layer = |completed: Option<u64>| {
            let name = format!("pulling {}", "0".repeat(12));
            let mut line = json!({"status": name, "digest": digest, "total": SIZE});
            if let (Some(completed), Value::Object(line)) = (completed, &mut line) {
                line.insert("completed".to_owned(), completed.into());
            }
            line
        };
        let mut lines = vec![status("pulling manifest"), layer(None)];
        lines.extend((1..=4).map(|quarter| layer(Some(SIZE / 4 * quarter))));
        lines.extend(["verifying sha256 digest", "writing manifest"].map(status));
        if turn.done {
            lines.push(status("success"));
        }
        lines.iter().map(|json| Bytes::from(line(json) + "\n")).collect()
    }

    fn broken(&self) -> &'static str {
        "{\"status\": [oops\n"
    }

    fn trouble(&self, _: &Turn, fault: &Fault<'_>, _: usize) -> Vec<Bytes> {
        vec![Bytes::from(line(&error(fault)) + "\n")]
    }
}
