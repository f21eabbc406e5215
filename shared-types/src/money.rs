//! Money as integers: nano-US-dollars, so that sums are exact and comparisons with caps are honest.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An amount in nano-US-dollars (10^-9 USD). `i64` reaches 9.2 billion dollars.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

/// Nano-dollars in one dollar.
const PER_USD: i64 = 1_000_000_000;

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Adds; stops at the largest amount instead of wrapping.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Subtracts; stops at the smallest amount instead of wrapping.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Exact decimal dollars with as many digits as needed, at least two: `$0.0000315`, `$12.00`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let per_usd = PER_USD.unsigned_abs();
        let mut fraction = format!("{:09}", nanos % per_usd);
        while fraction.len() > 2 && fraction.ends_with('0') {
            fraction.pop();
        }
        write!(f, "{sign}${}.{fraction}", nanos / per_usd)
    }
}

/// Why a text is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoneyParseError {
    /// Not decimal digits with at most one point.
    NotDecimal(String),
    /// More than nine digits after the point: finer than a nano-dollar.
    TooFine(String),
    /// Does not fit 64 bits of nano-dollars.
    TooLarge(String),
}

impl fmt::Display for MoneyParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDecimal(text) => {
                write!(f, "{text:?} is not an amount in dollars, write it like 0.15")
            }
            Self::TooFine(text) => write!(f, "{text:?} has more than nine digits after the point"),
            Self::TooLarge(text) => write!(f, "{text:?} is more than 9 billion dollars"),
        }
    }
}

impl std::error::Error for MoneyParseError {}

/// Reads plain decimal dollars (`5`, `0.15`); no sign, no exponent, nothing is rounded.
impl FromStr for NanoUsd {
    type Err = MoneyParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_decimal = || MoneyParseError::NotDecimal(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(not_decimal());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 9 {
            return Err(MoneyParseError::TooFine(text.to_owned()));
        }
        let too_large = |_| MoneyParseError::TooLarge(text.to_owned());
        let whole: i64 = whole.parse().map_err(too_large)?;
        let nanos: i64 = format!("{fraction:0<9}").parse().map_err(too_large)?;
        whole
            .checked_mul(PER_USD)
            .and_then(|n| n.checked_add(nanos))
            .map(Self)
            .ok_or_else(|| MoneyParseError::TooLarge(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimal_text_is_read_exactly() {
        for (text, nanos) in [
            ("5", 5_000_000_000),
            ("0.15", 150_000_000),
            ("0.000000001", 1),
            ("1.10", 1_100_000_000),
        ] {
            assert_eq!(text.parse(), Ok(NanoUsd(nanos)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", ".", "-1", "1.", ".5", "1e3", "0.0000000001", "9999999999999", "1,5", "٣"]
        {
            assert!(text.parse::<NanoUsd>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(nanos in 0..i64::MAX) {
            let text = NanoUsd(nanos).to_string();
            prop_assert_eq!(text.trim_start_matches('$').parse(), Ok(NanoUsd(nanos)));
        }
    }
}
