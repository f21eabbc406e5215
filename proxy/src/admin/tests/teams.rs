//! Organisations, teams, what new users get, and raises.

use super::{Desk, from, in_the_way, invalid, somebody, terms, user};
use crate::{
    admin::{AdminError, BudgetOrder, OrganisationPatch, TeamPatch, UserOrder, UserPatch},
    clock::Clock,
    store::testing::{Kind, on_both_engines},
};
use serde_json::{Value, json};

on_both_engines!(
    a_team_with_users_and_an_organisation_with_teams_stay,
    a_team_changes_its_name_its_zone_and_its_organisation,
    names_and_zones_that_make_no_sense_are_refused,
    a_new_user_gets_the_defaults_of_its_team_and_of_everybody,
    who_joins_a_team_gets_its_defaults_only_when_asked,
    a_budget_has_one_owner_and_a_scope_that_makes_sense,
    a_raise_counts_until_it_ends;
    threads: a_user_that_is_made_while_its_team_is_deleted_has_a_team_or_is_not_made,
);

impl Desk {
    async fn red(&self) -> String {
        let order = from(json!({"name": "red"}));
        self.office.create_team(&somebody(), &order).await.unwrap().id
    }

    async fn owned(&self, order: Value) -> Result<String, AdminError> {
        Ok(self.office.create_budget(&somebody(), from::<BudgetOrder>(order)).await?.id)
    }

    /// Resource, window and cap of a user's own budgets.
    async fn budgets_of(&self, user: &str) -> Vec<String> {
        let budgets = self.office.budgets(Some(user)).await.unwrap();
        let shown = |b: &crate::admin::BudgetView| format!("{} {} {}", b.resource, b.window, b.cap);
        let mut budgets: Vec<_> = budgets.iter().map(|b| shown(&b.terms)).collect();
        budgets.sort();
        budgets
    }
}

async fn a_team_with_users_and_an_organisation_with_teams_stay(kind: Kind) {
    let desk = Desk::on(kind).await;
    let office = &desk.office;
    let acme = from(json!({"name": "acme", "time_zone": "Europe/Berlin"}));
    let acme = office.create_organisation(&somebody(), &acme).await.unwrap();
    let order = from(json!({"name": "red", "organisation": "acme"}));
    let red = office.create_team(&somebody(), &order).await.unwrap();
    assert_eq!(red.organisation_id.as_deref(), Some(acme.id.as_str()));
    let alice = UserOrder { team: Some("red".into()), ..user("alice") };
    let alice = office.create_user(&somebody(), alice).await.unwrap().user;
    assert_eq!(alice.team_id, Some(red.id.clone()));
    desk.owned(json!({"team": "red", "resource": "cost", "window": "day", "cap": 1}))
        .await
        .unwrap();

    let refused = in_the_way(office.delete_organisation(&somebody(), "acme").await);
    assert!(refused.contains("acme") && refused.contains("teams (1)"), "{refused}");
    let refused = in_the_way(office.delete_team(&somebody(), "red").await);
    assert!(refused.contains("red") && refused.contains("users (1)"), "{refused}");
    let teams = office.teams().await.unwrap();
    assert_eq!((teams[0].users, teams[0].organisation.as_deref()), (1, Some("acme")));

    let leave = UserPatch { team: Some(None), ..UserPatch::default() };
    let before = desk.rows_of_trail().await;
    assert_eq!(office.update_user(&somebody(), "alice", leave).await.unwrap().team_id, None);
    office.delete_team(&somebody(), &red.id).await.unwrap();
    office.delete_organisation(&somebody(), "acme").await.unwrap();
    assert_eq!(desk.rows_of_trail().await, before + 3, "each of them is on record");
    assert!(office.budgets(None).await.unwrap().is_empty(), "its budgets went with the team");
    assert!(office.teams().await.unwrap().is_empty());
    assert!(office.organisations().await.unwrap().is_empty());
    // The names are free again, and what is gone is not found.
    desk.red().await;
    assert!(matches!(
        office.delete_team(&somebody(), &red.id).await,
        Err(AdminError::Unknown { kind: "team", .. })
    ));
}

async fn a_team_changes_its_name_its_zone_and_its_organisation(kind: Kind) {
    let desk = Desk::on(kind).await;
    let office = &desk.office;
    let acme = from(json!({"name": "acme"}));
    let acme = office.create_organisation(&somebody(), &acme).await.unwrap();
    desk.red().await;
    desk.owned(json!({"team": "red", "resource": "cost", "window": "day", "cap": 1}))
        .await
        .unwrap();
    let patch: TeamPatch =
        from(json!({"name": "crimson", "time_zone": "Asia/Tokyo", "organisation": "acme"}));
    let team = office.update_team(&somebody(), "red", &patch).await.unwrap();
    assert_eq!(team.organisation_id, Some(acme.id));
    let budget = office.budgets(None).await.unwrap().remove(0);
    assert_eq!(
        (budget.now.owner.as_str(), budget.terms.time_zone.as_str()),
        ("team:crimson", "Asia/Tokyo")
    );
    let patch: TeamPatch = from(json!({"organisation": null}));
    assert_eq!(patch.organisation, Some(None));
    let team = office.update_team(&somebody(), "crimson", &patch).await.unwrap();
    assert_eq!((team.organisation_id, team.name.as_str()), (None, "crimson"));
    let patch: OrganisationPatch = from(json!({"name": "Acme Ltd"}));
    let row = office.update_organisation(&somebody(), "acme", &patch).await.unwrap();
    assert_eq!(row.name, "Acme Ltd");
    let nothing = office.update_team(&somebody(), "crimson", &TeamPatch::default()).await;
    assert!(invalid(nothing).1.contains("at least one field"));
}

async fn names_and_zones_that_make_no_sense_are_refused(kind: Kind) {
    let desk = Desk::on(kind).await;
    let office = &desk.office;
    for name in [String::new(), " ".into(), "a#b".into(), "a\nb".into(), "x".repeat(200)] {
        let order = from(json!({"name": name.clone()}));
        assert_eq!(invalid(office.create_team(&somebody(), &order).await).0, "name", "{name:?}");
        let order = from(json!({"name": name.clone()}));
        assert_eq!(invalid(office.create_organisation(&somebody(), &order).await).0, "name");
    }
    let order = from(json!({"name": "red", "time_zone": "Mars/Olympus"}));
    assert_eq!(invalid(office.create_team(&somebody(), &order).await).0, "time_zone");
    let order = from(json!({"name": "red", "organisation": "nobody"}));
    let unknown = office.create_team(&somebody(), &order).await;
    assert!(matches!(unknown, Err(AdminError::Unknown { kind: "organisation", .. })));
    desk.red().await;
    let again = office.create_team(&somebody(), &from(json!({"name": "red"}))).await;
    assert!(in_the_way(again).contains("already"));
    let lost = UserOrder { team: Some("blue".into()), ..user("alice") };
    let unknown = office.create_user(&somebody(), lost).await;
    assert!(matches!(unknown, Err(AdminError::Unknown { kind: "team", .. })));
    assert!(office.users().await.unwrap().is_empty());
}

/// PAINS 1, for the rows; `proxy/tests/accounts` has it for calls.
async fn a_new_user_gets_the_defaults_of_its_team_and_of_everybody(kind: Kind) {
    let desk = Desk::on(kind).await;
    let red = desk.red().await;
    for order in [
        json!({"default": true, "resource": "cost", "window": "month", "cap": 100}),
        json!({"default": true, "resource": "requests", "window": "day", "cap": 1000}),
        json!({"default": true, "resource": "tokens", "window": "day", "cap": 5, "model": "a/*"}),
        json!({"default": true, "for_team": "red", "resource": "cost", "window": "month", "cap": 7}),
    ] {
        desk.owned(order).await.unwrap();
    }
    let made = desk.office.create_user(&somebody(), user("alice")).await.unwrap();
    assert_eq!(made.budgets.len(), 3);
    assert_eq!(
        desk.budgets_of("alice").await,
        ["cost month 100", "requests day 1000", "tokens day 5"]
    );
    // Its own come first, then the team's, then everybody's.
    let bob = UserOrder {
        team: Some(red.clone()),
        budgets: vec![terms("requests=3/day")],
        ..user("bob")
    };
    desk.office.create_user(&somebody(), bob).await.unwrap();
    assert_eq!(desk.budgets_of("bob").await, ["cost month 7", "requests day 3", "tokens day 5"]);
    let scope: Vec<_> = desk.office.budgets(Some("bob")).await.unwrap();
    assert!(scope.iter().any(|b| b.terms.model == "a/*" && b.terms.owner_kind == "user"));
    // What is a default later is no business of those who are there already.
    desk.owned(json!({"default": true, "resource": "tokens", "window": "total", "cap": 1}))
        .await
        .unwrap();
    assert_eq!(desk.budgets_of("alice").await.len(), 3);
}

async fn who_joins_a_team_gets_its_defaults_only_when_asked(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.red().await;
    desk.alice().await;
    desk.owned(
        json!({"default": true, "for_team": "red", "resource": "cost", "window": "day", "cap": 7}),
    )
    .await
    .unwrap();
    let join: UserPatch = from(json!({"team": "red"}));
    desk.office.update_user(&somebody(), "alice", join).await.unwrap();
    assert!(desk.budgets_of("alice").await.is_empty());
    let apply: UserPatch = from(json!({"apply_defaults": true}));
    desk.office.update_user(&somebody(), "alice", apply.clone()).await.unwrap();
    assert_eq!(desk.budgets_of("alice").await, ["cost day 7"]);
    desk.office.update_user(&somebody(), "alice", apply).await.unwrap();
    assert_eq!(desk.budgets_of("alice").await, ["cost day 7"], "not twice");
    assert!(crate::admin::audit::verify(&desk.store).await.unwrap().broken.is_none());
}

async fn a_budget_has_one_owner_and_a_scope_that_makes_sense(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    desk.red().await;
    let order = |more: Value| {
        let mut order = json!({"resource": "cost", "window": "day", "cap": 1});
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        order
    };
    for (more, field) in [
        (json!({}), "user"),
        (json!({"user": "alice", "team": "red"}), "user"),
        (json!({"user": "alice", "default": true}), "user"),
        (json!({"user": "alice", "for_team": "red"}), "user"),
        (json!({"user": "alice", "provider": ""}), "provider"),
        (json!({"user": "alice", "model": "*x"}), "model"),
        (json!({"user": "alice", "model": "gpt-4o"}), "model"),
        (json!({"user": "alice", "soft": true, "overrun": "refuse"}), "overrun"),
        (json!({"user": "alice", "alert_percent": 0}), "alert_percent"),
    ] {
        assert_eq!(invalid(desk.owned(order(more.clone())).await).0, field, "{more}");
    }
    for (more, kind) in [
        (json!({"team": "blue"}), "team"),
        (json!({"organisation": "acme"}), "organisation"),
        (json!({"default": true, "for_team": "blue"}), "team"),
    ] {
        let unknown = desk.owned(order(more)).await;
        assert!(matches!(unknown, Err(AdminError::Unknown { kind: of, .. }) if of == kind));
    }
    // Budgets that overlap are allowed, those that limit the same are not.
    desk.owned(order(json!({"user": "alice"}))).await.unwrap();
    desk.owned(order(json!({"user": "alice", "model": "a/*"}))).await.unwrap();
    let id =
        desk.owned(order(json!({"user": "alice", "model": "a/b*", "soft": true}))).await.unwrap();
    assert!(
        in_the_way(desk.owned(order(json!({"user": "alice", "model": "a/*"}))).await)
            .contains("already")
    );
    let strict = from(json!({"overrun": "refuse"}));
    assert_eq!(invalid(desk.office.update_budget(&somebody(), &id, strict).await).0, "overrun");
    let hard = from(json!({"overrun": "refuse", "soft": false}));
    let budget = desk.office.update_budget(&somebody(), &id, hard).await.unwrap();
    assert!(!budget.soft);
}

async fn a_raise_counts_until_it_ends(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let id = desk
        .owned(json!({"user": "alice", "resource": "cost", "window": "day", "cap": "5usd"}))
        .await
        .unwrap();
    let cap = async || desk.office.budget(&id).await.unwrap().now.cap;
    let raise = async |raise: Value| desk.office.raise_budget(&somebody(), &id, from(raise)).await;
    for (wrong, field) in [
        (json!({"by": 0, "until": "1h"}), "by"),
        (json!({"by": -1, "until": "1h"}), "by"),
        (json!({"by": "5.5.5usd", "until": "1h"}), "by"),
        (json!({"by": 1, "until": "yesterday"}), "until"),
        (json!({"by": 1, "until": "2001-01-01T00:00:00Z"}), "until"),
    ] {
        assert_eq!(invalid(raise(wrong.clone()).await).0, field, "{wrong}");
    }
    raise(json!({"by": "2usd", "until": "1h"})).await.unwrap();
    assert_eq!(cap().await, 7_000_000_000);
    raise(json!({"by": "3usd", "until": "2h"})).await.unwrap();
    assert_eq!(cap().await, 8_000_000_000, "in the place of the one before");
    raise(Value::Null).await.unwrap();
    assert_eq!(cap().await, 5_000_000_000);
    raise(json!({"by": 1, "until": "1h"})).await.unwrap();
    desk.clock.set(desk.clock.now_ms() + 3_600_000);
    assert_eq!(cap().await, 5_000_000_000, "it is over by itself");
    let unknown = desk.office.raise_budget(&somebody(), "none", None).await;
    assert!(matches!(unknown, Err(AdminError::Unknown { kind: "budget", .. })));
}

async fn a_user_that_is_made_while_its_team_is_deleted_has_a_team_or_is_not_made(kind: Kind) {
    let desk = Desk::on(kind).await;
    for round in 0..10 {
        desk.red().await;
        let order = UserOrder { team: Some("red".into()), ..user(&format!("u{round}")) };
        let mandate = somebody();
        let (made, deleted) = tokio::join!(
            desk.office.create_user(&mandate, order),
            desk.office.delete_team(&mandate, "red")
        );
        match (made, deleted) {
            (Ok(_), Err(AdminError::InTheWay(_))) => {
                desk.office.delete_user(&mandate, &format!("u{round}")).await.unwrap();
                desk.office.delete_team(&mandate, "red").await.unwrap();
            }
            (Err(AdminError::Unknown { kind: "team", .. }), Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}
