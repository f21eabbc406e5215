//! Keys: a new secret takes the place of the old one, at once or after a time.

use super::{Desk, NOW, from, in_the_way, invalid, somebody};
use crate::{
    access::{Access, AuthError},
    admin::{KeyPatch, NewKey, Rotation},
    store::testing::{Kind, on_both_engines},
};
use serde_json::{Value, json};
use std::time::Duration;

on_both_engines!(
    after_a_rotation_only_the_new_secret_works,
    a_secret_that_was_verified_before_the_rotation_stops_within_a_second,
    with_an_overlap_both_secrets_work_until_it_ends,
    a_key_is_changed_field_by_field,
    what_a_key_cannot_be_is_refused,
    a_revoked_key_stays_as_it_is
);

impl Desk {
    /// As a server that has seen no key yet.
    async fn accepts(&self, key: &str) -> bool {
        let access = Access::new(self.store.clone(), self.clock.clone()).unwrap();
        match access.authenticate(Some(key)).await {
            Ok(_) => true,
            Err(AuthError::Invalid) => false,
            Err(other) => panic!("{other}"),
        }
    }

    async fn rotate(&self, id: &str, overlap: Option<&str>) -> String {
        let rotation = Rotation { overlap: overlap.map(str::to_owned) };
        let issued = self.office.rotate_key(&somebody(), id, rotation).await.unwrap();
        assert_eq!(issued.made.view.id, id);
        issued.key.unwrap().expose().clone()
    }
}

async fn after_a_rotation_only_the_new_secret_works(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let (id, first) = desk.key().await;
    assert!(desk.accepts(&first).await);
    let second = desk.rotate(&id, None).await;
    assert_ne!(first, second);
    assert!(!desk.accepts(&first).await && desk.accepts(&second).await);
}

async fn a_secret_that_was_verified_before_the_rotation_stops_within_a_second(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let (id, first) = desk.key().await;
    let access = Access::new(desk.store.clone(), desk.clock.clone()).unwrap();
    access.authenticate(Some(&first)).await.unwrap();
    let second = desk.rotate(&id, None).await;
    let refused = async {
        while access.authenticate(Some(&first)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), refused).await.unwrap();
    access.authenticate(Some(&second)).await.unwrap();
}

async fn with_an_overlap_both_secrets_work_until_it_ends(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let (id, first) = desk.key().await;
    let second = desk.rotate(&id, Some("1h")).await;
    assert!(desk.accepts(&first).await && desk.accepts(&second).await);
    let view = desk.office.key(&id).await.unwrap();
    assert_eq!(view.old_secret_until_ms, Some(NOW + 3_600_000));
    desk.clock.set(NOW + 3_600_000);
    assert!(!desk.accepts(&first).await && desk.accepts(&second).await);
    assert_eq!(desk.office.key(&id).await.unwrap().old_secret_until_ms, None);
    // A second rotation ends the overlap of the first.
    desk.clock.set(NOW);
    let third = desk.rotate(&id, Some("1h")).await;
    assert!(!desk.accepts(&first).await);
    assert!(desk.accepts(&second).await && desk.accepts(&third).await);
    for wrong in ["", "0s", "soon", "31d", "-1h", "99999999999999999w"] {
        let rotation = Rotation { overlap: Some(wrong.into()) };
        let refused = desk.office.rotate_key(&somebody(), &id, rotation).await;
        assert_eq!(invalid(refused).0, "overlap", "{wrong}");
    }
}

async fn a_key_is_changed_field_by_field(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let (id, text) = desk.key().await;
    let update = async |patch: Value| desk.office.update_key(&somebody(), &id, from(patch)).await;
    let changed = json!({"rate_per_minute": 5, "expires": "1d", "overrun": "refuse",
                         "permissions": {"models": ["p/*"]}});
    let view = update(changed).await.unwrap();
    assert_eq!((view.rate_per_minute, view.expires_ms), (Some(5), Some(NOW + 86_400_000)));
    assert_eq!((view.overrun.as_str(), view.permissions), ("refuse", json!({"models": ["p/*"]})));
    let view = update(json!({"rate_per_minute": null, "name": "laptop"})).await.unwrap();
    assert_eq!((view.rate_per_minute, view.expires_ms), (None, Some(NOW + 86_400_000)));
    assert_eq!((view.name.as_str(), view.overrun.as_str()), ("laptop", "refuse"));
    let view = update(json!({"expires": null, "permissions": {}})).await.unwrap();
    assert_eq!((view.expires_ms, view.permissions), (None, json!({})));
    assert!(desk.accepts(&text).await, "the secret stays");
    assert_eq!(invalid(update(json!({"rate_per_minute": 0})).await).0, "rate_per_minute");
    assert_eq!(invalid(update(json!({"expires": "1970-01-01T00:00:00Z"})).await).0, "expires");
    assert_eq!(invalid(update(json!({"name": "a\nb"})).await).0, "name");
    assert!(invalid(update(json!({})).await).1.contains("nothing"));
    for wrong in [
        json!({"rate_per_minute": -1}),
        json!({"rate_per_minute": 1.5}),
        json!({"rate_per_minute": 5_000_000_000_i64}),
        json!({"overrun": "panic"}),
        json!({"permissions": {"modles": []}}),
        json!({"role": "admin"}),
    ] {
        assert!(serde_json::from_value::<KeyPatch>(wrong.clone()).is_err(), "{wrong}");
    }
}

async fn what_a_key_cannot_be_is_refused(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    for (order, field) in [
        (json!({"user": "alice", "role": "admin"}), "role"),
        (json!({"user": "alice", "expires": "yesterday"}), "expires"),
        (json!({"user": "alice", "rate_per_minute": 0}), "rate_per_minute"),
        (json!({"user": "alice", "name": "n".repeat(129)}), "name"),
        (json!({"user": "alice", "permissions": {"providers": ["a*b"]}}), "permissions.providers"),
    ] {
        let order: NewKey = from(order);
        assert_eq!(invalid(desk.office.create_key(&somebody(), order).await).0, field);
    }
    let twice: NewKey =
        from(json!({"user": "alice", "budgets": ["cost=1usd/day", "cost=2usd/day"]}));
    assert!(in_the_way(desk.office.create_key(&somebody(), twice).await).contains("already"));
    assert!(desk.office.keys(None).await.unwrap().is_empty());
}

async fn a_revoked_key_stays_as_it_is(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let (id, _) = desk.key().await;
    assert!(desk.office.revoke_key(&somebody(), &id).await.unwrap().changed);
    assert!(!desk.office.revoke_key(&somebody(), &id).await.unwrap().changed);
    assert_eq!(desk.office.key(&id).await.unwrap().state, "revoked");
    let refused = desk.office.rotate_key(&somebody(), &id, Rotation::default()).await;
    assert!(in_the_way(refused).contains("revoked"));
    let patch = from(json!({"name": "x"}));
    let refused = desk.office.update_key(&somebody(), &id, patch).await;
    assert!(in_the_way(refused).contains("revoked"));
    assert_eq!(desk.rows_of_trail().await, 3);
}
