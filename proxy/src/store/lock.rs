//! One server per SQLite file: two would sweep each other's open holds.

use super::StoreError;
use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

/// Held as long as the server lives; the system releases it even after `kill -9`.
#[derive(Debug)]
pub struct ServerLock(#[expect(dead_code, reason = "held for its lock")] File);

impl ServerLock {
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let unwritable = |error: std::io::Error| {
            StoreError::ReadOnly(format!("cannot lock {}: {error}", path.display()))
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: database.to_owned() }),
            Err(TryLockError::Error(error)) => Err(unwritable(error)),
        }
    }
}
