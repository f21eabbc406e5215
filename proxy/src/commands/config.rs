//! `tollgate config` and `tollgate prices`.

use super::{Failure, books_name, output};
use crate::{
    access::{Pattern, Target},
    config::{Config, PriceEntry},
    prices::PriceList,
    registry::{Book, Registry},
};
use clap::Subcommand;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read the configuration as the server would, and say what it holds.
    #[command(after_help = "Example:
  tollgate --config /etc/tollgate.toml config check")]
    Check(output::Format),
}

#[derive(Debug, Subcommand)]
pub(super) enum Prices {
    /// List the prices in force, US dollars per million tokens; the first that fits a model counts.
    ///
    /// The configuration's prices come first, then the list prices of the vendors at whose own
    /// addresses providers are, each with the day on which it was read and its source.
    #[command(after_help = "Example:
  tollgate prices list --json")]
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn check(command: &ConfigCommand, config: &Config) -> Result<(), Failure> {
    let ConfigCommand::Check(format) = command;
    // What the file cannot know is wrong on its own: amounts are read again as the server would.
    PriceList::new(&config.prices).map_err(|error| Failure::new(error.to_string()))?;
    Registry::of(config).check().map_err(|error| Failure::new(error.to_string()))?;
    let aliases: usize = config.models.iter().map(|entry| entry.names().count()).sum();
    let providers = config.providers.len();
    let (prices, listen, url) = (config.prices.len(), &config.server.listen, books_name(config)?);
    format.tell(
        &format!(
            "the configuration is right: {providers} providers, {aliases} aliases, {prices} prices; listening on {listen}, books in {url}"
        ),
        &json!({"providers": providers, "aliases": aliases, "prices": prices,
                "listen": listen, "store": url}),
    )
}

pub(super) fn prices(command: &Prices, config: &Config) -> Result<(), Failure> {
    let Prices::List { json } = command;
    let prices = in_force(config)?;
    if *json {
        return output::json(&prices);
    }
    let header = ["model", "input", "cached input", "output", "per request", "as of", "source"];
    let rows = prices.iter().flat_map(rows).collect();
    output::table(header, rows, "no prices are known: add [[prices]] to the configuration")
}

/// The configuration's prices, then the list prices of every model that they leave out.
fn in_force(config: &Config) -> Result<Vec<PriceEntry>, Failure> {
    let own = PriceList::new(&config.prices).map_err(|error| Failure::new(error.to_string()))?;
    let registry = Registry::of(config);
    registry.check().map_err(|error| Failure::new(error.to_string()))?;
    let listed = listed(config, &registry).into_iter();
    let listed = listed.filter(|(target, _)| own.text_of(target).is_none());
    let listed = listed.map(|(target, price)| PriceEntry { model: target.to_string(), ..price });
    Ok(config.prices.iter().cloned().chain(listed).collect())
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

/// A price as a row, and one more for its long prompts.
fn rows(price: &PriceEntry) -> Vec<[String; 7]> {
    let or_input = price.cache_read.as_ref().unwrap_or(&price.input);
    let fee = price.per_request.as_deref().unwrap_or("0");
    let (day, source) = (price.as_of.as_deref(), price.source.as_deref());
    let (day, source) = (day.unwrap_or("-"), source.unwrap_or("the configuration"));
    let own = [price.model.as_str(), &price.input, or_input, &price.output, fee, day, source];
    let long = price.long_context.as_ref().map(|long| {
        let name = format!("  prompts above {} tokens", long.above);
        let cached = long.cache_read.as_ref().unwrap_or(&long.input);
        [name.as_str(), &long.input, cached, &long.output, fee, day, ""].map(str::to_owned)
    });
    std::iter::once(own.map(str::to_owned)).chain(long).collect()
}
