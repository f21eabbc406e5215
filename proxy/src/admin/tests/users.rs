//! Users: what they may be called, and what follows when they change.

use super::{Desk, from, in_the_way, invalid, somebody, terms, user};
use crate::{
    access::{Pattern, Permissions, Role},
    admin::{AdminError, NewKey, UserOrder},
    store::testing::{Kind, on_both_engines},
};
use serde_json::json;

on_both_engines!(
    values_that_make_no_sense_are_refused_by_field,
    a_name_is_unique_among_the_living,
    a_new_zone_or_name_reaches_the_budgets_of_the_user_and_its_keys,
    nobody_with_administrators_keys_becomes_a_member,
    a_change_that_changes_nothing_leaves_no_record,
    deleting_twice_by_id_changes_nothing_more
);

async fn values_that_make_no_sense_are_refused_by_field(kind: Kind) {
    let desk = Desk::on(kind).await;
    let long = "n".repeat(129);
    for name in ["", "a#b", "a\nb", "a\0b", " alice", "alice ", long.as_str()] {
        let refused = desk.office.create_user(&somebody(), user(name)).await;
        assert_eq!(invalid(refused).0, "name", "{name:?}");
    }
    for zone in ["", "Mars/Olympus", "europe berlin", "../../etc/passwd"] {
        let order = UserOrder { time_zone: zone.into(), ..user("alice") };
        let refused = desk.office.create_user(&somebody(), order).await;
        assert_eq!(invalid(refused).0, "time_zone", "{zone:?}");
    }
    for pattern in ["", "a*b", "*a", "**", "a\0"] {
        let models = Some(vec![Pattern(pattern.into())]);
        let permissions = Permissions { models, ..Permissions::default() };
        let refused = UserOrder { permissions, ..user("alice") };
        let refused = desk.office.create_user(&somebody(), refused).await;
        assert_eq!(invalid(refused).0, "permissions.models", "{pattern:?}");
    }
    let budgets = from(json!(["tokens=1/day", {"resource": "cost", "window": "day", "cap": -1}]));
    let refused = desk.office.create_user(&somebody(), UserOrder { budgets, ..user("a") }).await;
    assert_eq!(invalid(refused).0, "budgets[1].cap");
    desk.alice().await;
    let (_, message) =
        invalid(desk.office.update_user(&somebody(), "alice", from(json!({}))).await);
    assert!(message.contains("nothing"), "{message}");
    assert_eq!(desk.rows_of_trail().await, 1);
}

async fn a_name_is_unique_among_the_living(kind: Kind) {
    let desk = Desk::on(kind).await;
    let first = desk.alice().await;
    let refused = desk.office.create_user(&somebody(), user("alice")).await;
    assert!(in_the_way(refused).contains("\"alice\" already"));
    desk.office.create_user(&somebody(), user("bob")).await.unwrap();
    let refused = desk.office.update_user(&somebody(), "bob", from(json!({"name": "alice"}))).await;
    assert!(in_the_way(refused).contains("\"alice\" already"));
    desk.office.delete_user(&somebody(), "alice").await.unwrap();
    let second = desk.alice().await;
    assert_ne!(first, second);
    assert_eq!(desk.office.user("alice").await.unwrap().id, second);
    let deleted = desk.office.user(&first).await.unwrap();
    assert!(deleted.deleted_ms.is_some());
}

async fn a_new_zone_or_name_reaches_the_budgets_of_the_user_and_its_keys(kind: Kind) {
    let desk = Desk::on(kind).await;
    let budgets = vec![terms("cost=5usd/month")];
    let order = UserOrder { budgets, ..user("alice") };
    desk.office.create_user(&somebody(), order).await.unwrap();
    let order: NewKey = from(json!({"user": "alice", "budgets": ["tokens=9/day"]}));
    desk.office.create_key(&somebody(), order).await.unwrap();
    let patch = from(json!({"time_zone": "Asia/Tokyo", "name": "alicia"}));
    desk.office.update_user(&somebody(), "alice", patch).await.unwrap();
    let rows = desk.store.budgets().await.unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!((row.owner_name.as_str(), row.time_zone.as_str()), ("alicia", "Asia/Tokyo"));
    }
    // Days begin in Tokyo now.
    let standings = desk.office.budgets(Some("alicia")).await.unwrap();
    let resets: Vec<_> = standings.iter().filter_map(|budget| budget.now.resets_at_ms).collect();
    assert_eq!(resets.len(), 2);
    assert!(resets.iter().all(|ms| ms % 86_400_000 == 15 * 3_600_000), "{resets:?}");
}

async fn nobody_with_administrators_keys_becomes_a_member(kind: Kind) {
    let desk = Desk::on(kind).await;
    let order = UserOrder { role: Role::Admin, ..user("root") };
    desk.office.create_user(&somebody(), order).await.unwrap();
    let order: NewKey = from(json!({"user": "root", "role": "admin"}));
    let key = desk.office.create_key(&somebody(), order).await.unwrap().made.view.id;
    let demote = || from(json!({"role": "member"}));
    let refused = desk.office.update_user(&somebody(), "root", demote()).await;
    assert!(in_the_way(refused).contains(&key));
    desk.office.revoke_key(&somebody(), &key).await.unwrap();
    let view = desk.office.update_user(&somebody(), "root", demote()).await.unwrap();
    assert_eq!(view.role, "member");
    let order: NewKey = from(json!({"user": "root", "role": "admin"}));
    assert_eq!(invalid(desk.office.create_key(&somebody(), order).await).0, "role");
}

async fn a_change_that_changes_nothing_leaves_no_record(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let patch = from(json!({"time_zone": "UTC", "role": "member"}));
    desk.office.update_user(&somebody(), "alice", patch).await.unwrap();
    assert_eq!(desk.rows_of_trail().await, 1);
}

async fn deleting_twice_by_id_changes_nothing_more(kind: Kind) {
    let desk = Desk::on(kind).await;
    let id = desk.alice().await;
    assert!(desk.office.delete_user(&somebody(), &id).await.unwrap().changed);
    assert!(!desk.office.delete_user(&somebody(), &id).await.unwrap().changed);
    let unknown = desk.office.delete_user(&somebody(), "alice").await;
    assert!(matches!(unknown, Err(AdminError::Unknown { kind: "user", .. })), "{unknown:?}");
    assert_eq!(desk.rows_of_trail().await, 2);
}
