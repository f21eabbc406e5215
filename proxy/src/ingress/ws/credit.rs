//! How much of one call's events may be on its way: the client grants it, each event takes from it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tollgate_types::wire::socket::MAX_CREDIT;

/// Room for the events of one call. An event may take more than is left, so that none is too large;
/// the next one then waits until the debt is paid.
#[derive(Debug)]
pub(super) struct Credit {
    /// Absent where the client sets no bound.
    left: Option<Mutex<i64>>,
    more: Notify,
}

/// Why a grant is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum GrantError {
    /// The call was begun without credit, so nothing bounds it.
    #[error("the call was begun without credit: nothing bounds it")]
    Unbounded,
    /// More than a call can have.
    #[error("a call has at most {MAX_CREDIT} bytes of credit")]
    TooMuch,
}

impl Credit {
    /// What the call begins with.
    ///
    /// # Errors
    /// `TooMuch`.
    pub(super) fn of(bytes: Option<u64>) -> Result<Self, GrantError> {
        let left = match bytes {
            Some(bytes) => Some(Mutex::new(within(0, bytes)?)),
            None => None,
        };
        Ok(Self { left, more: Notify::new() })
    }

    /// Adds to what is left.
    ///
    /// # Errors
    /// When there is no bound to add to, or too much would be left.
    pub(super) fn grant(&self, bytes: u64) -> Result<(), GrantError> {
        let left = self.left.as_ref().ok_or(GrantError::Unbounded)?;
        let mut left = open(left);
        *left = within(*left, bytes)?;
        drop(left);
        self.more.notify_one();
        Ok(())
    }

    /// Waits until something is left. Only the one task of the call waits.
    pub(super) async fn wait(&self) {
        let Some(left) = &self.left else { return };
        while *open(left) <= 0 {
            self.more.notified().await;
        }
    }

    /// Takes what an event needs.
    pub(super) fn take(&self, bytes: usize) {
        if let Some(left) = &self.left {
            let mut left = open(left);
            *left = left.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }
}

fn within(left: i64, more: u64) -> Result<i64, GrantError> {
    let most = i64::try_from(MAX_CREDIT).unwrap_or(i64::MAX);
    let sum = i64::try_from(more).ok().and_then(|more| left.checked_add(more));
    sum.filter(|sum| *sum <= most).ok_or(GrantError::TooMuch)
}

fn open(left: &Mutex<i64>) -> MutexGuard<'_, i64> {
    left.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn an_event_may_take_more_than_is_left_and_the_next_one_waits_until_that_is_paid() {
        let credit = Credit::of(Some(10)).unwrap();
        assert!(credit.wait().now_or_never().is_some());
        credit.take(25);
        assert!(credit.wait().now_or_never().is_none());
        credit.grant(15).unwrap();
        assert!(credit.wait().now_or_never().is_none(), "nothing is left yet");
        credit.grant(1).unwrap();
        assert!(credit.wait().now_or_never().is_some());
    }

    #[test]
    fn no_call_has_more_credit_than_there_is() {
        assert_eq!(Credit::of(Some(MAX_CREDIT + 1)).unwrap_err(), GrantError::TooMuch);
        let credit = Credit::of(Some(MAX_CREDIT)).unwrap();
        assert_eq!(credit.grant(1), Err(GrantError::TooMuch));
        assert_eq!(credit.grant(u64::MAX), Err(GrantError::TooMuch));
        credit.take(1);
        assert_eq!(credit.grant(1), Ok(()));
    }

    #[test]
    fn a_call_without_credit_is_not_bounded() {
        let credit = Credit::of(None).unwrap();
        credit.take(usize::MAX);
        assert!(credit.wait().now_or_never().is_some());
        assert_eq!(credit.grant(1), Err(GrantError::Unbounded));
    }
}
