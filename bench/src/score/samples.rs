//! What callers have seen, and the figures that are taken from it.

/// What the callers of one round have seen.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Calls that ended as they should.
    pub(super) calls: u64,
    /// Chunks of streams that told when they were sent.
    pub(super) chunks: u64,
    /// Nanoseconds from a request to its whole answer, or to the first chunk of its stream.
    pub(super) times: Vec<u64>,
    /// Nanoseconds from the sending of a chunk by the upstream to its arrival here.
    pub(super) delays: Vec<u64>,
    /// Calls that did not end as they should.
    pub(super) failed: u64,
    /// How the first of them failed.
    pub(super) trouble: Option<String>,
}

impl Tally {
    /// Counts a failure.
    pub(super) fn fail(&mut self, why: impl std::fmt::Display) {
        self.failed += 1;
        self.trouble.get_or_insert_with(|| why.to_string());
    }

    /// Takes in what another caller has seen.
    pub(super) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.chunks += other.chunks;
        self.times.extend(other.times);
        self.delays.extend(other.delays);
        self.failed += other.failed;
        self.trouble = self.trouble.take().or(other.trouble);
    }
}

/// The middle and the far end of some times, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Half of them are shorter.
    pub p50_us: f64,
    /// One in a hundred is longer.
    pub p99_us: f64,
}

impl Spread {
    /// Of times in nanoseconds; exact, for all of them are kept.
    pub(super) fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let index = times.len().saturating_sub(1) * percent / 100;
            micros(times.get(index).copied().unwrap_or_default())
        };
        Self { p50_us: at(50), p99_us: at(99) }
    }
}

/// Nanoseconds as microseconds.
#[expect(clippy::float_arithmetic, reason = "a figure for people")]
fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}

/// The figure in the middle; that of an even number of figures is the mean of the two. Figures that
/// are none (a ratio to nothing) do not count; without any, it is none either.
pub(super) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().filter(|figure| figure.is_finite()).collect();
    figures.sort_by(f64::total_cmp);
    let upper = figures.get(figures.len() / 2).copied();
    let lower = figures.get(figures.len().saturating_sub(1) / 2).copied();
    upper.zip(lower).map_or(f64::NAN, |(upper, lower)| f64::midpoint(upper, lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact() {
        let spread = Spread::of((1..=101).rev().map(|n| n * 1_000).collect());
        assert_eq!(spread, Spread { p50_us: 51.0, p99_us: 100.0 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median([5.0, 1.0, 3.0]) - 3.0).abs() < f64::EPSILON);
        assert!((median([4.0, f64::NAN, 2.0, f64::INFINITY]) - 3.0).abs() < f64::EPSILON);
        assert!(median([]).is_nan());
    }

    #[test]
    fn the_first_trouble_is_kept() {
        let (mut one, mut other) = (Tally::default(), Tally::default());
        other.fail("first");
        one.add(other);
        one.fail("second");
        assert_eq!((one.failed, one.trouble.as_deref()), (2, Some("first")));
    }
}
