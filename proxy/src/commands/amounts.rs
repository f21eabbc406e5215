//! Amounts as they are typed: `cost=5usd/month`, `60/minute`, `90d`.

use crate::{clock::Clock, ids::new_id, ledger::report::span_ms, store::BudgetRow};
use std::str::FromStr;
use tollgate_types::{NanoUsd, Resource, Window};

/// `<resource>=<amount>/<window>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BudgetSpec {
    pub resource: Resource,
    pub cap: i64,
    pub window: Window,
}

impl FromStr for BudgetSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || {
            format!(
                "{text:?} is no budget, write it like cost=5usd/month, tokens=100000/month or requests=1000/day"
            )
        };
        let (resource, rest) = text.split_once('=').ok_or_else(shape)?;
        let (amount, window) = rest.split_once('/').ok_or_else(shape)?;
        let resource = resource.parse()?;
        Ok(Self { resource, cap: cap(resource, amount)?, window: window.parse()? })
    }
}

/// An amount of a resource: dollars for cost, a whole number for the others.
pub(super) fn cap(resource: Resource, amount: &str) -> Result<i64, String> {
    if resource == Resource::Cost {
        let dollars = amount.strip_suffix("usd").unwrap_or(amount);
        return dollars.parse::<NanoUsd>().map(|amount| amount.0).map_err(|e| e.to_string());
    }
    let digits: String = amount.chars().filter(|c| *c != '_').collect();
    let whole = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    whole.ok_or_else(|| format!("{amount:?} is not a whole number of {resource}"))
}

impl BudgetSpec {
    /// A budget of this kind for an owner.
    pub(super) fn row(self, clock: &dyn Clock, owner_kind: &str, owner_id: &str) -> BudgetRow {
        BudgetRow {
            id: new_id(clock),
            owner_kind: owner_kind.to_owned(),
            owner_id: owner_id.to_owned(),
            resource: self.resource.as_str().to_owned(),
            span: self.window.as_str().to_owned(),
            cap: self.cap,
            ..BudgetRow::default()
        }
    }
}

/// `N/minute`.
pub(super) fn per_minute(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/minute").and_then(|number| number.parse().ok());
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{text:?} is no rate, write it like 60/minute"))
}

/// A span from now (`90d`), or a moment (RFC 3339).
pub(super) fn expiry_ms(text: &str, now_ms: i64) -> Result<i64, String> {
    let moment = text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).ok();
    let moment = moment.or_else(|| span_ms(text).and_then(|span| now_ms.checked_add(span)));
    moment.filter(|moment| *moment > now_ms).ok_or_else(|| {
        format!("{text:?} is no time to come, write it like 90d, 12h or 2027-01-31T00:00:00Z")
    })
}

/// An amount of a resource as people read it.
pub(super) fn amount(resource: Resource, amount: i64) -> String {
    match resource {
        Resource::Cost => NanoUsd(amount).to_string(),
        Resource::Tokens | Resource::Requests => amount.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_they_are_written() {
        let spec = |text: &str| text.parse::<BudgetSpec>();
        let cost =
            BudgetSpec { resource: Resource::Cost, cap: 5_000_000_000, window: Window::Month };
        assert_eq!(spec("cost=5usd/month"), Ok(cost));
        assert_eq!(spec("tokens=100_000/day").map(|spec| spec.cap), Ok(100_000));
        for wrong in [
            "",
            "cost",
            "cost=5",
            "cost=/day",
            "cost=-5usd/day",
            "money=5/day",
            "tokens=1.5/day",
            "tokens=-1/day",
            "tokens=/day",
            "requests=99999999999999999999/day",
            "requests=1/year",
        ] {
            assert!(spec(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_and_expiries_that_make_no_sense_are_refused() {
        assert_eq!(per_minute("60/minute"), Ok(60));
        for wrong in ["0/minute", "60", "60/hour", "-1/minute"] {
            assert!(per_minute(wrong).is_err(), "{wrong}");
        }
        assert_eq!(expiry_ms("1d", 1000), Ok(86_401_000));
        for wrong in ["0d", "1970-01-01T00:00:00Z", "soon"] {
            assert!(expiry_ms(wrong, 1000).is_err(), "{wrong}");
        }
    }
}
