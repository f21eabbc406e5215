//! On whose behalf a command changes something: the user of the operating system.

use super::Failure;
use crate::{
    admin::{Actor, AdminError, Mandate, Office},
    clock::SystemClock,
    store::Store,
};
use clap::Args;
use std::{fs, os::unix::fs::MetadataExt, sync::Arc};

/// How a repetition of the command is recognised.
#[derive(Debug, Args)]
pub(super) struct Once {
    /// Do it once, however often the command comes with this key within a day.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

impl Once {
    /// On behalf of whoever runs the command.
    pub(super) fn mandate(&self) -> Result<Mandate, Failure> {
        let actor = actor();
        Ok(match &self.idempotency_key {
            Some(key) => Mandate::once(actor, key)?,
            None => Mandate::of(actor),
        })
    }
}

/// Whoever runs the command.
pub(super) fn actor() -> Actor {
    Actor::shell(&os_user())
}

/// Where the command's changes are made.
pub(super) fn office(store: &Store) -> Office {
    Office::new(store.clone(), Arc::new(SystemClock))
}

/// The name of the user that this process runs as: by its number, which no variable can change.
fn os_user() -> String {
    let Ok(process) = fs::metadata("/proc/self") else { return "unknown".to_owned() };
    let number = process.uid().to_string();
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    named.unwrap_or(number)
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let found = match &error {
            AdminError::Unknown { kind: kind @ ("user" | "team" | "organisation"), name } => {
                format!("no {kind} is called {name:?}; `tollgate {kind}s list` shows all")
            }
            AdminError::Unknown { kind, name } => {
                format!("no {kind} has the id {name:?}; `tollgate {kind}s list` shows all")
            }
            _ => error.to_string(),
        };
        Self::new(found)
    }
}
