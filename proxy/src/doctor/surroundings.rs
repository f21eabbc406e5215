//! Clock, time zones, disk, and the other servers.

use super::{
    Patient,
    report::{Check, Detail, moment, several},
};
use crate::store::{Store, StoreError};
use indicatif::HumanBytes;
use jiff::tz::TimeZone;
use serde_json::json;
use std::{io, path::Path};

/// More than this between two clocks puts calls at the edge of a window into the wrong one.
const SKEW_MS: u64 = 2_000;
/// Entries may begin so much later than now by another server's clock.
const FUTURE_MS: i64 = 60_000;
/// Less free space than this is little.
const LITTLE: u64 = 1 << 30;
/// PostgreSQL keeps some connections for its administrators.
const RESERVED: i64 = 3;

pub(super) async fn check(patient: &Patient<'_>, store: &Store) -> Vec<Check> {
    let mut checks = vec![
        Check::of("clock", clock(patient, store).await),
        Check::of("time zones", time_zones(store).await),
        Check::of("future", future(patient, store).await),
        disk(store.file()),
    ];
    if store.is_shared() {
        checks.push(Check::of("servers", servers(patient, store).await));
    }
    checks
}

async fn clock(patient: &Patient<'_>, store: &Store) -> Result<Check, StoreError> {
    let before = patient.clock.now_ms();
    let theirs = store.now_ms().await?;
    let after = patient.clock.now_ms();
    // The answer took a while: it is of some moment in between.
    let skew_ms = if theirs < before { theirs - before } else { (theirs - after).max(0) };
    let fields = json!({"skew_ms": skew_ms});
    if skew_ms.unsigned_abs() <= SKEW_MS {
        let found = format!("agrees with the database's within {} ms", skew_ms.unsigned_abs());
        return Ok(Check::ok("clock", found).listing([Detail::new(String::new(), fields)]));
    }
    let direction = if skew_ms > 0 { "ahead of" } else { "behind" };
    let found =
        format!("the database's is {} ms {direction} this machine's", skew_ms.unsigned_abs());
    Ok(Check::warning("clock", found)
        .advise(
            "synchronise the clocks: calls at the edge of a window are counted in the wrong one",
        )
        .listing([Detail::new(String::new(), fields)]))
}

async fn time_zones(store: &Store) -> Result<Check, StoreError> {
    let zones = store.time_zones().await?;
    if jiff::tz::db().is_definitively_empty() {
        return Ok(Check::broken("time zones", "there is no time zone data: all count as UTC"));
    }
    let unknown: Vec<_> = zones.iter().filter(|zone| TimeZone::get(zone).is_err()).collect();
    if unknown.is_empty() {
        return Ok(Check::ok("time zones", format!("{} in use, all known", zones.len())));
    }
    let found = format!("{} not known: budgets there follow UTC", several(unknown.len(), "zone"));
    Ok(Check::warning("time zones", found)
        .advise("give the users a zone by its IANA name, as Europe/Berlin")
        .listing(
            unknown
                .into_iter()
                .map(|zone| Detail::new(format!("{zone:?}"), json!({"time_zone": zone}))),
        ))
}

async fn future(patient: &Patient<'_>, store: &Store) -> Result<Check, StoreError> {
    let found = store.entries_after(patient.clock.now_ms().saturating_add(FUTURE_MS)).await?;
    let Some(latest_ms) = found.latest_ms else {
        return Ok(Check::ok("future", "no entry is of a call that begins later than now"));
    };
    let entries = several(usize::try_from(found.entries).unwrap_or(usize::MAX), "call");
    let latest = moment(latest_ms);
    Ok(Check::warning("future", format!("{entries} in the books begin later than now, as late as {latest}"))
        .advise("a clock was wrong, here or on another server; they are counted in the windows of that time"))
}

/// Space where a SQLite database is.
fn disk(file: Option<&Path>) -> Check {
    let Some(file) = file else {
        return Check::skipped("disk", "the disk is PostgreSQL's: look there");
    };
    match space(file) {
        Err(error) => Check::warning("disk", format!("its free space is not known: {error}")),
        Ok(Space { free, all, wal }) => {
            let percent = free.saturating_mul(100) / all.max(1);
            let text = format!("{} free ({percent} %)", HumanBytes(free));
            let fields = json!({"free_bytes": free, "bytes": all, "wal_bytes": wal});
            let detail = Detail::new(String::new(), fields);
            if free < LITTLE || percent < 5 {
                return Check::warning("disk", text)
                    .advise("make room: when the disk is full every call is refused with 503")
                    .listing([detail]);
            }
            if wal > LITTLE {
                let found = format!("{text}, and a write-ahead log of {}", HumanBytes(wal));
                return Check::warning("disk", found)
                    .advise(
                        "a program reads the database for a long time and keeps it from shrinking",
                    )
                    .listing([detail]);
            }
            Check::ok("disk", format!("{text}, write-ahead log {}", HumanBytes(wal)))
                .listing([detail])
        }
    }
}

struct Space {
    free: u64,
    all: u64,
    wal: u64,
}

fn space(file: &Path) -> io::Result<Space> {
    let system = rustix::fs::statvfs(file)?;
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    let wal = match std::fs::metadata(Path::new(&wal)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        found => found.map(|file| file.len()).unwrap_or_default(),
    };
    let bytes = |blocks: u64| blocks.saturating_mul(system.f_frsize);
    Ok(Space { free: bytes(system.f_bavail), all: bytes(system.f_blocks), wal })
}

async fn servers(patient: &Patient<'_>, store: &Store) -> Result<Check, StoreError> {
    let facts = store.facts().await?;
    let now_ms = store.now_ms().await?;
    let nodes = store.nodes().await?;
    let alive = nodes.iter().filter(|node| node.expires_ms >= now_ms).count();
    let found = format!("{} alive, {} dead", alive, nodes.len() - alive);
    let details = nodes.iter().map(|node| {
        let state = if node.expires_ms >= now_ms { "alive" } else { "dead" };
        let (host, seen) = (&node.host, moment(node.seen_ms));
        let text = format!("{} on {host}, version {}: {state}, seen {seen}", node.id, node.version);
        let fields = json!({
            "node": node.id, "host": host, "version": node.version, "state": state,
            "seen_ms": node.seen_ms, "expires_ms": node.expires_ms,
        });
        Detail::new(text, fields)
    });
    // Each has a pool, and the ledger's own connection.
    let each = i64::from(patient.config.store.connections).saturating_add(1);
    let needed = each.saturating_mul(i64::try_from(alive.max(1)).unwrap_or(i64::MAX));
    let check = match facts.max_connections {
        Some(most) if needed > most.saturating_sub(RESERVED) => {
            let found =
                format!("{found}; they may open {needed} connections, PostgreSQL allows {most}");
            Check::warning("servers", found)
                .advise("lower store.connections, or raise max_connections in postgresql.conf")
        }
        _ => Check::ok("servers", found),
    };
    Ok(check.listing(details))
}
