//! Open files: a call needs one for its caller and, mostly, one for its upstream.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open beside connections: the database, the log, threads' wake-ups.
const OTHERS: u64 = 64;

/// Takes as many open files as the system grants: what it gives unasked, often 1024, is for programs
/// that may use `select`. Warns where that is too little for as many connections as are let in.
pub(super) fn take_all(max_connections: usize) {
    let given = getrlimit(Resource::Nofile);
    let all = Rlimit { current: given.maximum, maximum: given.maximum };
    let granted = match setrlimit(Resource::Nofile, all) {
        Ok(()) => all.current,
        Err(_) => given.current,
    };
    let room = granted.map_or(u64::MAX, |files| files.saturating_sub(OTHERS) / 2);
    if room < u64::try_from(max_connections).unwrap_or(u64::MAX) {
        tracing::warn!(
            open_files = granted,
            max_connections,
            "the system's limit of open files carries about {room} calls at once: raise it \
             (ulimit -n, LimitNOFILE), or lower server.max_connections"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_granted_is_taken() {
        take_all(1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        // And again, as a second server of the same process would.
        take_all(usize::MAX);
        assert_eq!(getrlimit(Resource::Nofile), limit);
    }
}
