//! Alerts against an address that listens.

use super::{ATTEMPTS, Alerts, NEWS_MS};
use crate::{
    clock::{Clock, ManualClock},
    config::{AlertSettings, Environment},
    store::{
        BudgetRow, NewAlert, Store, UserRow,
        testing::{Home, Kind, on_both_engines, open_again, store_on},
    },
    tasks::Tasks,
};
use axum::{Router, body::Bytes, http::HeaderMap, http::StatusCode, routing::post};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;

on_both_engines!(
    an_alert_is_signed_and_told_once,
    an_alert_that_is_not_taken_is_tried_again_later_also_by_another_server,
    an_alert_is_given_up_after_so_many_tries_and_old_news_is_not_told;
    threads: several_servers_tell_an_alert_once,
);

const NOW: i64 = 1_795_000_000_000;

/// An address that listens, and answers as it is told; 200 when there is nothing more to tell.
struct Receiver {
    url: String,
    seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
    _tasks: Tasks,
}

impl Receiver {
    async fn start() -> Self {
        let seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
        let answers: Arc<Mutex<VecDeque<StatusCode>>> = Arc::default();
        let (notes, planned) = (Arc::clone(&seen), Arc::clone(&answers));
        let take = move |headers: HeaderMap, body: Bytes| async move {
            notes.lock().unwrap().push((headers, body));
            let status = planned.lock().unwrap().pop_front().unwrap_or(StatusCode::OK);
            // Whoever followed this would come again.
            (status, [("location", "/hook/secret-path")])
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/secret-path", listener.local_addr().unwrap());
        let router = Router::new().route("/hook/secret-path", post(take.clone()).get(take));
        let tasks = Tasks::new();
        tasks.spawn(async move { drop(axum::serve(listener, router).await) });
        Self { url, seen, answers, _tasks: tasks }
    }

    fn answers(&self, statuses: &[u16]) {
        let statuses = statuses.iter().map(|status| StatusCode::from_u16(*status).unwrap());
        self.answers.lock().unwrap().extend(statuses);
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn alerts(&self) -> Alerts {
        alerts_to(&self.url)
    }
}

fn alerts_to(url: &str) -> Alerts {
    let settings = AlertSettings {
        webhook: Some(url.to_owned()),
        webhook_secret_env: Some("HOOK_SECRET".to_owned()),
    };
    Alerts::of(&settings, &Environment::of([("HOOK_SECRET", "hush")])).unwrap().unwrap()
}

/// A store with budgets that passed their alert.
async fn noticed(kind: Kind, count: i64) -> (Home, Store) {
    let (home, store) = store_on(kind).await;
    let user = UserRow {
        id: "user".into(),
        name: "alice".into(),
        time_zone: "UTC".into(),
        permissions: "{}".into(),
        ..UserRow::default()
    };
    let budgets: Vec<_> = (0..count)
        .map(|n| BudgetRow {
            id: format!("b{n}"),
            owner_kind: "user".into(),
            owner_id: "user".into(),
            resource: "cost".into(),
            span: ["day", "week", "month", "total"][usize::try_from(n).unwrap() % 4].into(),
            cap: 2_000_000_000,
            ..BudgetRow::default()
        })
        .collect();
    store.insert_user(&user, &budgets).await.unwrap();
    let alerts: Vec<_> = (0..count)
        .map(|n| NewAlert {
            budget_id: format!("b{n}"),
            start_ms: 7,
            percent: 80,
            spent: 1_700_000_000,
            cap: 2_000_000_000,
            at_ms: NOW,
        })
        .collect();
    let mut books = store.books().await.unwrap();
    assert_eq!(i64::try_from(books.insert_alerts(&alerts).await.unwrap().len()).unwrap(), count);
    assert!(books.insert_alerts(&alerts).await.unwrap().is_empty(), "once");
    (home, store)
}

async fn an_alert_is_signed_and_told_once(kind: Kind) {
    let (_home, store) = noticed(kind, 1).await;
    let (receiver, clock) = (Receiver::start().await, ManualClock::at(NOW + 1_500));
    let alerts = receiver.alerts();
    assert_eq!(alerts.tell_waiting(&store, &clock).await.unwrap(), 1);
    clock.advance(Duration::from_secs(86_400));
    assert_eq!(alerts.tell_waiting(&store, &clock).await.unwrap(), 0);
    let seen = receiver.seen.lock().unwrap().clone();
    let [(headers, body)] = seen.as_slice() else { panic!("{} times", seen.len()) };
    assert_eq!(headers["content-type"], "application/json");
    let seconds = (NOW + 1_500) / 1000;
    let mut mac = Hmac::<Sha256>::new_from_slice(b"hush").unwrap();
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(headers["x-tollgate-signature"], format!("t={seconds},v1={hex}").as_str());
    let told: Value = serde_json::from_slice(body).unwrap();
    let expected = serde_json::json!({
        "type": "budget_alert", "id": "b0:7:80",
        "text": "user:alice has spent $1.70 of $2.00 in this day (the alert is at 80%)",
        "budget": "b0", "owner": "user:alice", "resource": "cost", "window": "day",
        "window_start_ms": 7, "soft": false, "percent": 80, "spent": 1_700_000_000_i64,
        "cap": 2_000_000_000_i64, "noticed_ms": NOW,
    });
    assert_eq!(told, expected);
    let row = &store.alerts(9).await.unwrap()[0];
    assert_eq!((row.delivered_ms, row.attempts), (Some(NOW + 1_500), 1));
}

async fn an_alert_that_is_not_taken_is_tried_again_later_also_by_another_server(kind: Kind) {
    let (home, store) = noticed(kind, 1).await;
    let (receiver, clock) = (Receiver::start().await, ManualClock::at(NOW));
    receiver.answers(&[500, 302, 404]);
    let alerts = receiver.alerts();
    let tell =
        async |alerts: &Alerts, store: &Store| alerts.tell_waiting(store, &clock).await.unwrap();
    assert_eq!((tell(&alerts, &store).await, receiver.count()), (0, 1));
    assert_eq!((tell(&alerts, &store).await, receiver.count()), (0, 1), "not before its time");
    clock.advance(Duration::from_secs(60));
    assert_eq!(
        (tell(&alerts, &store).await, receiver.count()),
        (0, 2),
        "redirects are not followed"
    );
    // The server stops; another one finds the row.
    drop((alerts, store));
    let store = open_again(&home).await;
    let alerts = receiver.alerts();
    clock.advance(Duration::from_secs(60));
    assert_eq!((tell(&alerts, &store).await, receiver.count()), (0, 3));
    clock.advance(Duration::from_secs(60));
    assert_eq!((tell(&alerts, &store).await, receiver.count()), (1, 4));
    let row = &store.alerts(9).await.unwrap()[0];
    assert_eq!((row.delivered_ms, row.attempts), (Some(clock.now_ms()), 4));
    let ids: Vec<Value> = receiver
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap()["id"].clone())
        .collect();
    assert!(ids.iter().all(|id| id == "b0:7:80"), "{ids:?}");
}

async fn an_alert_is_given_up_after_so_many_tries_and_old_news_is_not_told(kind: Kind) {
    let (_home, store) = noticed(kind, 1).await;
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let alerts = alerts_to(&format!("http://{}/secret", gone.local_addr().unwrap()));
    drop(gone);
    let clock = ManualClock::at(NOW);
    for _ in 0..ATTEMPTS + 3 {
        assert_eq!(alerts.tell_waiting(&store, &clock).await.unwrap(), 0);
        clock.advance(Duration::from_secs(4_000));
    }
    assert_eq!(store.alerts(9).await.unwrap()[0].attempts, ATTEMPTS);
    store.tamper("update alerts set attempts = 0, next_ms = 0").await;
    let receiver = Receiver::start().await;
    clock.set(NOW + NEWS_MS + 1);
    assert_eq!(receiver.alerts().tell_waiting(&store, &clock).await.unwrap(), 0);
    clock.set(NOW + NEWS_MS);
    assert_eq!(receiver.alerts().tell_waiting(&store, &clock).await.unwrap(), 1);
}

async fn several_servers_tell_an_alert_once(kind: Kind) {
    let (home, store) = noticed(kind, 8).await;
    let (receiver, clock) = (Receiver::start().await, ManualClock::at(NOW));
    let mut servers = vec![(receiver.alerts(), store.clone())];
    for _ in 0..3 {
        servers.push((receiver.alerts(), open_again(&home).await));
    }
    let telling = servers.iter().map(|(alerts, store)| alerts.tell_waiting(store, &clock));
    let told = futures_util::future::join_all(telling).await;
    assert_eq!(told.into_iter().map(Result::unwrap).sum::<usize>(), 8);
    assert_eq!(receiver.count(), 8);
    assert!(store.alerts(99).await.unwrap().iter().all(|row| row.delivered_ms.is_some()));
}

#[test]
fn a_secret_that_is_not_set_is_named() {
    let settings = AlertSettings {
        webhook: Some("http://127.0.0.1:1".into()),
        webhook_secret_env: Some("HOOK_SECRET".into()),
    };
    let error = Alerts::of(&settings, &Environment::default()).unwrap_err();
    assert!(error.to_string().contains("HOOK_SECRET"), "{error}");
    assert!(Alerts::of(&AlertSettings::default(), &Environment::default()).unwrap().is_none());
}
