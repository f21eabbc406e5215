//! `tollgate config`.

use super::{Failure, output};
use crate::{
    config::{Config, masked_url},
    prices::PriceList,
    registry::Registry,
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

pub(super) fn check(command: &ConfigCommand, config: &Config) -> Result<(), Failure> {
    let ConfigCommand::Check(format) = command;
    // What the file cannot know is wrong on its own: amounts are read again as the server would.
    PriceList::new(&config.prices).map_err(|error| Failure::new(error.to_string()))?;
    Registry::of(config).check().map_err(|error| Failure::new(error.to_string()))?;
    let aliases: usize = config.models.iter().map(|entry| entry.names().count()).sum();
    let providers = config.providers.len();
    let (prices, listen) = (config.prices.len(), &config.server.listen);
    let url = masked_url(&config.store.url);
    format.tell(
        &format!(
            "the configuration is right: {providers} providers, {aliases} aliases, {prices} prices; listening on {listen}, books in {url}"
        ),
        &json!({"providers": providers, "aliases": aliases, "prices": prices,
                "listen": listen, "store": url}),
    )
}
