//! Entries that tests write as the ledger does: with their sums, in one transaction.

use crate::store::{Booking, EntryRow, Share, Store, Sums, Tokens, UserRow, add_entry};

pub(in crate::ledger) const HOUR: i64 = 3_600_000;

/// The `n`th of many entries that differ in everything, each beginning at a moment of its own.
pub(in crate::ledger) fn nth(n: i64, started_ms: i64) -> EntryRow {
    let one_of = |names: &[&str]| names[usize::try_from(n).unwrap() % names.len()].to_owned();
    EntryRow {
        request_id: format!("r{n:06}"),
        attempt: 1 + n % 2,
        user_id: one_of(&["u1", "u2", "u3", "u1", "gone"]),
        key_id: one_of(&["k1", "k2", "k3"]),
        team_id: [None, Some("t1"), Some("t2")][usize::try_from(n % 3).unwrap()].map(str::to_owned),
        provider: one_of(&["p", "q"]),
        model: one_of(&["m", "m", "other", "100%_"]),
        asked_model: "fast".into(),
        dialect: "openai".into(),
        features: one_of(&["chat", "chat,stream", "", "chat,stream,tools", "embeddings"]),
        disposition: one_of(&["settled", "failed", "cancelled"]),
        error: (n % 7 == 0).then(|| "upstream".to_owned()),
        estimated: i64::from(n % 5 == 0),
        tokens: Tokens { input: n, output: 2 * n, cache_read: n % 4, ..Tokens::default() },
        cost_nano_usd: (n % 6 != 0).then_some(1_000 * n),
        tool_fees: "{}".into(),
        tags: one_of(&["{}", r#"{"project":"a"}"#, r#"{"project":"b","stage":"test"}"#]),
        first_token_ms: (n % 3 != 0).then_some(10 + n),
        latency_ms: 100 + n,
        started_ms,
        ..EntryRow::default()
    }
}

/// Writes entries and their sums; each charges its tokens to these windows.
pub(in crate::ledger) async fn write(store: &Store, entries: &[EntryRow], windows: &[Share]) {
    let mut sums = Sums::new();
    entries.iter().for_each(|entry| add_entry(&mut sums, &entry.clone().into()));
    let bookings: Vec<_> = entries
        .iter()
        .map(|entry| Booking { entry: entry.clone().into(), charges: windows.to_vec() })
        .collect();
    let mut books = store.books().await.unwrap();
    books.begin().await.unwrap();
    for some in bookings.chunks(200) {
        books.insert_entries(some).await.unwrap();
    }
    books.add_rollups(&sums).await.unwrap();
    books.commit().await.unwrap();
}

/// Three users, two teams of one organisation and one of none, and a line of delegated keys.
pub(in crate::ledger) async fn people(store: &Store) {
    for (id, name) in [("u1", "alice"), ("u2", "bob"), ("u3", "carol")] {
        let user = UserRow {
            id: id.into(),
            name: name.into(),
            role: "member".into(),
            time_zone: "UTC".into(),
            permissions: "{}".into(),
            created_ms: 1,
            ..UserRow::default()
        };
        store.insert_user(&user, &[]).await.unwrap();
    }
    store.tamper("insert into organisations values ('o1', 'acme', 'UTC', 1, null)").await;
    store.tamper("insert into teams values ('t1', 'o1', 'red', 'UTC', 1, null)").await;
    store.tamper("insert into teams values ('t2', null, 'blue', 'UTC', 1, null)").await;
    for (id, parent) in [("k1", "null"), ("k2", "'k1'"), ("k3", "'k2'")] {
        let text = format!(
            "insert into api_keys (id, user_id, parent_id, name, role, secret_hash, permissions,
                                   created_ms)
             values ('{id}', 'u1', {parent}, '{id}', 'member', '', '{{}}', 1)"
        );
        store.tamper(&text).await;
    }
}
