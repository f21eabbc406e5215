//! Keys below keys: never wider, never longer, and no more than there is left.

use super::{Desk, from, in_the_way, invalid, somebody};
use crate::{
    access::{Access, AuthError},
    admin::{Actor, AdminError, DelegationBounds, Mandate, UserPatch},
    clock::Clock,
    store::testing::{Kind, on_both_engines},
};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_types::{DelegateRequest, DelegatedKey};

on_both_engines!(
    a_delegated_key_is_narrower_and_ends_with_the_key_above_it,
    what_is_wider_is_refused_by_name,
    a_sub_budget_is_no_more_than_every_budget_above_has_left,
    a_line_of_keys_is_at_most_so_deep_and_a_key_has_at_most_so_many_below_it,
    a_repetition_makes_no_second_key_and_shows_no_secret,
    a_key_that_is_revoked_or_over_stops_every_key_below_it,
    a_key_revokes_only_what_descends_from_it,
);

const BOUNDS: DelegationBounds = DelegationBounds { max_depth: 3, until_ms: None };

impl Desk {
    async fn delegate(&self, parent: &str, order: Value) -> Result<DelegatedKey, AdminError> {
        let order: DelegateRequest = from(order);
        let mandate = Mandate::of(Actor::key(parent));
        self.office.delegate(&mandate, parent, BOUNDS, &order).await
    }

    async fn narrow_key(&self, order: Value) -> String {
        let issued = self.office.create_key(&somebody(), from(order)).await.unwrap();
        issued.made.view.id
    }
}

/// The permission that is missing.
fn denied<T: std::fmt::Debug>(result: Result<T, AdminError>) -> String {
    match result {
        Err(AdminError::Denied { permission, .. }) => permission,
        other => panic!("{other:?}"),
    }
}

async fn a_delegated_key_is_narrower_and_ends_with_the_key_above_it(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let parent = desk.narrow_key(json!({"user": "alice", "expires": "2h"})).await;
    let made = desk.delegate(&parent, json!({})).await.unwrap();
    let now_ms = desk.clock.now_ms();
    assert_eq!((made.depth, made.expires_ms), (1, now_ms + 3_600_000));
    let order = json!({
        "name": "agent 7", "expires_in_seconds": 86_400, "rate_per_minute": 60,
        "permissions": {"models": ["local/*"], "features": ["chat"]},
        "budgets": ["tokens=100/day", {"resource": "cost", "window": "total", "cap": 5}]
    });
    let made = desk.delegate(&parent, order).await.unwrap();
    assert_eq!(made.expires_ms, now_ms + 7_200_000, "no longer than the key above");
    let caps: Vec<_> = made.budgets.iter().map(|b| (b.resource.as_str(), b.cap, b.spent)).collect();
    assert_eq!(caps, [("tokens", 100, 0), ("cost", 5, 0)]);
    let access = Access::new(desk.store.clone(), desk.clock.clone()).unwrap();
    let caller = access.authenticate(made.key.as_deref()).await.unwrap();
    let owners: Vec<_> = caller.owners().iter().map(|owner| owner.id.clone()).collect();
    assert_eq!(owners, [caller.user_id().to_owned(), parent.clone(), made.id.clone()]);
    let listed = desk.office.delegated_by(&parent).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|key| key.key.is_none()), "never again");
    let found = listed.into_iter().find(|key| key.id == made.id).unwrap();
    assert_eq!(found.budgets.len(), 2);
    assert_eq!(DelegatedKey { budgets: Vec::new(), ..found }, {
        DelegatedKey { key: None, budgets: Vec::new(), ..made }
    });
    for seconds in [0, 86_401] {
        let refused = desk.delegate(&parent, json!({"expires_in_seconds": seconds})).await;
        assert_eq!(invalid(refused).0, "expires_in_seconds");
    }
    // What was made has its row in the trail, without anything secret.
    assert_eq!(
        desk.store.number("select count(*) from audit where action = 'key.delegate'").await,
        2
    );
    assert_eq!(
        desk.store.number("select count(*) from audit where after like '%argon2%'").await,
        0
    );
    let bounds = DelegationBounds { until_ms: Some(now_ms + 9_000), ..BOUNDS };
    let (mandate, order) = (Mandate::of(Actor::key(&parent)), from(json!({})));
    let brief = desk.office.delegate(&mandate, &parent, bounds, &order).await.unwrap();
    assert_eq!(brief.expires_ms, now_ms + 9_000, "no longer than the token that asked for it");
}

async fn what_is_wider_is_refused_by_name(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let narrow: UserPatch = from(json!({"permissions": {"providers": ["local", "openai"]}}));
    desk.office.update_user(&somebody(), "alice", narrow).await.unwrap();
    let parent = desk
        .narrow_key(json!({
            "user": "alice", "rate_per_minute": 60,
            "permissions": {"models": ["local/*", "openai/gpt-5*"], "features": ["chat", "stream"]}
        }))
        .await;
    for (order, permission) in [
        (json!({"permissions": {"models": ["*"]}}), "model:*"),
        (json!({"permissions": {"models": ["local/a", "openai/*"]}}), "model:openai/*"),
        (json!({"permissions": {"providers": ["anthropic"]}}), "provider:anthropic"),
        (json!({"permissions": {"features": ["chat", "tools"]}}), "feature:tools"),
        (json!({"rate_per_minute": 61}), "rate_per_minute:61"),
    ] {
        assert_eq!(denied(desk.delegate(&parent, order.clone()).await), permission, "{order}");
    }
    let child = json!({"permissions": {"models": ["openai/gpt-5-mini"]}, "rate_per_minute": 60});
    let child = desk.delegate(&parent, child).await.unwrap();
    // Every key above counts, not only the nearest.
    let order = json!({"permissions": {"models": ["local/a"]}});
    assert_eq!(denied(desk.delegate(&child.id, order).await), "model:local/a");
    let order = json!({"permissions": {"features": ["tools"]}});
    assert_eq!(denied(desk.delegate(&child.id, order).await), "feature:tools");
    for (order, field) in [
        (json!({"permissions": {"models": [""]}}), "permissions.models"),
        (json!({"permissions": {"models": ["a*b"]}}), "permissions.models"),
        (json!({"name": "x".repeat(1000)}), "name"),
        (json!({"rate_per_minute": 0}), "rate_per_minute"),
        (json!({"budgets": ["cost=1usd/day", "cost=2usd/day"]}), "budgets[1]"),
        (
            json!({"budgets": [{"resource": "cost", "window": "day", "cap": i64::MAX}]}),
            "budgets[0].cap",
        ),
    ] {
        assert_eq!(invalid(desk.delegate(&parent, order.clone()).await).0, field, "{order}");
    }
}

async fn a_sub_budget_is_no_more_than_every_budget_above_has_left(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let parent = desk
        .narrow_key(json!({"user": "alice", "budgets": ["cost=5usd/month", "tokens=1000/day"]}))
        .await;
    for order in [
        json!({"user": "alice", "resource": "cost", "window": "day", "cap": "3usd"}),
        json!({"user": "alice", "resource": "cost", "window": "total", "cap": 7, "soft": true}),
        json!({"user": "alice", "resource": "cost", "window": "week", "cap": 9, "model": "openai/*"}),
    ] {
        desk.office.create_budget(&somebody(), from(order)).await.unwrap();
    }
    let not_enough = async |order: Value| match desk.delegate(&parent, order).await {
        Err(AdminError::NotEnough { field, message, budget }) => (field, message, budget.owner),
        other => panic!("{other:?}"),
    };
    let (field, message, owner) =
        not_enough(json!({"budgets": ["tokens=1/day", "cost=4usd/month"]})).await;
    assert_eq!((field.as_str(), owner.as_str()), ("budgets[1]", "user:alice"));
    assert!(message.contains("$4.00 is more than the $3.00"), "{message}");
    desk.delegate(&parent, json!({"budgets": ["cost=3usd/month", "requests=9/day"]}))
        .await
        .unwrap();
    // The one for a single provider's models counts for keys that may use nothing else.
    let order = json!({
        "budgets": ["cost=1usd/day"], "permissions": {"models": ["openai/gpt-5"]}
    });
    assert!(not_enough(order).await.1.contains("$0.000000009"));
    // What is spent is not left.
    desk.store
        .tamper(
            "insert into budget_windows (budget_id, start_ms, end_ms, spent, held)
                 select id, 1794960000000, 1795046400000, 900, 50 from budgets
                 where resource = 'tokens' and owner_kind = 'key'",
        )
        .await;
    let standing = desk.office.budgets(None).await.unwrap();
    let tokens = standing.iter().find(|b| b.terms.resource == "tokens").unwrap();
    assert_eq!(tokens.now.remaining(), 50);
    let (_, message, owner) = not_enough(json!({"budgets": ["tokens=51/day"]})).await;
    assert!(
        message.contains("51 is more than the 50") && owner == format!("key:{parent}"),
        "{message}"
    );
    desk.delegate(&parent, json!({"budgets": ["tokens=50/day"]})).await.unwrap();
}

async fn a_line_of_keys_is_at_most_so_deep_and_a_key_has_at_most_so_many_below_it(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let top = desk.narrow_key(json!({"user": "alice"})).await;
    let mut parent = top.clone();
    for depth in 1..=3 {
        let made = desk.delegate(&parent, json!({})).await.unwrap();
        assert_eq!(made.depth, depth);
        parent = made.id;
    }
    assert_eq!(denied(desk.delegate(&parent, json!({})).await), "delegate");
    // 999 more, by another hand.
    desk.store
        .tamper(&format!(
            "insert into api_keys (id, user_id, parent_id, depth, name, role, secret_hash,
                                   permissions, created_ms, expires_ms)
             with recursive n (n) as (select 1 union all select n + 1 from n where n < 999)
             select 'x' || n, k.user_id, k.id, 1, '', 'member', '', '{{}}', 1, {}
             from n cross join api_keys k where k.id = '{top}'",
            i64::MAX
        ))
        .await;
    assert!(in_the_way(desk.delegate(&top, json!({})).await).contains("1000"));
    desk.store.tamper("update api_keys set revoked_ms = 1 where id = 'x1'").await;
    desk.delegate(&top, json!({})).await.unwrap();
    assert!(in_the_way(desk.delegate(&top, json!({})).await).contains("1000"));
}

async fn a_repetition_makes_no_second_key_and_shows_no_secret(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let parent = desk.narrow_key(json!({"user": "alice", "budgets": ["cost=5usd/month"]})).await;
    let once = Mandate::once(Actor::key(&parent), "agent-7").unwrap();
    let order: DelegateRequest = from(json!({"budgets": ["cost=5usd/month"]}));
    let delegate =
        async |order: &DelegateRequest| desk.office.delegate(&once, &parent, BOUNDS, order).await;
    let first = delegate(&order).await.unwrap();
    assert!(first.key.is_some());
    // Meanwhile there is nothing left: the repetition is no new request.
    desk.store.tamper("update budgets set cap = 1 where owner_kind = 'key'").await;
    let again = delegate(&order).await.unwrap();
    assert_eq!(again, DelegatedKey { key: None, ..first.clone() });
    assert!(matches!(delegate(&from(json!({}))).await, Err(AdminError::Reused)));
    assert_eq!(desk.office.delegated_by(&parent).await.unwrap().len(), 1);
    // Another key's idempotency keys are its own.
    let other = desk.narrow_key(json!({"user": "alice"})).await;
    let once = Mandate::once(Actor::key(&other), "agent-7").unwrap();
    let theirs = desk.office.delegate(&once, &other, BOUNDS, &from(json!({}))).await.unwrap();
    assert_ne!(theirs.id, first.id);
    let text = first.key.unwrap();
    let secret = text.split('_').nth(2).unwrap();
    let leaked = format!("select count(*) from admin_operations where answer like '%{secret}%'");
    assert_eq!(desk.store.number(&leaked).await, 0);
}

async fn a_key_that_is_revoked_or_over_stops_every_key_below_it(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let access = Access::new(desk.store.clone(), desk.clock.clone()).unwrap();
    let line = async || {
        let top = desk.narrow_key(json!({"user": "alice"})).await;
        let child = desk.delegate(&top, json!({"expires_in_seconds": 60})).await.unwrap();
        let below = desk.delegate(&child.id, json!({"expires_in_seconds": 3600})).await.unwrap();
        assert_eq!(below.expires_ms, child.expires_ms);
        (child, below)
    };
    let (child, below) = line().await;
    access.authenticate(below.key.as_deref()).await.unwrap();
    desk.office.revoke_key(&somebody(), &child.id).await.unwrap();
    let fresh = Access::new(desk.store.clone(), desk.clock.clone()).unwrap();
    for key in [&child, &below] {
        let refused = fresh.authenticate(key.key.as_deref()).await;
        assert!(matches!(refused, Err(AuthError::Revoked)), "{refused:?}");
    }
    let refused = desk.delegate(&below.id, json!({})).await;
    assert!(matches!(refused, Err(AdminError::InTheWay(_))), "{refused:?}");
    let (child, below) = line().await;
    access.authenticate(below.key.as_deref()).await.unwrap();
    desk.clock.advance(Duration::from_secs(60));
    for key in [&child, &below] {
        let refused = access.authenticate(key.key.as_deref()).await;
        assert!(matches!(refused, Err(AuthError::Expired)), "{refused:?}");
    }
    assert!(matches!(desk.delegate(&below.id, json!({})).await, Err(AdminError::InTheWay(_))));
}

async fn a_key_revokes_only_what_descends_from_it(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let (one, two) = (
        desk.narrow_key(json!({"user": "alice"})).await,
        desk.narrow_key(json!({"user": "alice"})).await,
    );
    let child = desk.delegate(&one, json!({})).await.unwrap().id;
    let grandchild = desk.delegate(&child, json!({})).await.unwrap().id;
    let revoke = async |by: &str, id: &str| {
        desk.office.revoke_delegated(&Mandate::of(Actor::key(by)), by, id).await
    };
    for (by, id) in [(&two, &child), (&grandchild, &child), (&one, &one), (&one, &two)] {
        assert!(matches!(revoke(by, id).await, Err(AdminError::Unknown { .. })), "{by} {id}");
    }
    assert!(matches!(revoke(&one, "'; drop").await, Err(AdminError::Unknown { .. })));
    revoke(&one, &grandchild).await.unwrap();
    revoke(&one, &grandchild).await.unwrap();
    assert_eq!(desk.office.delegated_by(&child).await.unwrap().len(), 0);
    assert_eq!(desk.office.delegated_by(&one).await.unwrap().len(), 1);
}
