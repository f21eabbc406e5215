//! Whose turn it is to write.
//!
//! SQLite lets one connection write at a time, and who waits for it there tries again and again until
//! luck or patience ends: a busy writer keeps everybody else out. Those of one process queue up here
//! instead, first come, first served. PostgreSQL needs none of this.

use super::StoreError;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::timeout,
};

/// Held by whoever writes, until its transaction is over.
pub(super) type Turn = OwnedMutexGuard<()>;

/// The queue of those who write.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    queue: Arc<Mutex<()>>,
    patience: Duration,
}

impl Turns {
    /// An empty queue in which nobody waits for longer than this.
    pub(super) fn new(patience: Duration) -> Self {
        Self { queue: Arc::default(), patience }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// `Busy` when the others take too long.
    pub(super) async fn take(&self) -> Result<Turn, StoreError> {
        let waiting = Arc::clone(&self.queue).lock_owned();
        timeout(self.patience, waiting).await.map_err(|_| StoreError::Busy)
    }
}
