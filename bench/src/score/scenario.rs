//! What callers do to a system in a round.

use super::{canned::Dialect, request::Pace};
use std::time::Duration;

/// What callers do.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it is called on the command line and in tables.
    pub name: &'static str,
    /// How they call.
    pub(super) load: Load,
    /// The format that they speak.
    pub(super) from: Dialect,
    /// The format that the upstream speaks.
    pub(super) to: Dialect,
    pub(super) key: Key,
    /// Each round is played on a system that has just been started.
    pub(super) fresh: bool,
}

/// How callers call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// One whole answer after the other.
    Calls { connections: usize, prompt: usize },
    /// Streams, all at once.
    Streams { streams: u32, pace: Pace, within: Duration },
}

/// What the callers' key is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// It may, and can pay.
    Valid,
    /// Nobody knows it.
    Invalid,
    /// Its budget is used up.
    Exhausted,
}

impl Key {
    /// Statuses of the right answer.
    pub(super) fn expected(self) -> &'static [u16] {
        match self {
            Self::Valid => &[200],
            Self::Invalid => &[401],
            Self::Exhausted => &[402, 429],
        }
    }
}

impl Scenario {
    /// Every one of them, in the order of the tables.
    pub const ALL: [Self; 15] = [
        calls("unary-1k-1", 1, 1_000),
        calls("unary-1k-64", 64, 1_000),
        calls("unary-1k-512", 512, 1_000),
        calls("unary-100k-1", 1, 100_000),
        calls("unary-100k-64", 64, 100_000),
        calls("unary-100k-512", 512, 100_000),
        streams("streams-200", 200, 20, 300),
        streams("streams-1000", 1_000, 20, 300),
        streams("streams-10000", 10_000, 1_000, 20),
        cross(calls("cross-1k-64", 64, 1_000)),
        cross(calls("cross-100k-64", 64, 100_000)),
        cross(streams("cross-streams-200", 200, 20, 300)),
        with(Key::Invalid, calls("key-invalid-64", 64, 1_000)),
        with(Key::Exhausted, calls("key-exhausted-64", 64, 1_000)),
        Self { fresh: true, ..streams("fresh-1000", 1_000, 1_000, 5) },
    ];

    /// Whether a proxy that passes everything on could not do it.
    pub(super) fn is_for_gateways(&self) -> bool {
        self.from != self.to || self.key != Key::Valid
    }

    /// Whether it is of a size that gateways in slower languages bear.
    pub(super) fn is_for_peers(&self) -> bool {
        let bearable = match self.load {
            Load::Calls { connections, .. } => connections <= 64,
            Load::Streams { streams, .. } => streams <= 200,
        };
        bearable && !self.fresh && !self.is_for_gateways()
    }

    /// Whether streams are counted, and not whole answers.
    pub(super) fn streams(&self) -> Option<u32> {
        match self.load {
            Load::Streams { streams, .. } => Some(streams),
            Load::Calls { .. } => None,
        }
    }

    /// With so few streams that each process can open both sides of all of them.
    pub(super) fn within(mut self, descriptors: u64) -> Self {
        if let Load::Streams { streams, .. } = &mut self.load {
            let most = descriptors.saturating_sub(500) / 2;
            *streams = (*streams).min(u32::try_from(most).unwrap_or(u32::MAX));
        }
        self
    }
}

/// Whole answers of one dialect, for somebody who may.
pub(super) const PLAIN: Scenario = Scenario {
    name: "",
    load: Load::Calls { connections: 1, prompt: 0 },
    from: Dialect::OpenAi,
    to: Dialect::OpenAi,
    key: Key::Valid,
    fresh: false,
};

const fn calls(name: &'static str, connections: usize, prompt: usize) -> Scenario {
    let load = Load::Calls { connections, prompt };
    Scenario { name, load, ..PLAIN }
}

/// Streams that begin within a second for each thousand, but within one at least.
const fn streams(name: &'static str, streams: u32, gap_ms: u64, chunks: u32) -> Scenario {
    let within = Duration::from_millis(if streams > 1_000 { streams as u64 } else { 1_000 });
    let pace = Pace { chunks, gap: Duration::from_millis(gap_ms) };
    let load = Load::Streams { streams, pace, within };
    Scenario { name, load, ..PLAIN }
}

const fn cross(scenario: Scenario) -> Scenario {
    Scenario { to: Dialect::Anthropic, ..scenario }
}

const fn with(key: Key, scenario: Scenario) -> Scenario {
    Scenario { key, ..scenario }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_as_many_as_descriptors_allow() {
        let many = streams("x", 10_000, 1, 1);
        assert_eq!(many.within(20_000).streams(), Some(9_750));
        assert_eq!(many.within(1 << 20).streams(), Some(10_000));
        assert_eq!(many.within(10).streams(), Some(0));
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = Scenario::ALL.map(|one| one.name).into();
        assert_eq!(names.len(), Scenario::ALL.len());
    }
}
