//! The prices in force as a list: the operator's own, then those of the vendors.

use crate::{
    access::{Pattern, Target},
    commands::{Failure, output},
    config::{Config, PriceEntry},
    prices::PriceList,
    registry::{Book, Registry},
};
use serde::Serialize;

/// A price and which one it is.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    /// As entries name it.
    pub version: String,
    #[serde(flatten)]
    pub price: PriceEntry,
}

/// The operator's prices, then the list prices of every model that they leave out; of those only
/// the ones for a name or a pattern.
pub(super) fn in_force(
    config: &Config,
    registry: &Registry,
    list: &PriceList,
    wanted: Option<&str>,
) -> Vec<Shown> {
    let own = list
        .own_prices()
        .map(|(version, price)| Shown { version: version.to_owned(), price: price.clone() });
    let is_own = |target: &Target| list.of(target).is_some_and(|r| !r.version.starts_with("list:"));
    let listed = listed(config, registry).into_iter().filter(|(target, _)| !is_own(target));
    let listed = listed.map(|(target, price)| Shown {
        version: list.of(&target).map(|rates| rates.version.clone()).unwrap_or_default(),
        price: PriceEntry { model: target.to_string(), ..price },
    });
    let fits = |shown: &Shown| {
        let of = |pattern: &str, name: &str| Pattern(pattern.to_owned()).matches(name);
        let model = shown.price.model.as_str();
        wanted.is_none_or(|wanted| of(wanted, model) || of(model, wanted))
    };
    own.chain(listed).filter(fits).collect()
}

/// The list price of every model that a provider offers for it: by its vendor's word, or because
/// the operator says that it is like one.
fn listed(config: &Config, registry: &Registry) -> Vec<(Target, PriceEntry)> {
    let mut targets = Vec::new();
    for provider in &config.providers {
        let vendor = registry.vendor(&provider.name);
        let models = Book::built_in().models().iter().filter(|model| Some(model.vendor) == vendor);
        let ids = models.map(|model| model.id.clone());
        let alike = config.models.iter().filter(|entry| entry.like.is_some());
        let alike = alike.filter_map(|entry| entry.name.split_once('/'));
        let alike = alike.filter(|(name, _)| *name == provider.name);
        let alike = alike.map(|(_, model)| model.to_owned());
        let reachable = |model: &String| {
            provider.models.iter().any(|pattern| Pattern(pattern.clone()).matches(model))
        };
        let models = alike.chain(ids).filter(reachable);
        targets.extend(models.map(|model| Target { provider: provider.name.clone(), model }));
    }
    let price = |target: Target| {
        let price = registry.list_price(&target.provider, &target.model)?.clone();
        Some((target, price))
    };
    targets.into_iter().filter_map(price).collect()
}

/// Prints prices as a table.
pub(super) fn table(prices: &[Shown]) -> Result<(), Failure> {
    let header = ["model", "input $/M", "cached $/M", "output $/M", "fees", "price", "source"];
    let rows = prices.iter().flat_map(rows).collect();
    output::table(header, rows, "no prices are known: `tollgate prices set` sets one")
}

/// A price as a row, and one more for its long prompts.
fn rows(shown: &Shown) -> Vec<[String; 7]> {
    let Shown { version, price } = shown;
    let or_input = price.cache_read.as_ref().unwrap_or(&price.input);
    let source = price.source.clone().unwrap_or_else(|| "the operator".to_owned());
    let own = [
        price.model.clone(),
        price.input.clone(),
        or_input.clone(),
        price.output.clone(),
        fees(price),
        version.clone(),
        source,
    ];
    let long = price.long_context.as_ref().map(|long| {
        let name = format!("  prompts above {} tokens", long.above);
        let cached = long.cache_read.as_ref().unwrap_or(&long.input);
        let nothing = String::new;
        let amounts = (long.input.clone(), cached.clone(), long.output.clone());
        [name, amounts.0, amounts.1, amounts.2, nothing(), nothing(), nothing()]
    });
    std::iter::once(own).chain(long).collect()
}

/// What a price asks besides tokens: by the request, by the thousand calls, by the second.
fn fees(price: &PriceEntry) -> String {
    let request = price.per_request.iter().map(|fee| format!("{fee}/request"));
    let second = price.gpu_second.iter().map(|fee| format!("{fee}/s"));
    let tools = price.tools.iter().map(|(tool, fee)| format!("{tool} {fee}/1000"));
    let all: Vec<_> = request.chain(second).chain(tools).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}
