//! Which usage a report shall cover.

use std::{fmt, str::FromStr};

/// Which usage to report; everything absent means all that the key may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// Only calls that began at or after this: RFC 3339, or an age such as `24h` or `7d`.
    pub since: Option<String>,
    /// Only calls that began before this: RFC 3339, or an age.
    pub until: Option<String>,
    /// Only this user's calls, by name.
    pub user: Option<String>,
    /// Only calls of users who were in this team at that time, by name.
    pub team: Option<String>,
    /// Only calls of teams of this organisation, by name.
    pub organisation: Option<String>,
    /// Only calls of this key, by id.
    pub key: Option<String>,
    /// With the key's calls, those of the keys that were delegated from it.
    pub delegated: bool,
    /// Only calls that this provider answered.
    pub provider: Option<String>,
    /// Only calls that this model answered, as the provider calls it.
    pub model: Option<String>,
    /// Only calls that used this feature.
    pub feature: Option<String>,
    /// Only calls with this tag: `name=value`, or a name for any value.
    pub tag: Option<String>,
    /// Only calls that ended like this (`settled`, `cancelled` ...); for `rows` alone.
    pub disposition: Option<String>,
    /// IANA name of the zone of dates, hours, days, weeks and months; absent: UTC.
    pub time_zone: Option<String>,
    /// What the lines of the report stand for; absent: one line for everything.
    pub group_by: Option<GroupBy>,
    /// What each of these lines is divided by again; absent: by nothing.
    pub then_by: Option<GroupBy>,
    /// How many of the newest calls to list one by one; absent: none.
    pub rows: Option<u32>,
    /// List calls behind these: `next` of the report with the page before.
    pub before: Option<String>,
}

/// What one line of a usage report stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupBy {
    /// A user.
    User,
    /// The team that the user was in at that time.
    Team,
    /// The team's organisation.
    Organisation,
    /// An API key.
    Key,
    /// A provider.
    Provider,
    /// A model.
    Model,
    /// A feature; a call counts under each that it used.
    Feature,
    /// A tag, as `name=value`; a call counts under each that it had.
    Tag,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week that begins on Monday.
    Week,
    /// A month.
    Month,
}

impl GroupBy {
    /// Every choice.
    pub const ALL: [Self; 12] = [
        Self::User,
        Self::Team,
        Self::Organisation,
        Self::Key,
        Self::Provider,
        Self::Model,
        Self::Feature,
        Self::Tag,
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Team => "team",
            Self::Organisation => "organisation",
            Self::Key => "key",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Feature => "feature",
            Self::Tag => "tag",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GroupBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|choice| choice.as_str() == text).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|choice| choice.as_str()).collect();
            format!("{text:?} cannot be grouped by, use one of: {}", words.join(", "))
        })
    }
}

impl UsageQuery {
    /// The query's part of the address.
    pub(crate) fn pairs(self) -> Vec<(&'static str, String)> {
        let groups: Vec<_> = [self.group_by, self.then_by].into_iter().flatten().collect();
        let groups = groups.iter().map(|choice| choice.as_str()).collect::<Vec<_>>().join(",");
        [
            ("since", self.since),
            ("until", self.until),
            ("user", self.user),
            ("team", self.team),
            ("organisation", self.organisation),
            ("key", self.key),
            ("delegated", self.delegated.then(|| "true".to_owned())),
            ("provider", self.provider),
            ("model", self.model),
            ("feature", self.feature),
            ("tag", self.tag),
            ("disposition", self.disposition),
            ("time_zone", self.time_zone),
            ("group_by", Some(groups).filter(|groups| !groups.is_empty())),
            ("rows", self.rows.map(|rows| rows.to_string())),
            ("before", self.before),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}
