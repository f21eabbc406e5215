//! `tollgate config` and `tollgate prices`.

use super::{Failure, output};
use crate::{config::Config, prices::PriceList};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read the configuration as the server would, and say what it holds.
    Check,
}

#[derive(Debug, Subcommand)]
pub(super) enum Prices {
    /// List the prices in force, US dollars per million tokens; the first that fits a model counts.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn check(config: &Config) -> Result<(), Failure> {
    // What the file cannot know is wrong on its own: amounts are read again as the server would.
    PriceList::new(&config.prices).map_err(|error| Failure::new(error.to_string()))?;
    output::line(&format!(
        "the configuration is right: {} providers, {} aliases, {} prices; listening on {}, books in {}",
        config.providers.len(),
        config.models.len(),
        config.prices.len(),
        config.server.listen,
        config.store.url,
    ))
}

pub(super) fn prices(command: &Prices, config: &Config) -> Result<(), Failure> {
    let Prices::List { json } = command;
    if *json {
        return output::json(&config.prices);
    }
    let rows = config
        .prices
        .iter()
        .map(|price| {
            let or_input = price.cache_read.as_ref().unwrap_or(&price.input);
            let fee = price.per_request.as_deref().unwrap_or("0");
            [price.model.as_str(), &price.input, or_input, &price.output, fee].map(str::to_owned)
        })
        .collect();
    let header = ["model", "input", "cached input", "output", "per request"];
    output::table(header, rows, "no prices are set: add [[prices]] to the configuration")
}
