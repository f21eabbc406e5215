//! Memory does not grow with the number of calls.
#![cfg(test)]

use futures_util::StreamExt;
use std::{collections::BTreeMap, path::Path, sync::Arc};
use tollgate::{
    access::{Caller, KeyOrder, Permissions, Role, issue_key},
    app::App,
    catalog::Catalog,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    gateway::Call,
    ids::new_id,
    ingress::Front,
    store::{BudgetRow, Patience, Store, UserRow},
};
use tollgate_bench::AtOnce;
use tollgate_types::{GenerateRequest, Message};

/// Calls until everything that is kept for ever, or up to a bound, has been made.
const WARM: usize = 3_000;
/// Calls that may not add to it.
const MORE: usize = 9_000;
/// What an allocator may hold on to. A leak of two kilobytes a call is more.
const SLACK_KIB: u64 = 16 * 1024;

/// `PAINS 12`.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_calls_with_ever_new_labels_and_wrong_keys_leave_no_memory_behind() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[store]\nurl = \"sqlite:{}\"\n[[providers]]\nname = \"mock\"\nkind = \"openai\"\n\
         base_url = \"http://127.0.0.1:9\"\n[[prices]]\nmodel = \"mock/*\"\ninput = \"1\"\noutput = \"2\"\n",
        folder.path().join("t.db").display()
    );
    let config = Config::parse(Path::new("t.toml"), &config, &Environment::default()).unwrap();
    let catalog = async { Ok(Catalog::of(&config, vec![Arc::new(AtOnce)]).await) };
    let app = App::around(&config, catalog).await.unwrap();
    let caller = caller(&app.front, &folder.path().join("t.db")).await;
    calls(&app.front, &caller, WARM).await;
    let before = resident_kib();
    calls(&app.front, &caller, MORE).await;
    let after = resident_kib();
    assert!(after < before + SLACK_KIB, "{before} KiB before, {after} KiB after {MORE} calls");
}

async fn caller(front: &Front, database: &Path) -> Arc<Caller> {
    let store = Store::open(database, Patience::Command).await.unwrap();
    let user = UserRow {
        id: new_id(&SystemClock),
        name: "alice".to_owned(),
        role: "member".to_owned(),
        time_zone: "UTC".to_owned(),
        permissions: "{}".to_owned(),
        created_ms: SystemClock.now_ms(),
        ..UserRow::default()
    };
    store.insert_user(&user, &[]).await.unwrap();
    let budget = BudgetRow {
        id: new_id(&SystemClock),
        owner_kind: "key".to_owned(),
        resource: "cost".to_owned(),
        span: "minute".to_owned(),
        cap: i64::MAX / 4,
        ..BudgetRow::default()
    };
    let order = KeyOrder {
        name: String::new(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: vec![budget],
    };
    let key = issue_key(&store, &SystemClock, &user, order).await.unwrap();
    front.access.authenticate(Some(key.key.expose())).await.unwrap()
}

async fn calls(front: &Front, caller: &Arc<Caller>, number: usize) {
    futures_util::stream::iter(0..number).for_each_concurrent(64, |_| call(front, caller)).await;
}

async fn call(front: &Front, caller: &Arc<Caller>) {
    let request_id = new_id(&SystemClock);
    // A stranger with a key of the right shape, another one every time.
    let wrong = format!("tg_{request_id}_secret");
    let wrong = format!("{wrong}_{:08x}", crc32fast::hash(wrong.as_bytes()));
    assert!(front.access.authenticate(Some(&wrong)).await.is_err());
    let tags = BTreeMap::from([("run".to_owned(), request_id.clone())]);
    let mut request = GenerateRequest::new("mock/m", vec![Message::user("x".repeat(2_000))]);
    request.options.tags = tags;
    let call = Call { request, request_id, dialect: "native", streamed: true };
    let mut answer = front.gateway.run(caller, call).await.unwrap();
    while let Some(event) = answer.events.next().await {
        event.unwrap();
    }
}

/// What this process occupies (`proc_pid_status(5)`).
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
