//! What else is looked at: caps, clock, disk, migrations, configuration.

use super::{Kind, NOW, State, Ward, broken};
use crate::clock::Clock;
use crate::{
    clock::SystemClock,
    config::{Config, Environment},
    doctor::{Depth, open_calls},
    store::{Place, testing::Home},
};
use tollgate_bench::on_both_engines;

on_both_engines!(
    a_cap_that_was_lowered_explains_itself,
    old_holds_are_shown_with_their_request,
    clocks_that_disagree_are_told,
    time_that_is_wrong_in_the_books_is_told,
    tables_of_another_version_are_told,
    a_broken_audit_trail_is_told,
    the_database_says_what_it_is,
    a_model_without_a_price_is_told_where_cost_is_limited,
);

async fn a_cap_that_was_lowered_explains_itself(kind: Kind) {
    let ward = Ward::with(kind, &[("tokens", "total", 1_000), ("requests", "day", 9)]).await;
    ward.call(10, 20).await;
    let _open = ward.hold(5, 15).await.unwrap();
    ward.store.set_cap("b0", 40).await.unwrap();
    let raise = format!("update budgets set cap = 1, raise_amount = 8, raise_until_ms = {NOW}");
    ward.store.tamper(&format!("{raise} where id = 'b1'")).await;
    let report = ward.examine().await;
    assert_eq!(broken(&report), Vec::<&str>::new());
    let caps = report.check("caps").unwrap();
    Ward::assert_is(
        caps,
        State::Warning,
        &[
            "2 windows above the cap",
            "budget b0 of user alice, tokens a total: 30 spent and 20 held, of a cap of 40",
            "budget b1 of user alice, requests a day: 1 spent and 1 held, of a cap of 1; a raise by 8 ended",
        ],
    );
    // Hands that write nonsense are a finding, not a failure.
    ward.store.tamper(&format!("update budget_windows set spent = {}", i64::MAX)).await;
    assert_eq!(broken(&ward.examine().await), ["spent"]);
    ward.store.tamper("update budgets set enforcement = 'soft'").await;
    assert_eq!(ward.check("caps").await.state, State::Ok, "a soft budget limits nothing");
}

async fn old_holds_are_shown_with_their_request(kind: Kind) {
    let ward = Ward::with(kind, &[]).await;
    let _open = ward.hold(5, 15).await.unwrap();
    assert_eq!(ward.check("old holds").await.state, State::Ok);
    ward.clock.advance(std::time::Duration::from_secs(3_601));
    let old = ward.check("old holds").await;
    let calls = open_calls(&ward.store, &*ward.clock).await.unwrap();
    assert_eq!((calls.len(), calls[0].age_ms, calls[0].is_orphan()), (1, 3_601_000, false));
    Ward::assert_is(&old, State::Warning, &["1 hold older", &calls[0].request_id, "p/m"]);
    assert_eq!(old.details[0].fields["request_id"], calls[0].request_id.as_str());
}

async fn clocks_that_disagree_are_told(kind: Kind) {
    let ward = Ward::with(kind, &[]).await;
    ward.clock.set(SystemClock.now_ms());
    assert_eq!(ward.check("clock").await.state, State::Ok);
    ward.clock.set(SystemClock.now_ms() + 60_000);
    Ward::assert_is(&ward.check("clock").await, State::Warning, &["behind this machine's"]);
    ward.clock.set(SystemClock.now_ms() - 60_000);
    Ward::assert_is(&ward.check("clock").await, State::Warning, &["ahead of this machine's"]);
}

async fn time_that_is_wrong_in_the_books_is_told(kind: Kind) {
    let ward = Ward::with(kind, &[("tokens", "total", 1_000)]).await;
    ward.call(1, 2).await;
    let report = ward.examine().await;
    assert_eq!(report.check("future").unwrap().state, State::Ok);
    assert_eq!(report.check("time zones").unwrap().state, State::Ok);
    ward.store.tamper(&format!("update usage_entries set started_ms = {}", NOW + 3_600_000)).await;
    ward.store.tamper("update budgets set time_zone = 'Mars/Olympus'").await;
    let report = ward.examine().await;
    Ward::assert_is(report.check("future").unwrap(), State::Warning, &["1 call", "later than now"]);
    let zones = report.check("time zones").unwrap();
    Ward::assert_is(zones, State::Warning, &["1 zone not known", "Mars/Olympus"]);
}

async fn tables_of_another_version_are_told(kind: Kind) {
    let ward = Ward::with(kind, &[("tokens", "total", 1_000)]).await;
    let made = ward.store.migrations().await.unwrap();
    assert_eq!((made.missing.len(), made.newer.len(), made.wrong.len()), (0, 0, 0));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    let is_for = |name: &str| kind == Kind::Postgres || !name.ends_with(".postgres.sql");
    let files = files.filter(|name| is_for(name.to_str().unwrap())).count();
    assert_eq!(made.applied.len(), files);
    let newer = match kind {
        Kind::Sqlite => {
            "insert into _sqlx_migrations values (9999, 'x', current_timestamp, 1, x'00', 1)"
        }
        Kind::Postgres => {
            "insert into _sqlx_migrations values (9999, 'x', now(), true, '\\x00', 1)"
        }
    };
    ward.store.tamper(newer).await;
    let report = ward.examine().await;
    Ward::assert_is(report.check("migrations").unwrap(), State::Warning, &["9999 of a newer"]);
    assert_eq!(report.check("spent").unwrap().state, State::Ok, "it runs beside it");
    ward.store.tamper("delete from _sqlx_migrations where version >= 2").await;
    let report = ward.examine().await;
    assert_eq!(broken(&report), ["migrations"]);
    Ward::assert_is(report.check("migrations").unwrap(), State::Broken, &["not made yet"]);
    assert_eq!(report.check("books").unwrap().state, State::Skipped);
    let checksum = if kind == Kind::Sqlite { "x'00'" } else { "'\\x00'" };
    ward.store.tamper(&format!("update _sqlx_migrations set checksum = {checksum}")).await;
    Ward::assert_is(&ward.check("migrations").await, State::Broken, &["1 not as this version"]);
    ward.store.tamper("drop table _sqlx_migrations").await;
    Ward::assert_is(&ward.check("migrations").await, State::Broken, &["1, 2"]);
}

async fn a_broken_audit_trail_is_told(kind: Kind) {
    let ward = Ward::with(kind, &[("tokens", "total", 1_000)]).await;
    ward.call(1, 2).await;
    ward.store.tamper("update budget_windows set held = 5").await;
    ward.repair(super::Mode::Apply).await;
    Ward::assert_is(&ward.check("audit").await, State::Ok, &["1 change, unbroken, up to "]);
    ward.store.tamper("update audit set after = '{}'").await;
    Ward::assert_is(&ward.check("audit").await, State::Broken, &["broken at row 1"]);
    assert!(ward.repair(super::Mode::Apply).await.is_empty(), "the trail is never repaired");
    assert_eq!(ward.check("audit").await.state, State::Broken);
}

async fn the_database_says_what_it_is(kind: Kind) {
    let ward = Ward::with(kind, &[]).await;
    let report = ward.examine().await;
    let name = if kind == Kind::Sqlite { "SQLite 3." } else { "PostgreSQL 1" };
    Ward::assert_is(report.check("database").unwrap(), State::Ok, &[name]);
    let durable = report.check("durability").unwrap();
    match &ward.home {
        Home::Sqlite(folder) => {
            Ward::assert_is(durable, State::Ok, &["WAL"]);
            let disk = report.check("disk").unwrap();
            assert!(disk.details[0].fields["free_bytes"].as_u64().unwrap() > 0, "{disk:?}");
            assert_eq!(report.check("file").unwrap().state, State::Ok);
            assert!(report.check("servers").is_none());
            ward.store.close().await;
            std::fs::remove_file(folder.path().join("books.db")).unwrap();
            let report = ward.examine().await;
            assert_eq!(broken(&report), ["database"]);
            Ward::assert_is(report.check("database").unwrap(), State::Broken, &["there is no"]);
            assert!(!folder.path().join("books.db").exists(), "looking makes nothing");
        }
        Home::Postgres(database) => {
            // Instances for tests may be started without; either is said.
            assert!(durable.found.contains("fsync"), "{durable:?}");
            let servers = report.check("servers").unwrap();
            Ward::assert_is(servers, servers.state, &["1 alive, 0 dead"]);
            let password = database.url().split('@').next().unwrap().to_owned();
            assert!(!format!("{report:?}").contains(&password), "the address is shown bare");
        }
    }
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_told_without_its_password() {
    let mut ward = Ward::with(Kind::Sqlite, &[]).await;
    let url = "postgres://somebody:planted-secret@127.0.0.1:1/books".to_owned();
    ward.elsewhere = Some(Place::Server { url, connections: 2 });
    let report = ward.examine().await;
    assert_eq!(broken(&report), ["database"]);
    Ward::assert_is(report.check("database").unwrap(), State::Broken, &["127.0.0.1:1/books"]);
    assert!(!format!("{report:?}").contains("planted-secret"));
    let repairs =
        ward.ask(async |patient| crate::doctor::repair(patient, super::Mode::Apply).await).await;
    assert!(repairs.stopped.is_some() && repairs.made.is_empty());
}

async fn a_model_without_a_price_is_told_where_cost_is_limited(kind: Kind) {
    let mut ward = Ward::with(kind, &[("tokens", "total", 9)]).await;
    let key = crate::store::KeyRow {
        id: "key".into(),
        user_id: "user".into(),
        name: "key".into(),
        role: "member".into(),
        permissions: r#"{"models":["mine/*","mine/whim","other/costly"]}"#.into(),
        ..crate::store::KeyRow::default()
    };
    ward.store.insert_key(&key, &[]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tollgate.toml");
    let text = "[[providers]]\nname = \"mine\"\nkind = \"openai\"\nbase_url = \"http://localhost:1\"\n\
                models = [\"plain\", \"fine\"]\n[[providers]]\nname = \"other\"\nkind = \"openai\"\n\
                base_url = \"http://localhost:1\"\napi_key_env = \"NO_SUCH_KEY\"\n\
                [[models]]\nname = \"quick\"\ntargets = [\"mine/swift\", \"other/costly\"]\n\
                [[prices]]\nmodel = \"mine/fine\"\ninput = \"1\"\noutput = \"1\"\n";
    std::fs::write(&file, text).unwrap();
    ward.config = Config::load(Some(&file), &Environment::default()).unwrap();
    ward.depth = Depth::Quick;
    Ward::assert_is(&ward.check("prices").await, State::Ok, &["no budget limits cost"]);
    ward.store.tamper("update budgets set resource = 'cost'").await;
    let report = ward.examine().await;
    let prices = report.check("prices").unwrap();
    let said: Vec<_> = prices.details.iter().map(|detail| detail.text.as_str()).collect();
    let expected = ["mine/plain", "mine/swift", "mine/whim", "other/costly"];
    assert_eq!(said, expected.map(|model| format!("{model}, for 1 key")));
    let upstreams = report.check("providers").unwrap();
    Ward::assert_is(upstreams, State::Broken, &["1 thing missing", "NO_SUCH_KEY"]);
    ward.environment = Environment::of([("NO_SUCH_KEY", "planted-secret-key")]);
    let report = ward.examine().await;
    assert_eq!(report.check("providers").unwrap().state, State::Ok);
    assert!(!format!("{report:?}").contains("planted-secret-key"));
}
