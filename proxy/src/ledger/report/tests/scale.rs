//! How long a dashboard waits for a million rows of sums. Run by hand, on a quiet machine:
//! `cargo nextest run -p tollgate --lib --run-ignored only --no-capture scale`.

use super::{ms, told};
use crate::{
    ledger::report::{Query, export},
    store::{
        Store,
        testing::{Kind, store_on},
    },
};
use std::time::Instant;

/// 1000 rows of each of 1000 hours: 50 users with two keys each, in 5 teams, ten models.
const SUMS: &str = "insert into usage_rollups
    select 1790000000000 - 1790000000000 % 3600000 + h.n * 3600000, '',
           'u' || (k.n / 20), 'k' || (k.n / 10), 't' || (k.n / 200), 'p' || (k.n % 2),
           'm' || (k.n % 10), 'chat,stream', 100, 1, 0, 3, 50000, 20000, 0, 0, 0, 0, 30000, 0, 0,
           40000000, 90000, 20000, 95
    from numbers h cross join numbers k";

const ENTRIES: &str = "insert into usage_entries
        (request_id, attempt, user_id, key_id, team_id, provider, model, asked_model, dialect,
         streamed, disposition, estimated, clamped, input, cache_read, cache_write_5m,
         cache_write_1h, audio_in, image_in, output, reasoning, audio_out, tool_fees,
         cost_nano_usd, started_ms, latency_ms, tags)
    select 'r' || (1000000 + h.n * 1000 + k.n), 1, 'u' || (k.n / 20), 'k' || (k.n / 10), 't1', 'p',
           'm', 'm', 'openai', 1, 'settled', 0, 0, 500, 0, 0, 0, 0, 0, 300, 0, 0, '{}', 400000,
           1790000000000 + h.n * 3600000 + k.n, 900, '{}'
    from numbers h cross join numbers k";

async fn fill(kind: Kind, store: &Store) {
    let numbers = match kind {
        Kind::Sqlite => {
            "create table numbers as with recursive c (n) as
                 (select 0 union all select n + 1 from c where n < 999) select n from c"
        }
        Kind::Postgres => {
            "create table numbers as select cast(n as bigint) as n from generate_series(0, 999) n"
        }
    };
    for statement in [numbers, SUMS, ENTRIES, "analyze"] {
        store.tamper(statement).await;
    }
    assert_eq!(store.number("select count(*) from usage_rollups").await, 1_000_000);
    assert_eq!(store.number("select count(*) from usage_entries").await, 1_000_000);
}

#[expect(clippy::print_stderr, reason = "somebody waits for the numbers")]
async fn measure(kind: Kind) {
    let (_home, store) = store_on(kind).await;
    fill(kind, &store).await;
    let by = |words: &str| Query { group_by: Some(words.to_owned()), ..Query::default() };
    let week = |words: &str| Query { since: Some("2026-10-20".to_owned()), ..by(words) };
    let cases = [
        ("all time, by day and model", by("day,model")),
        ("all time, by user", by("user")),
        (
            "all time, by month in Berlin",
            Query { time_zone: Some("Europe/Berlin".to_owned()), ..by("month") },
        ),
        ("the last 12 days, by day", week("day")),
        ("one member, all time, by day", Query { user_id: Some("u7".to_owned()), ..by("day") }),
        ("100 newest requests of all", Query { rows: Some(100), ..week("") }),
        (
            "100 newest requests of one member",
            Query { rows: Some(100), user_id: Some("u7".to_owned()), ..Query::default() },
        ),
    ];
    for (name, query) in cases {
        let mut best = u128::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            assert!(told(&store, query.clone()).await.total.requests > 0);
            best = best.min(began.elapsed().as_millis());
        }
        eprintln!("{kind:?}: {name}: {best} ms");
    }
    let began = Instant::now();
    let some = Query { rows: Some(100_000), ..Query::default() };
    let mut all = export(&some, ms(super::NOW)).unwrap();
    let mut rows = 0;
    loop {
        match all.next(&store).await.unwrap().len() {
            0 => break,
            some => rows += some,
        }
    }
    assert_eq!(rows, 100_000);
    eprintln!("{kind:?}: export of 100,000 requests: {} ms", began.elapsed().as_millis());
}

#[tokio::test]
#[ignore = "measures, and takes minutes"]
async fn scale_sqlite() {
    measure(Kind::Sqlite).await;
}

#[tokio::test]
#[ignore = "measures, and takes minutes"]
async fn scale_postgres() {
    measure(Kind::Postgres).await;
}
