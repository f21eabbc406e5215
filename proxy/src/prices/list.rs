//! The prices in force: the operator's own, then the vendors' list prices.

use super::{Rates, stored};
use crate::{
    access::{Pattern, Target},
    config::PriceEntry,
    registry::Registry,
    store::PriceRow,
};
use std::{collections::HashMap, sync::Arc};
use tollgate_types::MoneyParseError;

/// The rates of every priced model at a moment. Of several prices for a model the first of these
/// counts: one that was set in the database, for its very name or else for the longest beginning of
/// it; the first of the configuration that fits; the vendor's list price.
#[derive(Clone, Debug, Default)]
pub struct PriceList {
    set: HashMap<String, Priced>,
    set_groups: Vec<Priced>,
    written: Vec<Priced>,
    registry: Registry,
}

/// A price and what it comes to.
#[derive(Clone, Debug)]
struct Priced {
    pattern: Pattern,
    rates: Arc<Rates>,
    entry: PriceEntry,
}

impl Priced {
    fn read(entry: &PriceEntry, version: String) -> Result<Self, MoneyParseError> {
        let rates = Arc::new(Rates { version, ..Rates::read(entry)? });
        Ok(Self { pattern: Pattern(entry.model.clone()), rates, entry: entry.clone() })
    }
}

impl PriceList {
    /// Reads the configuration's prices; the first entry that fits a model counts.
    ///
    /// # Errors
    /// When an amount is not decimal dollars.
    pub fn new(prices: &[PriceEntry]) -> Result<Self, MoneyParseError> {
        let read = |entry: &PriceEntry| Priced::read(entry, version_of_file(entry));
        let written = prices.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { written, ..Self::default() })
    }

    /// With the list prices of a registry for every model that the operator's prices leave out.
    #[must_use]
    pub fn or_listed(self, registry: Registry) -> Self {
        Self { registry, ..self }
    }

    /// With the prices of the database that are in force at a moment, before all others. One that
    /// cannot be read counts as not there, and is told in the log.
    #[must_use]
    pub(super) fn and_set(&self, rows: &[PriceRow], now_ms: i64) -> Self {
        let mut set = HashMap::new();
        let mut set_groups = Vec::new();
        for row in stored::in_force(rows, now_ms) {
            let priced = stored::entry_of(row).and_then(|entry| {
                Priced::read(&entry, format!("db:{}", row.id)).map_err(Into::into)
            });
            match priced {
                Ok(priced) if row.model.ends_with('*') => set_groups.push(priced),
                Ok(priced) => drop(set.insert(row.model.clone(), priced)),
                Err(error) => {
                    tracing::error!(id = %row.id, model = %row.model, %error, "a price is left out");
                }
            }
        }
        set_groups.sort_by_key(|priced| std::cmp::Reverse(priced.pattern.0.len()));
        Self { set, set_groups, ..self.clone() }
    }

    /// Rates of a model, if it has a price. Tools that the operator's price leaves out cost what
    /// the list says.
    pub fn of(&self, target: &Target) -> Option<Arc<Rates>> {
        let listed = self.listed(target);
        let Some(own) = self.own(target) else {
            let entry = listed?;
            let version = format!("list:{}", entry.as_of.as_deref().unwrap_or("unknown"));
            return Some(Arc::new(Rates { version, ..Rates::read(entry).ok()? }));
        };
        let listed = listed.filter(|entry| !entry.tools.is_empty());
        let Some(listed) = listed.and_then(|entry| Rates::read(entry).ok()) else {
            return Some(Arc::clone(&own.rates));
        };
        let mut tools = listed.tools;
        tools.extend(own.rates.tools.clone());
        Some(Arc::new(Rates { tools, ..own.rates.as_ref().clone() }))
    }

    /// The price of a model, as the operator or the registry wrote it.
    pub fn text_of(&self, target: &Target) -> Option<&PriceEntry> {
        self.own(target).map(|own| &own.entry).or_else(|| self.listed(target))
    }

    /// The operator's prices with their versions: those of the database first.
    pub fn own_prices(&self) -> impl Iterator<Item = (&str, &PriceEntry)> {
        let mut named: Vec<_> = self.set.values().collect();
        named.sort_by(|a, b| a.entry.model.cmp(&b.entry.model));
        let all = named.into_iter().chain(&self.set_groups).chain(&self.written);
        all.map(|priced| (priced.rates.version.as_str(), &priced.entry))
    }

    fn own(&self, target: &Target) -> Option<&Priced> {
        let name = target.to_string();
        let fits = |priced: &&Priced| priced.pattern.matches(&name);
        self.set
            .get(&name)
            .or_else(|| self.set_groups.iter().find(fits))
            .or_else(|| self.written.iter().find(fits))
    }

    fn listed(&self, target: &Target) -> Option<&'static PriceEntry> {
        self.registry.list_price(&target.provider, &target.model)
    }
}

/// A price of a file is known by a hash of what it says, so that the same price keeps its name.
fn version_of_file(entry: &PriceEntry) -> String {
    let said = serde_json::to_vec(entry).unwrap_or_default();
    let hash = blake3::hash(&said).to_hex();
    format!("file:{}", hash.get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    #[test]
    fn the_first_entry_that_fits_counts() {
        let entry = |model: &str, input: &str| PriceEntry {
            model: model.into(),
            input: input.into(),
            output: "1".into(),
            ..PriceEntry::default()
        };
        let list = PriceList::new(&[entry("o/mini", "1"), entry("o/*", "2")]).unwrap();
        let of = |model: &str| {
            list.of(&Target { provider: "o".into(), model: model.into() }).map(|r| r.input)
        };
        assert_eq!((of("mini"), of("large")), (Some(1_000_000_000), Some(2_000_000_000)));
        assert!(list.of(&Target { provider: "p".into(), model: "mini".into() }).is_none());
    }

    #[test]
    fn the_operators_price_comes_before_the_vendors_and_a_stranger_has_none() {
        let config = "[[providers]]\nname = \"openai\"\nkind = \"openai\"\n\
            [[providers]]\nname = \"host\"\nkind = \"openai\"\nbase_url = \"https://h.example\"\n\
            [[prices]]\nmodel = \"openai/gpt-4o\"\ninput = \"7\"\noutput = \"8\"\n";
        let config =
            Config::parse(std::path::Path::new("t.toml"), config, &Environment::default()).unwrap();
        let list = PriceList::new(&config.prices).unwrap().or_listed(Registry::of(&config));
        let input = |provider: &str, model: &str| {
            let target = Target { provider: provider.into(), model: model.into() };
            let text = list.text_of(&target).map(|price| price.input.clone());
            assert_eq!(text.is_some(), list.of(&target).is_some());
            text
        };
        assert_eq!(input("openai", "gpt-4o").as_deref(), Some("7"));
        assert_eq!(input("openai", "gpt-4o-mini").as_deref(), Some("0.15"));
        assert_eq!(input("openai", "gpt-4o-mini-2024-07-18").as_deref(), Some("0.15"));
        assert_eq!(input("openai", "not-known-yet"), None);
        assert_eq!(input("host", "gpt-4o"), None);
    }

    #[test]
    fn every_price_says_which_one_it_is() {
        let config = "[[providers]]\nname = \"openai\"\nkind = \"openai\"\n\
            [[prices]]\nmodel = \"openai/gpt-4o\"\ninput = \"7\"\noutput = \"8\"\n";
        let list = |config: &str| {
            let path = std::path::Path::new("t.toml");
            let config = Config::parse(path, config, &Environment::default()).unwrap();
            PriceList::new(&config.prices).unwrap().or_listed(Registry::of(&config))
        };
        let version = |list: &PriceList, model: &str| {
            let target = Target { provider: "openai".into(), model: model.into() };
            list.of(&target).unwrap().version.clone()
        };
        let first = list(config);
        let file = version(&first, "gpt-4o");
        assert!(file.starts_with("file:") && file.len() == "file:".len() + 8, "{file}");
        assert_eq!(version(&list(&format!("{config}\n")), "gpt-4o"), file, "it says the same");
        assert_ne!(version(&list(&config.replace("\"8\"", "\"9\"")), "gpt-4o"), file);
        let day = version(&first, "gpt-4o-mini");
        assert!(day.strip_prefix("list:").unwrap().parse::<jiff::civil::Date>().is_ok(), "{day}");
    }

    #[test]
    fn tools_that_the_operators_price_leaves_out_cost_what_the_list_says() {
        let config = "[[providers]]\nname = \"openai\"\nkind = \"openai\"\n\
            [[prices]]\nmodel = \"openai/gpt-5\"\ninput = \"7\"\noutput = \"8\"\n\
            tools = { file_search = \"1\" }\n";
        let path = std::path::Path::new("t.toml");
        let config = Config::parse(path, config, &Environment::default()).unwrap();
        let list = PriceList::new(&config.prices).unwrap().or_listed(Registry::of(&config));
        let target = Target { provider: "openai".into(), model: "gpt-5".into() };
        let rates = list.of(&target).unwrap();
        assert_eq!(rates.input, 7_000_000_000);
        assert_eq!(rates.tools["file_search"], 1_000_000_000, "the operator's");
        assert_eq!(rates.tools["web_search"], 10_000_000_000, "the vendor's");
    }
}
