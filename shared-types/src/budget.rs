//! A budget as its owner sees it: what it limits, how much is left and when it starts again.

use crate::NanoUsd;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, str::FromStr};

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Nano-US-dollars.
    Cost,
    /// Tokens of every kind, in and out.
    Tokens,
    /// Admitted requests.
    Requests,
}

/// How long a budget lasts before it starts again, aligned to the calendar of its owner's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// From second 0 to second 59.
    Minute,
    /// From minute 0 to minute 59.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday's midnight.
    Week,
    /// From the first of the month.
    Month,
    /// Never starts again.
    Total,
}

macro_rules! words {
    ($type:ty, $what:literal, $($variant:ident = $word:literal),+) => {
        impl $type {
            /// The one word for this in text, SQL, JSON and configuration.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $type {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("{text:?} is not a {}, use one of: {}", $what, [$($word),+].join(", "))),
                }
            }
        }
    };
}
words!(Resource, "resource", Cost = "cost", Tokens = "tokens", Requests = "requests");
words!(
    Window,
    "window",
    Minute = "minute",
    Hour = "hour",
    Day = "day",
    Week = "week",
    Month = "month",
    Total = "total"
);

/// One budget at one moment. Amounts are in the resource's unit (nano-USD, tokens or requests);
/// `spent + held <= cap` holds at every moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetStatus {
    /// The budget's id.
    pub budget: String,
    /// Whose budget it is: `organisation:acme`, `team:red`, `user:alice` or `key:01J...`.
    pub owner: String,
    /// What it counts.
    pub resource: Resource,
    /// How often it starts again.
    pub window: Window,
    /// The most that may be spent in one window.
    pub cap: i64,
    /// Settled so far in this window.
    pub spent: i64,
    /// Set aside for requests that are running now.
    pub held: i64,
    /// When the window ends, milliseconds since 1970 UTC; absent for `total`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at_ms: Option<i64>,
    /// Only calls to providers that fit this pattern count; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Only calls to models (`provider/model`) that fit this pattern count; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Only calls that use this feature count; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// It limits nothing: somebody is told when it is passed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub soft: bool,
}

impl BudgetStatus {
    /// What can still be set aside; never below zero.
    pub fn remaining(&self) -> i64 {
        self.cap.saturating_sub(self.spent).saturating_sub(self.held).max(0)
    }
}

/// What a budget limits, as it is asked for: `{"resource": "cost", "window": "month", "cap":
/// 5000000000}` in JSON, or the text `cost=5usd/month`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SubBudget {
    /// What it counts.
    pub resource: Resource,
    /// How often it starts again.
    pub window: Window,
    /// The most that may be spent in one window, in the resource's unit.
    pub cap: i64,
}

impl FromStr for SubBudget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || {
            format!(
                "{text:?} is no budget, write it like cost=5usd/month, tokens=100000/month or requests=1000/day"
            )
        };
        let (resource, rest) = text.split_once('=').ok_or_else(shape)?;
        let (amount, window) = rest.split_once('/').ok_or_else(shape)?;
        let resource: Resource = resource.parse()?;
        Ok(Self { resource, window: window.parse()?, cap: resource.amount(amount)? })
    }
}

impl Resource {
    /// An amount as people write it: dollars for cost (`5usd`, `0.25`), else a whole number, in
    /// which `_` may stand between digits.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn amount(self, text: &str) -> Result<i64, String> {
        if self == Self::Cost {
            let dollars = text.strip_suffix("usd").unwrap_or(text);
            return dollars.parse::<NanoUsd>().map(|amount| amount.0).map_err(|e| e.to_string());
        }
        let digits: String = text.chars().filter(|c| *c != '_').collect();
        let whole = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok());
        whole.flatten().ok_or_else(|| format!("{text:?} is not a whole number of {self}"))
    }
}

impl<'de> Deserialize<'de> for SubBudget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SubBudgetVisitor)
    }
}

struct SubBudgetVisitor;

impl<'de> Visitor<'de> for SubBudgetVisitor {
    type Value = SubBudget;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a budget: an object of resource, window and cap, or text like cost=5usd/month")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SubBudget, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SubBudget, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            resource: Resource,
            window: Window,
            cap: i64,
        }
        let Fields { resource, window, cap } =
            Fields::deserialize(MapAccessDeserializer::new(map))?;
        if cap < 0 {
            return Err(A::Error::custom(format!("cap is {cap}, it must not be negative")));
        }
        Ok(SubBudget { resource, window, cap })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_unknown_words_name_the_choices() {
        assert_eq!("month".parse::<Window>(), Ok(Window::Month));
        assert_eq!("cost".parse::<Resource>().map(Resource::as_str), Ok("cost"));
        assert!("fortnight".parse::<Window>().unwrap_err().contains("week, month"));
    }

    #[test]
    fn terms_are_read_as_text_and_as_an_object() {
        let month =
            SubBudget { resource: Resource::Cost, window: Window::Month, cap: 5_000_000_000 };
        for json in [
            r#""cost=5usd/month""#,
            r#"{"resource":"cost","window":"month","cap":5000000000}"#,
            &serde_json::to_string(&month).unwrap(),
        ] {
            assert_eq!(serde_json::from_str::<SubBudget>(json).unwrap(), month, "{json}");
        }
        for wrong in [
            "5",
            "null",
            r#""cost=-5usd/month""#,
            r#""tokens=1.5/day""#,
            r#"{"resource":"cost","window":"month","cap":-1}"#,
            r#"{"resource":"cost","window":"month","cap":1.5}"#,
            r#"{"resource":"cost","window":"month","cap":99999999999999999999}"#,
            r#"{"resource":"gold","window":"month","cap":1}"#,
            r#"{"resource":"cost","window":"month"}"#,
            r#"{"resource":"cost","window":"month","cap":1,"soft":true}"#,
        ] {
            assert!(serde_json::from_str::<SubBudget>(wrong).is_err(), "{wrong}");
        }
    }
}
