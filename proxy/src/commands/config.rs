//! `tollgate config` and `tollgate prices`.

use super::{Failure, output};
use crate::{config::Config, prices::PriceList};
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
    let (providers, aliases) = (config.providers.len(), config.models.len());
    let (prices, listen, url) = (config.prices.len(), &config.server.listen, &config.store.url);
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
