//! A budget as its owner sees it: what it limits, how much is left and when it starts again.

use serde::{Deserialize, Serialize};
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_unknown_words_name_the_choices() {
        assert_eq!("month".parse::<Window>(), Ok(Window::Month));
        assert_eq!("cost".parse::<Resource>().map(Resource::as_str), Ok("cost"));
        assert!("fortnight".parse::<Window>().unwrap_err().contains("week, month"));
    }
}
