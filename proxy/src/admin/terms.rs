//! What a budget limits: its terms, as a text or as an object.

use super::{
    AdminError,
    amounts::{Amount, spec},
    names::check_pattern,
};
use crate::{clock::Clock, ids::new_id, store::BudgetRow};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{fmt, str::FromStr};
use tollgate_types::{Feature, Resource, Window};

/// The highest percentage at which somebody is told: soft budgets can be overspent.
const MAX_PERCENT: u32 = 1000;

/// What happens when a budget cannot pay for the whole answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overrun {
    /// The answer is shortened.
    #[default]
    Clamp,
    /// The call is refused.
    Refuse,
}

impl Overrun {
    /// The one word for this in SQL, JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clamp => "clamp",
            Self::Refuse => "refuse",
        }
    }
}

impl FromStr for Overrun {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "clamp" => Ok(Self::Clamp),
            "refuse" => Ok(Self::Refuse),
            _ => Err(format!("{text:?} is no answer to an overrun, use clamp or refuse")),
        }
    }
}

/// What a budget limits. In JSON an object, or a text like `cost=5usd/month`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetTerms {
    /// What it counts.
    pub resource: Resource,
    /// How long it lasts before it starts again.
    pub window: Window,
    /// The most that may be spent in one window; 0 permits nothing.
    pub cap: Amount,
    /// What happens when it cannot pay for the whole answer.
    pub overrun: Overrun,
    /// Somebody is told when so many percent are spent.
    pub alert_percent: Option<u32>,
    /// Which calls count.
    #[serde(flatten)]
    pub scope: BudgetScope,
    /// It limits nothing: somebody is told when it is passed.
    pub soft: bool,
}

/// Which calls a budget counts; what is absent counts all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BudgetScope {
    /// Only calls to providers that fit this pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Only calls to models that fit this pattern, as `provider/model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Only calls that use this feature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<Feature>,
}

impl BudgetScope {
    fn check(&self) -> Result<(), AdminError> {
        for (field, pattern) in [("provider", &self.provider), ("model", &self.model)] {
            pattern.as_deref().map_or(Ok(()), |pattern| check_pattern(field, pattern))?;
        }
        match &self.model {
            Some(model) if !model.contains('/') && !model.ends_with('*') => {
                let message = format!("{model:?} is no model, write it like openai/gpt-4o-mini");
                Err(AdminError::invalid("model", message))
            }
            _ => Ok(()),
        }
    }
}

impl BudgetTerms {
    /// A hard budget that counts every call.
    pub fn new(resource: Resource, window: Window, cap: Amount) -> Self {
        Self {
            resource,
            window,
            cap,
            overrun: Overrun::default(),
            alert_percent: None,
            scope: BudgetScope::default(),
            soft: false,
        }
    }

    /// Whether they make sense.
    ///
    /// # Errors
    /// The value that does not.
    pub fn check(&self) -> Result<(), AdminError> {
        self.cap_in_units()?;
        self.scope.check()?;
        if self.soft && self.overrun == Overrun::Refuse {
            return Err(AdminError::invalid("overrun", "a soft budget refuses nothing"));
        }
        check_percent(self.alert_percent)
    }

    fn cap_in_units(&self) -> Result<i64, AdminError> {
        self.cap.of(self.resource).map_err(|message| AdminError::invalid("cap", message))
    }

    /// A budget on these terms for an owner.
    ///
    /// # Errors
    /// When the cap makes no sense.
    pub fn row(
        &self,
        clock: &dyn Clock,
        owner_kind: &str,
        owner_id: &str,
    ) -> Result<BudgetRow, AdminError> {
        Ok(BudgetRow {
            id: new_id(clock),
            owner_kind: owner_kind.to_owned(),
            owner_id: owner_id.to_owned(),
            resource: self.resource.as_str().to_owned(),
            span: self.window.as_str().to_owned(),
            cap: self.cap_in_units()?,
            overrun: self.overrun.as_str().to_owned(),
            alert_percent: self.alert_percent.map(i64::from),
            provider: any(self.scope.provider.as_deref()),
            model: any(self.scope.model.as_deref()),
            feature: any(self.scope.feature.map(Feature::as_str)),
            enforcement: if self.soft { "soft" } else { "hard" }.to_owned(),
            ..BudgetRow::default()
        })
    }
}

fn any(pattern: Option<&str>) -> String {
    pattern.unwrap_or("*").to_owned()
}

/// A percentage of a cap.
///
/// # Errors
/// When it is 0 or absurd.
pub fn check_percent(percent: Option<u32>) -> Result<(), AdminError> {
    match percent {
        Some(percent) if !(1..=MAX_PERCENT).contains(&percent) => {
            let message = format!("{percent} is no percentage from 1 to {MAX_PERCENT}");
            Err(AdminError::invalid("alert_percent", message))
        }
        _ => Ok(()),
    }
}

impl FromStr for BudgetTerms {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (resource, window, cap) = spec(text)?;
        Ok(Self::new(resource, window, cap))
    }
}

/// The terms as an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    resource: Resource,
    window: Window,
    cap: Amount,
    #[serde(default)]
    overrun: Overrun,
    #[serde(default)]
    alert_percent: Option<u32>,
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    feature: Option<Feature>,
    #[serde(default)]
    soft: bool,
}

impl<'de> Deserialize<'de> for BudgetTerms {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(TermsVisitor)
    }
}

struct TermsVisitor;

impl<'de> de::Visitor<'de> for TermsVisitor {
    type Value = BudgetTerms;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a budget: a text like \"cost=5usd/month\", or an object")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BudgetTerms, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<BudgetTerms, A::Error> {
        let object = Object::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let Object { resource, window, cap, overrun, alert_percent, soft, .. } = object;
        let Object { provider, model, feature, .. } = object;
        let scope = BudgetScope { provider, model, feature };
        Ok(BudgetTerms { resource, window, cap, overrun, alert_percent, scope, soft })
    }
}
