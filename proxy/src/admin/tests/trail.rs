//! Every change is on record, and the record cannot be changed unseen.

use super::{Desk, NOW, from, key_of, somebody, terms, user};
use crate::{
    admin::{
        Actor, AdminError, BudgetOrder, Mandate, Office, Rotation, UserOrder,
        audit::{self, Query},
    },
    clock::ManualClock,
    store::{
        AuditRow,
        testing::{Kind, on_both_engines, open_again},
    },
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;

on_both_engines!(
    every_change_is_on_record_with_who_what_before_and_after,
    a_change_that_was_refused_leaves_no_record,
    the_record_never_holds_a_secret_or_the_hash_of_one,
    a_trail_that_somebody_changed_is_found,
    an_empty_trail_is_whole,
    rows_are_listed_by_time_subject_and_actor;
    threads: two_servers_at_once_make_one_chain
);

impl Desk {
    /// A bit of everything: nine changes.
    async fn work(&self) -> String {
        let by = somebody();
        let order = UserOrder { budgets: vec![terms("cost=5usd/month")], ..user("alice") };
        let alice = self.office.create_user(&by, order).await.unwrap();
        let patch = from(json!({"time_zone": "Europe/Berlin"}));
        self.office.update_user(&by, "alice", patch).await.unwrap();
        let (key, _) = self.key().await;
        let patch = from(json!({"rate_per_minute": 5}));
        self.office.update_key(&by, &key, patch).await.unwrap();
        let overlap = Rotation { overlap: Some("1h".into()) };
        self.office.rotate_key(&by, &key, overlap).await.unwrap();
        let budget = &alice.budgets[0].id;
        let patch = from(json!({"cap": "6usd"}));
        self.office.update_budget(&by, budget, patch).await.unwrap();
        self.office.delete_budget(&by, budget).await.unwrap();
        self.office.revoke_key(&by, &key).await.unwrap();
        self.office.delete_user(&by, "alice").await.unwrap();
        alice.user.id
    }

    async fn trail(&self) -> Vec<AuditRow> {
        self.store.audit_after(0, 100).await.unwrap()
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

async fn every_change_is_on_record_with_who_what_before_and_after(kind: Kind) {
    let desk = Desk::on(kind).await;
    let alice = desk.work().await;
    let trail = desk.trail().await;
    let actions: Vec<_> = trail.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "user.create",
            "user.update",
            "key.create",
            "key.update",
            "key.rotate",
            "budget.update",
            "budget.delete",
            "key.revoke",
            "user.delete"
        ]
    );
    assert!(trail.iter().all(|row| row.actor == "cli:root" && row.at_ms == NOW));
    assert_eq!(trail[0].subject, format!("user:{alice}"));
    assert_eq!(trail[0].before, "null");
    assert_eq!(parsed(&trail[0].after)["budgets"][0]["cap"], 5_000_000_000_i64);
    assert_eq!(parsed(&trail[1].before)["time_zone"], "UTC");
    assert_eq!(parsed(&trail[1].after)["time_zone"], "Europe/Berlin");
    assert_eq!(parsed(&trail[5].before)["cap"], 5_000_000_000_i64);
    assert_eq!(parsed(&trail[5].after)["cap"], 6_000_000_000_i64);
    assert_eq!(parsed(&trail[8].before)["name"], "alice");
    assert_eq!(trail[8].after, "null");
    let verdict = audit::verify(&desk.store).await.unwrap();
    assert_eq!((verdict.rows, verdict.broken), (9, None));
    assert_eq!(verdict.hash, trail[8].hash);
}

async fn a_change_that_was_refused_leaves_no_record(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let by = somebody();
    for refused in [user("alice"), user(""), UserOrder { time_zone: "Mars".into(), ..user("b") }] {
        assert!(desk.office.create_user(&by, refused).await.is_err());
    }
    // The second budget fails: the user and the first one go with it.
    let twice = vec![terms("cost=5usd/month"), terms("cost=6usd/month")];
    let order = UserOrder { budgets: twice, ..user("bob") };
    assert!(desk.office.create_user(&by, order).await.is_err());
    assert!(desk.office.create_key(&by, key_of("nobody")).await.is_err());
    assert!(desk.office.revoke_key(&by, "nothing").await.is_err());
    assert_eq!(desk.rows_of_trail().await, 1);
    assert_eq!(desk.office.users().await.unwrap().len(), 1);
    assert_eq!(desk.store.number("select count(*) from budgets").await, 0);
}

async fn the_record_never_holds_a_secret_or_the_hash_of_one(kind: Kind) {
    let desk = Desk::on(kind).await;
    desk.alice().await;
    let by = Mandate::once(Actor::shell("root"), "made").unwrap();
    let made = desk.office.create_key(&by, key_of("alice")).await.unwrap();
    let by = Mandate::once(Actor::shell("root"), "rotated").unwrap();
    let id = made.made.view.id.clone();
    let overlap = || Rotation { overlap: Some("1h".into()) };
    let rotated = desk.office.rotate_key(&by, &id, overlap()).await.unwrap();
    let mut secrets = vec!["argon2".to_owned()];
    for key in [made.key.unwrap(), rotated.key.unwrap()] {
        secrets.push(key.expose().split('_').nth(2).unwrap().to_owned());
    }
    let hashes = desk.store.account(&id).await.unwrap().unwrap().key;
    secrets.extend([hashes.secret_hash, hashes.old_hash.unwrap()]);
    for secret in secrets {
        for (table, columns) in [
            ("audit", "actor || action || subject || before || after || hash"),
            ("admin_operations", "idempotency_key || fingerprint || answer"),
        ] {
            let query = format!("select count(*) from {table} where {columns} like '%{secret}%'");
            assert_eq!(desk.store.number(&query).await, 0, "{secret} stands in {table}");
        }
    }
    assert_eq!(desk.store.number("select count(*) from admin_operations").await, 2);
}

/// What somebody's hand does, and the first row that is found to be wrong then.
const TAMPERED: [(&str, i64); 9] = [
    ("update audit set actor = 'cli:eve' where seq = 3", 3),
    ("update audit set after = 'null' where seq = 8", 8),
    ("update audit set at_ms = at_ms - 1 where seq = 1", 1),
    // What is moved from one column to the next is not the same.
    ("update audit set actor = 'cli:roo', action = 'tuser.update' where seq = 2", 2),
    ("delete from audit where seq = 1", 1),
    ("delete from audit where seq = 5", 5),
    ("delete from audit where seq >= 8", 8),
    ("delete from audit_head", 10),
    ("update audit_head set hash = 'x'", 10),
];

async fn a_trail_that_somebody_changed_is_found(kind: Kind) {
    for (statement, first) in TAMPERED {
        let desk = Desk::on(kind).await;
        desk.work().await;
        assert!(desk.store.tamper(statement).await > 0, "{statement}");
        let verdict = audit::verify(&desk.store).await.unwrap();
        assert_eq!(verdict.rows, first - 1, "{statement}");
        assert_eq!(verdict.broken.map(|broken| broken.seq), Some(first), "{statement}");
    }
    // A row that is added by hand, even with the right hash, stands past the end.
    let desk = Desk::on(kind).await;
    desk.work().await;
    let last = desk.trail().await.pop().unwrap();
    let forged = AuditRow { seq: 10, ..last.clone() };
    let hash = forged.chained(&last.hash);
    let insert = format!(
        "insert into audit (seq, at_ms, actor, action, subject, before, after, hash)
         select 10, at_ms, actor, action, subject, before, after, '{hash}' from audit where seq = 9"
    );
    assert_eq!(desk.store.tamper(&insert).await, 1);
    let verdict = audit::verify(&desk.store).await.unwrap();
    assert_eq!(verdict.broken.map(|broken| broken.seq), Some(10));
}

async fn an_empty_trail_is_whole(kind: Kind) {
    let desk = Desk::on(kind).await;
    let verdict = audit::verify(&desk.store).await.unwrap();
    assert_eq!((verdict.rows, verdict.broken), (0, None));
    // Without its head nothing is changed any more: a change could not be recorded.
    desk.store.tamper("delete from audit_head").await;
    let refused = desk.office.create_user(&somebody(), user("alice")).await;
    assert!(matches!(refused, Err(AdminError::Store(_))), "{refused:?}");
}

async fn rows_are_listed_by_time_subject_and_actor(kind: Kind) {
    let desk = Desk::on(kind).await;
    let alice = desk.work().await;
    desk.clock.set(NOW + 60_000);
    let by = Mandate::of(Actor::key("01k"));
    desk.office.create_user(&by, user("bob")).await.unwrap();
    let count = async |query: Query| {
        audit::list(&desk.store, &query, NOW + 60_000).await.map(|rows| rows.len())
    };
    let text = |text: &str| Some(text.to_owned());
    let all = Query::default();
    assert_eq!(count(all.clone()).await.unwrap(), 10);
    assert_eq!(count(Query { since: text("30s"), ..all.clone() }).await.unwrap(), 1);
    assert_eq!(count(Query { subject: text("user"), ..all.clone() }).await.unwrap(), 4);
    assert_eq!(count(Query { subject: text("use"), ..all.clone() }).await.unwrap(), 0);
    let subject = Some(format!("user:{alice}"));
    assert_eq!(count(Query { subject, ..all.clone() }).await.unwrap(), 3);
    assert_eq!(count(Query { actor: text("key:01k"), ..all.clone() }).await.unwrap(), 1);
    assert_eq!(count(Query { actor: text("cli"), ..all.clone() }).await.unwrap(), 9);
    assert_eq!(count(Query { limit: Some(2), ..all.clone() }).await.unwrap(), 2);
    assert_eq!(count(Query { before: Some(3), ..all.clone() }).await.unwrap(), 2);
    let wrong = count(Query { since: text("soon"), ..all }).await;
    assert!(matches!(wrong, Err(AdminError::Invalid { .. })), "{wrong:?}");
}

async fn two_servers_at_once_make_one_chain(kind: Kind) {
    let desk = Desk::on(kind).await;
    let alice = desk.alice().await;
    let other = open_again(&desk.home).await;
    let other = Office::new(other, Arc::new(ManualClock::at(NOW)));
    let changes = (0..30).map(|n| {
        let office = if n % 2 == 0 { desk.office.clone() } else { other.clone() };
        let order: BudgetOrder =
            from(json!({"user": alice, "resource": "cost", "window": "day", "cap": n}));
        async move {
            let made = office.create_user(&somebody(), user(&format!("user{n}"))).await;
            // Of all those who want to make the same budget, one does.
            (made.is_ok(), office.create_budget(&somebody(), order).await.is_ok())
        }
    });
    let done = join_all(changes).await;
    let (users, budgets) =
        (done.iter().filter(|done| done.0).count(), done.iter().filter(|done| done.1).count());
    // SQLite lets two servers wait only so long for each other.
    assert!(users > 0 && budgets == 1, "{users} users, {budgets} budgets");
    let verdict = audit::verify(&desk.store).await.unwrap();
    let rows = i64::try_from(1 + users + budgets).unwrap();
    assert_eq!((verdict.rows, verdict.broken), (rows, None));
}
