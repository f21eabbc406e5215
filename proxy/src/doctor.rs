//! Whether everything is well: the books against what proves them, the database, the clock, the
//! disk, the configuration. And [`repair`], which sets the books to what proves them.
//!
//! Looking changes nothing, not even the version of the tables. Both may be done beside servers
//! that run.

mod books;
mod calls;
mod database;
mod repair;
mod report;
mod rollups;
mod settings;
mod sums;
mod surroundings;

pub use calls::{Amount, OpenCall, Server, open_calls};
pub use repair::{Mode, Repairs, repair};
pub use report::{Check, Detail, Repair, Report, State};
pub use sums::Progress;

use crate::{
    admin::{Actor, audit},
    clock::Clock,
    config::{Config, Environment},
    store::{Migrations, Patience, Place, Store, StoreError},
};
use report::several;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Only what is quickly read: not the entries, and not every page of the file.
    Quick,
    /// Everything.
    Whole,
}

/// What is looked at, and how.
#[derive(Clone, Copy)]
pub struct Patient<'p> {
    /// The configuration.
    pub config: &'p Config,
    /// Where the keys of providers are.
    pub environment: &'p Environment,
    /// The database.
    pub place: &'p Place,
    /// The time.
    pub clock: &'p dyn Clock,
    /// Who repairs, for the audit trail.
    pub actor: &'p Actor,
    /// How much is read.
    pub depth: Depth,
    /// Told while the entries are read.
    pub progress: Progress<'p>,
}

impl std::fmt::Debug for Patient<'_> {
    /// Without the configuration and the place, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patient").field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// Looks at everything. What cannot be looked at is a finding, not an error.
pub async fn examine(patient: &Patient<'_>) -> Report {
    let mut checks = settings::check(patient.config, patient.environment);
    match Store::look(patient.place.clone(), Patience::Command).await {
        Err(error) => checks.push(database::absent(patient.place, &error)),
        Ok(store) => {
            examine_store(patient, &store, &mut checks).await;
            store.close().await;
        }
    }
    Report { checks }
}

async fn examine_store(patient: &Patient<'_>, store: &Store, checks: &mut Vec<Check>) {
    checks.extend(database::check(store, patient.depth).await);
    match store.migrations().await {
        Ok(migrations) => {
            checks.push(database::migrations(&migrations));
            if !is_current(&migrations) {
                let why = "the tables are not those of this version";
                checks.push(Check::skipped("books", why));
                return;
            }
        }
        Err(error) => {
            checks.push(Check::of("migrations", Err(error)));
            return;
        }
    }
    checks.extend(books::check(patient, store).await);
    checks.push(match patient.depth {
        Depth::Quick => Check::skipped("rollups", "not summed with --quick"),
        Depth::Whole => Check::of("rollups", rollups::check(store).await),
    });
    checks.extend(surroundings::check(patient, store).await);
    checks.push(match patient.depth {
        Depth::Quick => Check::skipped("audit", "not walked with --quick"),
        Depth::Whole => Check::of("audit", trail(store).await),
    });
    checks.push(Check::of(
        "prices",
        settings::prices(patient.config, store, patient.clock.now_ms()).await,
    ));
}

/// Whether the audit trail is whole. Nothing ever mends it: that is its purpose.
async fn trail(store: &Store) -> Result<Check, StoreError> {
    let verdict = audit::verify(store).await?;
    let Some(broken) = &verdict.broken else {
        let end = match verdict.rows {
            0 => String::new(),
            _ => format!(", up to {}", verdict.hash),
        };
        let changes = several(usize::try_from(verdict.rows).unwrap_or_default(), "change");
        return Ok(Check::ok("audit", format!("{changes}, unbroken{end}")));
    };
    let (seq, reason) = (broken.seq, broken.reason);
    Ok(Check::broken("audit", format!("broken at row {seq}: {reason}"))
        .advise("compare with a copy of the database from before; the trail is never repaired"))
}

/// Whether this version can read the tables. A newer one's are read too, as by a running server.
fn is_current(migrations: &Migrations) -> bool {
    migrations.missing.is_empty() && migrations.wrong.is_empty()
}

/// A store whose tables this version knows.
async fn open(place: &Place) -> Result<Store, StoreError> {
    let store = Store::look(place.clone(), Patience::Command).await?;
    if is_current(&store.migrations().await?) {
        return Ok(store);
    }
    Err(StoreError::Migration("run `tollgate migrate` first".to_owned()))
}

#[cfg(test)]
mod tests;
