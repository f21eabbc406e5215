//! Amounts as operators write them: `cost=5usd/month`, `100000`, `90d`.

use super::AdminError;
use crate::ledger::report::span_ms;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{fmt, str::FromStr};
use tollgate_types::{NanoUsd, Resource, Window};

/// No cap is larger: a billion dollars, or as many tokens as there are nano-dollars in them. Sums of
/// a few caps still fit into 64 bits.
pub const MAX_CAP: i64 = 1_000_000_000_000_000_000;

/// An amount of a resource: a whole number in its unit (nano-dollars for cost), or a text as on the
/// command line (`5usd`, `100_000`). Fractions of a number are refused, for no float is exact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Amount {
    /// In the resource's unit.
    Whole(i64),
    /// Dollars for cost, a whole number for the others.
    Text(String),
}

impl Amount {
    /// The amount in the resource's unit.
    ///
    /// # Errors
    /// When it is negative, no amount of that resource, or more than [`MAX_CAP`].
    pub fn of(&self, resource: Resource) -> Result<i64, String> {
        let amount = match self {
            Self::Whole(amount) => *amount,
            Self::Text(text) => parse(resource, text)?,
        };
        if amount < 0 {
            return Err(format!("{amount} is negative"));
        }
        if amount > MAX_CAP {
            return Err(format!("{} is more than any cap can be", shown(resource, amount)));
        }
        Ok(amount)
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self::Text(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl de::Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a whole number that is not negative (nano-dollars for cost) or a text like \"5usd\"",
        )
    }

    fn visit_u64<E: de::Error>(self, amount: u64) -> Result<Amount, E> {
        i64::try_from(amount).map(Amount::Whole).map_err(|_| E::custom("the amount is too large"))
    }

    fn visit_i64<E: de::Error>(self, amount: i64) -> Result<Amount, E> {
        Ok(Amount::Whole(amount))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
        Ok(Amount::Text(text.to_owned()))
    }
}

fn parse(resource: Resource, text: &str) -> Result<i64, String> {
    if resource == Resource::Cost {
        let dollars = text.strip_suffix("usd").unwrap_or(text);
        return dollars.parse::<NanoUsd>().map(|amount| amount.0).map_err(|e| e.to_string());
    }
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let whole = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    whole.ok_or_else(|| format!("{text:?} is not a whole number of {resource}"))
}

/// An amount of a resource as people read it.
pub fn shown(resource: Resource, amount: i64) -> String {
    match resource {
        Resource::Cost => NanoUsd(amount).to_string(),
        Resource::Tokens | Resource::Requests => amount.to_string(),
    }
}

/// `<resource>=<amount>/<window>`, taken apart.
///
/// # Errors
/// When it is not written like that.
pub fn spec(text: &str) -> Result<(Resource, Window, Amount), String> {
    let shape = || {
        format!(
            "{text:?} is no budget, write it like cost=5usd/month, tokens=100000/month or requests=1000/day"
        )
    };
    let (resource, rest) = text.split_once('=').ok_or_else(shape)?;
    let (amount, window) = rest.split_once('/').ok_or_else(shape)?;
    let resource = resource.parse()?;
    let amount = Amount::Text(amount.to_owned());
    amount.of(resource)?;
    Ok((resource, window.parse()?, amount))
}

/// A moment to come: a span from now (`90d`) or RFC 3339.
///
/// # Errors
/// `Invalid` when it is neither, or is past.
pub fn moment_to_come(field: &str, text: &str, now_ms: i64) -> Result<i64, AdminError> {
    let moment = text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).ok();
    let moment = moment.or_else(|| span_ms(text).and_then(|span| now_ms.checked_add(span)));
    moment.filter(|moment| *moment > now_ms).ok_or_else(|| {
        let message =
            format!("{text:?} is no time to come, write it like 90d, 12h or 2027-01-31T00:00:00Z");
        AdminError::invalid(field, message)
    })
}

/// A field of a change: absent means as it is, `null` means none.
pub(super) fn given<'de, D, T>(source: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(source).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_they_are_written() {
        let cap = |text: &str| {
            let (resource, _, amount) = spec(text)?;
            amount.of(resource)
        };
        assert_eq!(cap("cost=5usd/month"), Ok(5_000_000_000));
        assert_eq!(cap("tokens=100_000/day"), Ok(100_000));
        assert_eq!(cap("requests=0/day"), Ok(0));
        for wrong in [
            "",
            "cost",
            "cost=5",
            "cost=/day",
            "cost=-5usd/day",
            "cost=2000000000usd/day",
            "money=5/day",
            "tokens=1.5/day",
            "tokens=-1/day",
            "tokens=/day",
            "requests=99999999999999999999/day",
            "requests=1/year",
        ] {
            assert!(cap(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_amount_in_json_is_a_whole_number_or_a_text() {
        let cost = |json: &str| {
            serde_json::from_str::<Amount>(json)
                .map_err(|error| error.to_string())
                .and_then(|amount| amount.of(Resource::Cost))
        };
        assert_eq!(cost("7"), Ok(7));
        assert_eq!(cost("\"0.5usd\""), Ok(500_000_000));
        assert_eq!(cost("0"), Ok(0));
        for (wrong, reason) in [
            ("-1", "negative"),
            ("1.5", "whole number"),
            ("5.0", "whole number"),
            ("1e3", "whole number"),
            ("1000000000000000001", "more than any cap"),
            ("9223372036854775808", "too large"),
            ("99999999999999999999", "whole number"),
            ("true", "whole number"),
            ("null", "whole number"),
            ("[5]", "whole number"),
            ("\"-5usd\"", "not an amount"),
            ("\"5 usd\"", "not an amount"),
            ("\"\"", "not an amount"),
        ] {
            let error = cost(wrong).unwrap_err();
            assert!(error.contains(reason), "{wrong}: {error}");
        }
    }

    #[test]
    fn moments_that_are_past_or_none_are_refused() {
        let moment = |text: &str| moment_to_come("expires", text, 1000);
        assert_eq!(moment("1d").unwrap(), 86_401_000);
        for wrong in ["0d", "1970-01-01T00:00:00Z", "soon", "", "99999999999999999d"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
