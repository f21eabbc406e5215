//! A request under an idempotency key is carried out once.

use super::{Desk, NOW, from, key_of, once, user};
use crate::{
    admin::{Actor, AdminError, Mandate},
    store::testing::{Kind, on_both_engines},
};
use futures_util::future::join_all;
use serde_json::json;

on_both_engines!(
    a_repetition_gets_the_first_answer_and_changes_nothing,
    another_request_under_the_same_key_is_a_conflict,
    another_actor_may_use_the_same_key,
    a_repeated_key_creation_has_no_secret_and_says_how_to_rotate,
    a_refused_request_may_be_repeated_once_it_is_right,
    after_a_day_the_key_is_forgotten;
    threads: ten_at_once_make_one_user
);

async fn a_repetition_gets_the_first_answer_and_changes_nothing(kind: Kind) {
    let desk = Desk::on(kind).await;
    let made = desk.office.create_user(&once("a"), user("alice")).await.unwrap();
    assert_eq!(desk.office.create_user(&once("a"), user("alice")).await.unwrap(), made);
    let patch = || from(json!({"time_zone": "Europe/Berlin"}));
    let first = desk.office.update_user(&once("b"), "alice", patch()).await.unwrap();
    // Somebody else changes it back: the repetition still tells what its request did.
    let back = from(json!({"time_zone": "UTC"}));
    desk.office.update_user(&once("c"), "alice", back).await.unwrap();
    assert_eq!(desk.office.update_user(&once("b"), "alice", patch()).await.unwrap(), first);
    assert_eq!(desk.office.user("alice").await.unwrap().time_zone, "UTC");
    let gone = desk.office.delete_user(&once("d"), "alice").await.unwrap();
    assert_eq!(desk.office.delete_user(&once("d"), "alice").await.unwrap(), gone);
    assert_eq!(desk.rows_of_trail().await, 4);
}

async fn another_request_under_the_same_key_is_a_conflict(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.office.create_user(&once("a"), user("alice")).await.unwrap();
    let other = desk.office.create_user(&once("a"), user("bob")).await;
    assert!(matches!(other, Err(AdminError::Reused)), "{other:?}");
    // The same body for another operation is another request.
    let other = desk.office.delete_user(&once("a"), "alice").await;
    assert!(matches!(other, Err(AdminError::Reused)), "{other:?}");
    assert_eq!(desk.rows_of_trail().await, 1);
}

async fn another_actor_may_use_the_same_key(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.office.create_user(&once("a"), user("alice")).await.unwrap();
    let other = Mandate::once(Actor::key("01k"), "a").unwrap();
    desk.office.create_user(&other, user("bob")).await.unwrap();
    assert_eq!(desk.office.users().await.unwrap().len(), 2);
}

async fn a_repeated_key_creation_has_no_secret_and_says_how_to_rotate(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let first = desk.office.create_key(&once("a"), key_of("alice")).await.unwrap();
    let again = desk.office.create_key(&once("a"), key_of("alice")).await.unwrap();
    assert_eq!(again.made, first.made);
    assert!(first.key.is_some() && again.key.is_none());
    let (first, again) = (first.shown().unwrap(), again.shown().unwrap());
    assert!(first["key"].as_str().unwrap().starts_with("tg_"));
    assert!(first.get("hint").is_none());
    assert!(again["key"].is_null() && again["hint"].as_str().unwrap().contains("rotate"));
    assert_eq!(desk.office.keys(Some("alice")).await.unwrap().len(), 1);
}

async fn a_refused_request_may_be_repeated_once_it_is_right(kind: Kind) {
    let desk = Desk::on(kind).await;
    assert!(desk.office.create_key(&once("a"), key_of("alice")).await.is_err());
    desk.alice().await;
    let made = desk.office.create_key(&once("a"), key_of("alice")).await.unwrap();
    assert!(made.key.is_some());
}

async fn after_a_day_the_key_is_forgotten(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.office.create_user(&once("a"), user("alice")).await.unwrap();
    desk.clock.set(NOW + 24 * 3_600_000);
    assert!(desk.office.create_user(&once("a"), user("alice")).await.is_ok(), "still known");
    desk.clock.set(NOW + 24 * 3_600_000 + 1);
    let taken = desk.office.create_user(&once("a"), user("alice")).await;
    assert!(matches!(taken, Err(AdminError::InTheWay(_))), "{taken:?}");
    desk.office.create_user(&once("b"), user("bob")).await.unwrap();
    assert_eq!(desk.store.number("select count(*) from admin_operations").await, 1);
}

#[test]
fn what_cannot_be_a_key_is_refused() {
    for wrong in ["", "ü", "a\nb", &"k".repeat(256)] {
        let refused = Mandate::once(Actor::shell("root"), wrong);
        assert!(matches!(refused, Err(AdminError::Invalid { .. })), "{wrong:?}");
    }
}

async fn ten_at_once_make_one_user(kind: Kind) {
    let desk = Desk::on(kind).await;
    let requests = (0..10).map(|_| async {
        desk.office.create_user(&once("a"), user("alice")).await.unwrap().user.id
    });
    let ids = join_all(requests).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(desk.rows_of_trail().await, 1);
}
