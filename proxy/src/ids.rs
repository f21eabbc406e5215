//! Identifiers: sortable by time, safe in URLs, never reused.

use crate::clock::Clock;
use ulid::Ulid;

/// A new lower-case ULID: 26 letters and digits, ordered by the time they were made.
pub fn new_id(clock: &dyn Clock) -> String {
    let now_ms = u64::try_from(clock.now_ms()).unwrap_or_default();
    let mut id = Ulid::from_parts(now_ms, random()).to_string();
    id.make_ascii_lowercase();
    id
}

fn random() -> u128 {
    (u128::from(fastrand::u64(..)) << 64) | u128::from(fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn ids_differ_and_sort_by_time() {
        let clock = ManualClock::at(1_000);
        let first = new_id(&clock);
        assert_ne!(first, new_id(&clock));
        clock.set(2_000);
        assert!(first < new_id(&clock));
        assert_eq!(first.len(), 26);
    }
}
