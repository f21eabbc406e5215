//! Budgets: which caps make sense, and that no two limit the same.

use super::{Desk, from, in_the_way, invalid, somebody};
use crate::{
    admin::{AdminError, BudgetOrder, BudgetPatch, MAX_CAP},
    store::testing::{Kind, on_both_engines},
};
use serde_json::{Value, json};

on_both_engines!(
    caps_that_are_negative_fractional_or_huge_are_refused,
    a_cap_of_zero_and_the_largest_cap_are_kept,
    a_budget_that_limits_the_same_as_another_is_refused_by_its_name,
    an_owner_is_named_once_and_exists,
    a_budget_is_changed_field_by_field,
    a_deleted_budget_is_deleted_once
);

impl Desk {
    async fn budget(&self, cap: Value) -> Result<String, AdminError> {
        let order = json!({"user": "alice", "resource": "cost", "window": "month", "cap": cap});
        let order: BudgetOrder = serde_json::from_value(order)
            .map_err(|error| AdminError::invalid("cap", error.to_string()))?;
        Ok(self.office.create_budget(&somebody(), order).await?.id)
    }
}

async fn caps_that_are_negative_fractional_or_huge_are_refused(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    for cap in [
        json!(-1),
        json!(0.5),
        json!(1e30),
        json!(MAX_CAP + 1),
        json!(i64::MAX),
        json!(u64::MAX),
        json!("-5usd"),
        json!("1000000001usd"),
        json!("0.0000000001usd"),
        json!("99999999999999999999usd"),
        json!("much"),
        json!(""),
        json!(null),
        json!([]),
    ] {
        assert_eq!(invalid(desk.budget(cap.clone()).await).0, "cap", "{cap}");
    }
    let id = desk.budget(json!("5usd")).await.unwrap();
    for cap in [json!(-1), json!("1.5.5"), json!(MAX_CAP + 1)] {
        let patch: BudgetPatch = from(json!({"cap": cap}));
        let refused = desk.office.update_budget(&somebody(), &id, patch).await;
        assert_eq!(invalid(refused).0, "cap", "{cap}");
    }
    assert_eq!(desk.office.budget(&id).await.unwrap().terms.cap, 5_000_000_000);
}

async fn a_cap_of_zero_and_the_largest_cap_are_kept(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let id = desk.budget(json!(0)).await.unwrap();
    let standing = desk.office.budget(&id).await.unwrap();
    assert_eq!((standing.now.cap, standing.now.remaining()), (0, 0));
    let patch: BudgetPatch = from(json!({"cap": MAX_CAP}));
    desk.office.update_budget(&somebody(), &id, patch).await.unwrap();
    assert_eq!(desk.office.budget(&id).await.unwrap().now.remaining(), MAX_CAP);
}

async fn a_budget_that_limits_the_same_as_another_is_refused_by_its_name(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let id = desk.budget(json!("5usd")).await.unwrap();
    let refused = in_the_way(desk.budget(json!("6usd")).await);
    assert!(refused.contains(&id) && refused.contains("cost a month"), "{refused}");
    // Another window or another owner is another limit; so is the place of a deleted one.
    let day = from(json!({"user": "alice", "resource": "cost", "window": "day", "cap": 1}));
    desk.office.create_budget(&somebody(), day).await.unwrap();
    let (key, _) = desk.key().await;
    let other = from(json!({"key": key, "resource": "cost", "window": "month", "cap": 1}));
    desk.office.create_budget(&somebody(), other).await.unwrap();
    desk.office.delete_budget(&somebody(), &id).await.unwrap();
    desk.budget(json!("6usd")).await.unwrap();
}

async fn an_owner_is_named_once_and_exists(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let (key, _) = desk.key().await;
    let create = async |owner: Value| {
        let mut order = json!({"resource": "tokens", "window": "total", "cap": 1});
        order.as_object_mut().unwrap().extend(owner.as_object().unwrap().clone());
        desk.office.create_budget(&somebody(), from(order)).await
    };
    assert_eq!(invalid(create(json!({})).await).0, "user");
    assert_eq!(invalid(create(json!({"user": "alice", "key": key})).await).0, "user");
    for owner in [json!({"user": "bob"}), json!({"key": "alice"})] {
        let unknown = create(owner).await;
        assert!(matches!(unknown, Err(AdminError::Unknown { .. })), "{unknown:?}");
    }
    desk.office.revoke_key(&somebody(), &key).await.unwrap();
    assert!(in_the_way(create(json!({"key": key})).await).contains("revoked"));
}

async fn a_budget_is_changed_field_by_field(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let id = desk.budget(json!("5usd")).await.unwrap();
    let update =
        async |patch: Value| desk.office.update_budget(&somebody(), &id, from(patch)).await;
    let view = update(json!({"overrun": "refuse", "alert_percent": 80})).await.unwrap();
    assert_eq!((view.overrun.as_str(), view.alert_percent), ("refuse", Some(80)));
    assert_eq!(view.cap, 5_000_000_000);
    let view = update(json!({"alert_percent": null})).await.unwrap();
    assert_eq!((view.overrun.as_str(), view.alert_percent), ("refuse", None));
    for percent in [0, 1001] {
        assert_eq!(invalid(update(json!({"alert_percent": percent})).await).0, "alert_percent");
    }
    assert!(invalid(update(json!({})).await).1.contains("nothing"));
}

async fn a_deleted_budget_is_deleted_once(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let id = desk.budget(json!("5usd")).await.unwrap();
    assert!(desk.office.delete_budget(&somebody(), &id).await.unwrap().changed);
    assert!(!desk.office.delete_budget(&somebody(), &id).await.unwrap().changed);
    for unknown in [
        desk.office.delete_budget(&somebody(), "nothing").await.map(drop),
        desk.office.update_budget(&somebody(), &id, from(json!({"cap": 1}))).await.map(drop),
        desk.office.budget(&id).await.map(drop),
    ] {
        assert!(matches!(unknown, Err(AdminError::Unknown { .. })), "{unknown:?}");
    }
    assert_eq!(desk.rows_of_trail().await, 3);
}
