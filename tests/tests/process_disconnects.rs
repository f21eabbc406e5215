//! The caller leaves, at every stage of an answer: the upstream is stopped at once, and the call has
//! its one entry with what was delivered (`PAINS 6`, `7` and `16`).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on shall fail there; what was measured is told"
)]

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tollgate_bench::private::Database;
use tollgate_tests::process::{Api, Firm, Fleet, PATIENCE, question, until};

/// The upstream is to be stopped within 100 ms. A busy machine may add to that.
const STOPPED: Duration = Duration::from_secs(2);

/// A stage at which the caller leaves.
struct Stage {
    name: &'static str,
    path: &'static str,
    body: Value,
    /// As many pieces of the answer are awaited; absent: the caller leaves before its head.
    pieces: Option<u64>,
}

fn chat(text: &str, more: Value) -> Value {
    let mut body = json!({"model": "mock/echo", "stream": true, "max_completion_tokens": 500,
        "messages": [{"role": "user", "content": text}]});
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

fn stages() -> Vec<Stage> {
    let native = |text: &str| question("mock/echo", text, 500);
    let properties: serde_json::Map<_, _> =
        (0..40).map(|n| (format!("field{n}"), json!({"type": "string"}))).collect();
    let tool = json!({"type": "function", "function": {"name": "book",
        "parameters": {"type": "object", "properties": properties}}});
    let (stream, generate, openai) = ("/api/v1/stream", "/api/v1/generate", "/v1/chat/completions");
    let late = "[[mock headers_delay=60000]]";
    let long = "[[mock tokens=400 delay=30]]";
    // The role, three words and the finish; the usage would be next.
    let unfinished = "[[mock tokens=3 stall=5]]";
    let call = "[[mock tool delay=30]]";
    vec![
        Stage { name: "before the head", path: stream, body: native(late), pieces: None },
        Stage { name: "before a whole answer", path: generate, body: native(late), pieces: None },
        Stage { name: "while it is made", path: generate, body: native(long), pieces: None },
        Stage { name: "after the first token", path: stream, body: native(long), pieces: Some(1) },
        Stage {
            name: "amid the answer",
            path: openai,
            body: chat(long, json!({})),
            pieces: Some(9),
        },
        Stage {
            name: "amid a call",
            path: openai,
            body: chat(call, json!({"tools": [tool]})),
            pieces: Some(5),
        },
        Stage { name: "before the usage", path: stream, body: native(unfinished), pieces: Some(3) },
        Stage {
            name: "before the usage, passed on",
            path: openai,
            body: chat(unfinished, json!({})),
            pieces: Some(3),
        },
    ]
}

fn is_piece(event: &Value) -> bool {
    let delta = event.pointer("/choices/0/delta");
    let says = |delta: &Value| {
        delta["content"].as_str().is_some_and(|text| !text.is_empty())
            || delta.pointer("/tool_calls/0/function/arguments").is_some_and(|text| text != "")
    };
    event["type"] == "part_delta" || delta.is_some_and(says)
}

/// Asks and leaves; returns when that was.
async fn leave(api: &Api, firm: &Firm, stage: &Stage) -> Instant {
    let asked = firm.mock.served();
    let Some(pieces) = stage.pieces else {
        let reached =
            until("it reaches the upstream", PATIENCE, async || firm.mock.served() > asked);
        tokio::select! {
            answer = api.send(stage.path, &stage.body) => panic!("{}: {answer:?}", stage.name),
            () = reached => {}
        }
        return Instant::now();
    };
    let mut events = api.events(stage.path, &stage.body).await.unwrap();
    let mut seen = 0;
    while seen < pieces {
        let event = events.next().await;
        let event = event.unwrap_or_else(|| panic!("{}: only {seen} pieces came", stage.name));
        seen += u64::from(is_piece(&event));
    }
    drop(events);
    Instant::now()
}

async fn everybody_leaves(firm: Firm) {
    let fleet = Fleet::start(&firm.install, 1, firm.keys.clone()).await;
    fleet.api(0, 0).get("/api/v1/budgets").await;
    for (nth, stage) in stages().iter().enumerate() {
        let api = fleet.api(0, 0).numbered(nth as u64);
        let left = leave(&api, &firm, stage).await;
        let name = stage.name;
        assert!(firm.mock.saw_aborts(nth + 1, PATIENCE).await, "{name}: the upstream goes on");
        let took = firm.mock.aborted().last().unwrap().at.saturating_duration_since(left);
        println!("{name}: the upstream was stopped after {took:?}");
        assert!(took < STOPPED, "{name}: the upstream was stopped after {took:?}");
        let ended = async || firm.books.open_holds().await == 0;
        until("the call has ended", PATIENCE, ended).await;

        let entries = firm.books.entries().await;
        assert_eq!(entries.len(), nth + 1, "{name}: one entry each: {entries:?}");
        let own: Vec<_> = entries.iter().filter(|e| e.number == Some(nth as u64)).collect();
        assert_eq!(own.len(), 1, "{name}: {entries:?}");
        let rows = firm.install.rows().await;
        let row = rows.iter().find(|row| row["request_id"] == *own.first().unwrap().request_id);
        let row = row.unwrap();
        assert_eq!(row["disposition"], "cancelled", "{name}: {row}");
        let usage = &row["usage"];
        assert!(usage["input"].as_u64().unwrap() > 0, "{name}: {row}");
        let output = usage["output"].as_u64().unwrap_or_default();
        let (least, most) =
            (stage.pieces.unwrap_or(0), if stage.pieces.is_some() { 200 } else { 0 });
        assert!((least..=most).contains(&output), "{name}: {row}");
        assert_eq!(usage["estimated"], true, "{name}: {row}");
    }
    firm.books.balance().await;
}

#[tokio::test]
async fn who_leaves_at_any_stage_pays_what_was_delivered_on_sqlite() {
    everybody_leaves(Firm::in_file().await).await;
}

#[tokio::test]
async fn who_leaves_at_any_stage_pays_what_was_delivered_on_postgres() {
    let database = Database::fresh().await.unwrap();
    everybody_leaves(Firm::on(&database.url(), &database.url()).await).await;
}
