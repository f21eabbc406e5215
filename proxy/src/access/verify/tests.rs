//! A revocation holds, however slowly the database answered before it.

use super::{Access, AuthError, Instant, Proof};
use crate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    clock::{Clock, SystemClock},
    store::{
        Store, UserRow,
        testing::{Home, Kind, on_both_engines, store_on},
    },
};
use std::{sync::Arc, time::Duration};

on_both_engines!(
    an_answer_that_comes_late_does_not_undo_a_revocation,
    a_key_that_is_revoked_while_it_waits_to_be_hashed_is_refused,
    of_many_calls_after_a_pause_one_asks_for_all,
);

async fn a_key(kind: Kind) -> (Home, Store, Access, String, String) {
    let (home, store) = store_on(kind).await;
    let user = UserRow {
        id: "user".into(),
        name: "alice".into(),
        role: "member".into(),
        time_zone: "UTC".into(),
        permissions: "{}".into(),
        ..UserRow::default()
    };
    store.insert_user(&user, &[]).await.unwrap();
    let order = KeyOrder {
        name: "k".into(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: Vec::new(),
    };
    let issued = issue_key(&store, &SystemClock, &user, order).await.unwrap();
    let access = Access::new(store.clone(), Arc::new(SystemClock)).unwrap();
    (home, store, access, issued.id, issued.key.expose().clone())
}

async fn revoke(store: &Store, id: &str) {
    let mut change = store.change().await.unwrap();
    assert!(change.revoke_key(id, SystemClock.now_ms()).await.unwrap());
    change.commit().await.unwrap();
}

async fn an_answer_that_comes_late_does_not_undo_a_revocation(kind: Kind) {
    let (_home, store, access, id, text) = a_key(kind).await;
    access.authenticate(Some(&text)).await.unwrap();
    let (asked, before) = (Instant::now(), store.account(&id).await.unwrap().unwrap());
    let hash: Arc<str> = before.key.secret_hash.as_str().into();
    revoke(&store, &id).await;
    let name = access.name_of(&text);
    let proof = Proof { hash, token: None };
    let (account, _) = access.load(name, &id, proof.clone()).await.unwrap();
    assert!(account.key.revoked_ms.is_some());
    // The answer to the question of before comes only now.
    let (account, _) = access.keys_seen.believe(name, before, (proof, asked)).unwrap();
    assert!(account.key.revoked_ms.is_some());
    let refused = access.authenticate(Some(&text)).await;
    assert!(matches!(refused, Err(AuthError::Revoked)), "{refused:?}");
}

async fn of_many_calls_after_a_pause_one_asks_for_all(kind: Kind) {
    let (_home, store, access, id, text) = a_key(kind).await;
    access.authenticate(Some(&text)).await.unwrap();
    let account = store.account(&id).await.unwrap().unwrap();
    let name = access.name_of(&text);
    let hash: Arc<str> = account.key.secret_hash.as_str().into();
    let proof = Proof { hash, token: None };
    // As after a pause.
    access.keys_seen.forget(name);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
    access.keys_seen.believe(name, account.clone(), (proof.clone(), long_ago)).unwrap();
    let asking = access.reader(&name).lock().await;
    let calls = (0..50).map(|_| access.authenticate(Some(&text)));
    let mut calls = std::pin::pin!(futures_util::future::join_all(calls));
    assert!(futures_util::poll!(calls.as_mut()).is_pending());
    // Who asks again would be told that there is no such key.
    store.tamper("delete from api_keys").await;
    access.keys_seen.believe(name, account, (proof, Instant::now())).unwrap();
    drop(asking);
    for known in calls.await {
        assert_eq!(known.unwrap().key_id(), id);
    }
}

async fn a_key_that_is_revoked_while_it_waits_to_be_hashed_is_refused(kind: Kind) {
    let (_home, store, access, id, text) = a_key(kind).await;
    let turns = Arc::clone(&access.hashers).acquire_many_owned(2).await.unwrap();
    let mut asked = std::pin::pin!(access.authenticate(Some(&text)));
    let waits = tokio::time::timeout(Duration::from_millis(300), asked.as_mut()).await;
    assert!(waits.is_err(), "nobody has hashed");
    revoke(&store, &id).await;
    drop(turns);
    let refused = asked.await;
    assert!(matches!(refused, Err(AuthError::Revoked)), "{refused:?}");
}
