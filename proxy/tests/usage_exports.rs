//! Usage over a real socket: spreadsheets, and exports that are longer than any page.
#![cfg(test)]

use reqwest::{Client, StatusCode, header::CONTENT_TYPE};
use std::{collections::BTreeSet, path::Path};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};
use tollgate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    app::App,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    serve,
    store::{Booking, EntryRow, RollupKey, RollupRow, Store, Tokens, UserRow},
};
use tollgate_types::{UsageReport, UsageRow};

struct Office {
    client: Client,
    url: String,
    alice: String,
    root: String,
    _folder: TempDir,
    _stop: oneshot::Sender<()>,
}

struct Reply {
    status: StatusCode,
    kind: String,
    text: String,
}

const ALICES: i64 = 1_203;
const BOBS: i64 = 7;

impl Office {
    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("books.db");
        let text = format!("[store]\nurl = \"sqlite:{}\"\n", path.display());
        let config = Config::parse(Path::new("t.toml"), &text, &Environment::default()).unwrap();
        let app = App::build(&config, &Environment::default()).await.unwrap();
        let store = app.front.store.clone();
        let alice = key(&store, "alice", Role::Member).await;
        key(&store, "bob", Role::Member).await;
        let root = key(&store, "root", Role::Admin).await;
        fill(&store, "alice", ALICES).await;
        fill(&store, "bob", BOBS).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(serve::run(app, listener, async {
            drop(stopped.await);
        }));
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().tls_certs_only([]).build().unwrap();
        Self { client, url, alice, root, _folder: folder, _stop: stop }
    }

    async fn get(&self, key: &str, path: &str) -> Reply {
        let request = self.client.get(format!("{}/api/v1/usage{path}", self.url));
        let response = request.bearer_auth(key).send().await.unwrap();
        let kind = response.headers().get(CONTENT_TYPE).cloned();
        Reply {
            status: response.status(),
            kind: kind.map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default(),
            text: response.text().await.unwrap(),
        }
    }
}

async fn key(store: &Store, name: &str, role: Role) -> String {
    let user = UserRow {
        id: name.to_owned(),
        name: name.to_owned(),
        role: role.as_str().to_owned(),
        time_zone: "UTC".to_owned(),
        permissions: "{}".to_owned(),
        created_ms: 1,
        ..UserRow::default()
    };
    store.insert_user(&user, &[]).await.unwrap();
    let order = KeyOrder {
        name: "test".to_owned(),
        role,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: Vec::new(),
    };
    let issued = issue_key(store, &SystemClock, &user, order).await.unwrap();
    issued.key.expose().clone()
}

/// So many calls of an hour ago, each of one token and one nano-dollar.
async fn fill(store: &Store, user: &str, calls: i64) {
    let started_ms = SystemClock.now_ms() - 3_600_000;
    let entries: Vec<_> = (0..calls)
        .map(|n| EntryRow {
            request_id: format!("{user}-{n}"),
            attempt: 1,
            user_id: user.to_owned(),
            key_id: "k".to_owned(),
            provider: "p".to_owned(),
            model: "=evil,\"m\"".to_owned(),
            tokens: Tokens { input: 1, ..Tokens::default() },
            cost_nano_usd: Some(1),
            tool_fees: "{}".to_owned(),
            tags: "{}".to_owned(),
            started_ms: started_ms + n % 7,
            ..EntryRow::default()
        })
        .collect();
    let key = RollupKey {
        hour_ms: started_ms - started_ms % 3_600_000,
        tag: String::new(),
        user_id: user.to_owned(),
        key_id: "k".to_owned(),
        team_id: String::new(),
        provider: "p".to_owned(),
        model: "=evil,\"m\"".to_owned(),
        features: String::new(),
    };
    let row = RollupRow {
        requests: calls,
        tokens: Tokens { input: calls, ..Tokens::default() },
        cost_nano_usd: calls,
        ..RollupRow::default()
    };
    let mut books = store.books().await.unwrap();
    books.begin().await.unwrap();
    let bookings: Vec<_> = entries
        .iter()
        .map(|entry| Booking { entry: entry.clone().into(), charges: Vec::new() })
        .collect();
    books.insert_entries(&bookings).await.unwrap();
    books.add_rollups(&[(key, row)].into()).await.unwrap();
    books.commit().await.unwrap();
}

fn lines(text: &str) -> Vec<Vec<String>> {
    let mut table = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    table.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[tokio::test]
async fn an_export_has_every_request_once_and_a_member_gets_its_own() {
    let office = Office::open().await;
    for (key, expected) in [(&office.alice, ALICES), (&office.root, ALICES + BOBS)] {
        let jsonl = office.get(key, "/export").await;
        assert_eq!((jsonl.status, jsonl.kind.as_str()), (StatusCode::OK, "application/jsonl"));
        let rows: Vec<UsageRow> =
            jsonl.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ids: BTreeSet<_> = rows.iter().map(|row| row.request_id.clone()).collect();
        assert_eq!((rows.len() as i64, ids.len() as i64), (expected, expected));
        let csv = office.get(key, "/export?format=csv").await;
        assert!(csv.kind.starts_with("text/csv"), "{}", csv.kind);
        let csv = lines(&csv.text);
        assert_eq!(csv.len() as i64, expected + 1);
        let again: BTreeSet<_> = csv[1..].iter().map(|line| line[0].clone()).collect();
        assert_eq!(again, ids);
        assert!(csv[1..].iter().all(|line| line[5] == "'=evil,\"m\"" && line[11] == "0.000000001"));
    }
    let few = office.get(&office.root, "/export?format=csv&user=bob&rows=3").await;
    assert_eq!(lines(&few.text).len(), 4);
    let none = office.get(&office.alice, "/export?user=bob").await;
    assert_eq!((none.status, none.text.as_str()), (StatusCode::OK, ""));
    let header = office.get(&office.alice, "/export?user=bob&format=csv").await;
    assert_eq!(lines(&header.text).len(), 1);
}

#[tokio::test]
async fn a_report_is_a_spreadsheet_where_it_is_asked_for_as_one() {
    let office = Office::open().await;
    let csv = office.get(&office.root, "?format=csv&group_by=user,model").await;
    let table = lines(&csv.text);
    assert_eq!(table[0][..5], ["user", "model", "requests", "input", "output"]);
    assert_eq!(table[1][..4], ["alice", "p/=evil,\"m\"", "1203", "1203"]);
    assert_eq!(table[2][0], "bob");
    let total = office.get(&office.alice, "?format=csv").await;
    assert_eq!(lines(&total.text)[1][0], "1203");
    let json = office.get(&office.alice, "?group_by=month,user&rows=2&time_zone=Asia/Tokyo").await;
    let report: UsageReport = serde_json::from_str(&json.text).unwrap();
    assert_eq!((report.groups.len(), report.rows.len()), (1, 2));
    assert_eq!(report.groups[0].subgroup.as_deref(), Some("alice"));
    assert!(report.next.is_some());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let office = Office::open().await;
    for (path, word) in [
        ("/export?format=json", "jsonl"),
        ("/export?format=xml", "format"),
        ("/export?group_by=day", "group_by"),
        ("/export?before=x", "before"),
        ("/export?since=soon", "since"),
        ("/export?user_id=bob", "user_id"),
        ("?format=jsonl", "csv"),
        ("?group_by=a,b,c", "group_by"),
        ("?delegated=true", "key"),
        ("?delegated=maybe&key=k", "delegated"),
    ] {
        let reply = office.get(&office.alice, path).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(reply.text.contains(word), "{path}: {}", reply.text);
    }
    assert_eq!(office.get("tg_wrong", "/export").await.status, StatusCode::UNAUTHORIZED);
}
