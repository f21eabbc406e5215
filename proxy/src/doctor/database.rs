//! The database itself: whether it answers, which tables it has, what a power cut leaves of it.

use super::{
    Depth,
    report::{Check, Detail, several},
};
use crate::store::{Durability, Migrations, Place, Store, StoreError};
use indicatif::HumanBytes;
use serde_json::json;

/// A database that cannot be opened.
pub(super) fn absent(place: &Place, error: &StoreError) -> Check {
    match place {
        Place::File(path) if !path.exists() => {
            Check::broken("database", format!("there is no database at {}", path.display()))
                .advise("`tollgate serve` or `tollgate migrate` makes one; or change store.url")
        }
        _ => Check::broken("database", error.to_string()),
    }
}

pub(super) async fn check(store: &Store, depth: Depth) -> Vec<Check> {
    let mut checks = vec![
        Check::of("database", identity(store).await),
        Check::of("durability", store.durability().await.map(|found| durability(&found))),
    ];
    if store.file().is_some() {
        checks.push(match depth {
            Depth::Quick => Check::skipped("file", "not read with --quick"),
            Depth::Whole => Check::of("file", store.damages().await.map(file)),
        });
    }
    checks
}

async fn identity(store: &Store) -> Result<Check, StoreError> {
    let facts = store.facts().await?;
    let size = HumanBytes(u64::try_from(facts.bytes).unwrap_or_default());
    Ok(Check::ok("database", format!("{}, {size}, at {}", facts.engine, store.place())))
}

fn durability(found: &Durability) -> Check {
    let lost = |what: &str| {
        Check::warning(
            "durability",
            format!("{what}: a power cut can lose calls that were answered"),
        )
    };
    match found {
        Durability::Sqlite { journal_mode, synchronous } => {
            if !["wal", "WAL"].contains(&journal_mode.as_str()) {
                let found =
                    format!("the journal mode is {journal_mode}: readers wait for the writer");
                return Check::warning("durability", found)
                    .advise("the next start of a server sets it to WAL, if the disk allows that");
            }
            if *synchronous < 2 {
                return lost("synchronous is not full");
            }
            Check::ok("durability", "journal mode WAL, synchronous full")
        }
        Durability::Postgres { fsync, synchronous_commit, full_page_writes } => {
            if fsync == "off" {
                return lost("fsync is off").advise("set fsync = on in postgresql.conf");
            }
            if full_page_writes == "off" {
                return lost("full_page_writes is off")
                    .advise("set full_page_writes = on in postgresql.conf");
            }
            if !["on", "remote_apply", "remote_write", "local"]
                .contains(&synchronous_commit.as_str())
            {
                return lost("synchronous_commit is off")
                    .advise("something between Tollgate and PostgreSQL drops its settings");
            }
            let found = format!("fsync on, synchronous_commit {synchronous_commit}");
            Check::ok("durability", found)
        }
    }
}

fn file(damages: Vec<String>) -> Check {
    if damages.is_empty() {
        return Check::ok("file", "SQLite finds no damage in it");
    }
    let found = format!("SQLite finds {} in it", several(damages.len(), "damage"));
    Check::broken("file", found)
        .advise(
            "stop the server and restore a copy; `sqlite3 FILE .recover` saves what can be read",
        )
        .listing(damages.into_iter().map(|text| Detail::new(text.clone(), json!({"damage": text}))))
}

pub(super) fn migrations(found: &Migrations) -> Check {
    let list = |versions: &[i64]| {
        let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
        versions.join(", ")
    };
    let Migrations { applied, missing, newer, wrong } = found;
    if !wrong.is_empty() {
        let found = format!("{} not as this version made them, or not ended", list(wrong));
        return Check::broken("migrations", found)
            .advise("restore a copy of the database, or use the version that made these tables");
    }
    if !missing.is_empty() {
        return Check::broken("migrations", format!("{} not made yet", list(missing)))
            .advise("`tollgate migrate`, or the next start of a server, makes them");
    }
    if !newer.is_empty() {
        let found = format!("{} of a newer version: this one runs beside it", list(newer));
        return Check::warning("migrations", found).advise("use the newer tollgate for the doctor");
    }
    Check::ok("migrations", format!("all {} made", applied.len()))
}
