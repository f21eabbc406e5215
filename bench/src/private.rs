//! A PostgreSQL and a Redis of one's own, for tests and benchmarks that need the real thing.
//!
//! Each lives in a fresh temporary folder, listens on a free port of 127.0.0.1 behind a random
//! password, and is gone with its folder when it is dropped or when the process ends, however it
//! ends. What the machine runs itself is never touched. Linux only: processes are found in `/proc`.
//!
//! Tests that run on either engine make a [`Home`] of a [`Kind`], see `on_both_engines!`. Most others
//! want [`Database::fresh`] and [`redis_url`], which share one instance; those that
//! stop, kill, pause or exhaust one start their own with [`Postgres::start`] or [`Redis::start`].

mod shell;
mod programs;
mod instance;
mod postgres;
mod database;
mod home;
mod redis;

pub(crate) use instance::Instance;
pub(crate) use programs::measured;

pub use self::redis::{Redis, redis_url};
pub use database::Database;
pub use home::{Home, Kind};
pub use postgres::{Durability, Postgres, PostgresOptions};

/// Names the PostgreSQL that tests share: the URL of a superuser.
pub const POSTGRES: &str = "TOLLGATE_TEST_POSTGRES";
/// Names the Redis that tests share.
pub const REDIS: &str = "TOLLGATE_TEST_REDIS";

/// A URL of the environment; absent where it is not set or empty.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read from")]
fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|url| !url.is_empty())
}

/// A password that nobody guesses, of letters and digits only.
fn password() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(24).collect()
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, ""), |(base, query)| (base, query));
    let (scheme, rest) = base.split_once("://").unwrap_or(("", base));
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{host}/{name}{mark}{query}")
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn a_url_gets_another_database() {
        for (url, expected) in [
            ("postgres://a:b@host:5/postgres", "postgres://a:b@host:5/new"),
            ("redis://host", "redis://host/new"),
            ("postgresql://host/", "postgresql://host/new"),
            ("postgres://h/x?sslmode=disable&a=/b", "postgres://h/new?sslmode=disable&a=/b"),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }
}
