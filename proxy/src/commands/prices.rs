//! `tollgate prices`.

mod set;
mod shown;

use super::{
    Failure,
    behalf::{Once, office},
    output,
};
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    ledger::report,
    prices::{
        PriceList, changes,
        recompute::{RecomputeBy, Recomputed, recompute},
    },
    registry::Registry,
    store::Store,
};
use clap::{Args, Subcommand, ValueEnum};
use tollgate_types::NanoUsd;

#[derive(Debug, Subcommand)]
pub(super) enum Prices {
    /// List the prices in force, US dollars per million tokens; the first that fits a model counts.
    ///
    /// The prices that were set come first, then the configuration's, then the list prices of the
    /// vendors at whose own addresses providers are, each with its day and its source.
    #[command(after_help = "Examples:
  tollgate prices list --json
  tollgate prices list --model 'openai/*' --at 2026-12-01")]
    List {
        /// Only for this model, or for names that fit a pattern.
        #[arg(long)]
        model: Option<String>,
        /// As they are in force then: 2026-12-01, 2026-12-01T08:00:00Z.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Set the price of a model, from now on or from a moment to come.
    Set(Box<set::Set>),
    /// Set the prices of a file: all of them, or none when one is wrong.
    Import(set::Import),
    /// Take back the prices that are set for a name: the configuration's or the list's count again.
    #[command(after_help = "Example:
  tollgate prices remove openai/gpt-4o-mini")]
    Remove {
        /// The name, as it was set.
        model: String,
        #[command(flatten)]
        once: Once,
        #[command(flatten)]
        format: output::Format,
    },
    /// Show every price that was ever set, for a name or for all.
    #[command(after_help = "Example:
  tollgate prices history openai/gpt-4o-mini")]
    History {
        /// The name, as it was set.
        model: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what past requests would cost at the prices in force now. Nothing is changed.
    #[command(after_help = "Example:
  tollgate prices recompute --dry-run --since 30d --group-by user")]
    Recompute(Recompute),
}

#[derive(Debug, Args)]
pub(super) struct Recompute {
    /// Needed: what was used keeps the price that it was made with.
    #[arg(long)]
    dry_run: bool,
    /// From then on: 24h, 7d, 2026-01-31 or 2026-01-31T08:00:00Z.
    #[arg(long)]
    since: Option<String>,
    /// Up to, not including; as --since.
    #[arg(long)]
    until: Option<String>,
    /// At the prices in force then, not now; as --since.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Sum by this.
    #[arg(long, value_enum, default_value = "model")]
    group_by: By,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    User,
    Key,
    Provider,
    Model,
    Day,
}

pub(super) async fn run(command: Prices, config: &Config, store: &Store) -> Result<(), Failure> {
    match command {
        Prices::List { model, at, json } => {
            let at_ms = moment(at.as_deref())?.unwrap_or_else(|| SystemClock.now_ms());
            let (registry, list) = list_at(config, store, at_ms).await?;
            let prices = shown::in_force(config, &registry, &list, model.as_deref());
            if json { output::json(&prices) } else { shown::table(&prices) }
        }
        Prices::Set(order) => set::set(*order, store).await,
        Prices::Import(order) => set::import(order, store).await,
        Prices::Remove { model, once, format } => {
            let removed = office(store).remove_prices(&once.mandate()?, &model).await?;
            let ended = removed.ended;
            let told = match ended {
                1 => format!("the price of {model} is taken back; what was used keeps it"),
                _ => format!("{ended} prices of {model} are taken back; what was used keeps them"),
            };
            format.tell(&told, &removed)
        }
        Prices::History { model, json } => history(store, model.as_deref(), json).await,
        Prices::Recompute(order) => again(order, config, store).await,
    }
}

fn moment(text: Option<&str>) -> Result<Option<i64>, Failure> {
    Ok(text.map(|text| report::moment(text, SystemClock.now_ms())).transpose()?)
}

async fn list_at(
    config: &Config,
    store: &Store,
    at_ms: i64,
) -> Result<(Registry, PriceList), Failure> {
    let registry = Registry::of(config);
    registry.check().map_err(|error| Failure::new(error.to_string()))?;
    let base = PriceList::new(&config.prices).map_err(|error| Failure::new(error.to_string()))?;
    let base = base.or_listed(registry.clone());
    Ok((registry, changes::list_at(store, &base, at_ms).await?))
}

async fn history(store: &Store, model: Option<&str>, json: bool) -> Result<(), Failure> {
    let versions = changes::history(store, &SystemClock, model).await?;
    if json {
        return output::json(&versions);
    }
    let header = ["model", "from", "input $/M", "output $/M", "state", "price"];
    let rows = versions.iter().map(|version| {
        let amount = |of: fn(&crate::config::PriceEntry) -> &String| {
            version
                .price
                .as_ref()
                .map_or_else(|| "unreadable".to_owned(), |price| of(price).clone())
        };
        [
            version.model.clone(),
            output::moment(version.effective_ms),
            amount(|price| &price.input),
            amount(|price| &price.output),
            version.state.as_str().replace('_', " "),
            version.version.clone(),
        ]
    });
    output::table(header, rows.collect(), "no price was ever set here")
}

async fn again(order: Recompute, config: &Config, store: &Store) -> Result<(), Failure> {
    if !order.dry_run {
        return Err(Failure::new(
            "what was used keeps the price that it was made with, so nothing is priced again: add --dry-run to see what it would cost now",
        ));
    }
    let since = moment(order.since.as_deref())?.unwrap_or(i64::MIN);
    let until = moment(order.until.as_deref())?.unwrap_or(i64::MAX);
    let at_ms = moment(order.at.as_deref())?.unwrap_or_else(|| SystemClock.now_ms());
    let (_, list) = list_at(config, store, at_ms).await?;
    let by = match order.group_by {
        By::User => RecomputeBy::User,
        By::Key => RecomputeBy::Key,
        By::Provider => RecomputeBy::Provider,
        By::Model => RecomputeBy::Model,
        By::Day => RecomputeBy::Day,
    };
    let groups = recompute(store, &list, since..until, by).await?;
    if order.json {
        return output::json(&groups);
    }
    table(order.group_by, groups)
}

fn table(by: By, groups: Vec<Recomputed>) -> Result<(), Failure> {
    let by = by.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let header = [by.as_str(), "requests", "old cost", "new cost", "difference", "without a price"];
    let total = groups.iter().fold(Recomputed::default(), |mut total, group| {
        total.group = "total".to_owned();
        total.requests += group.requests;
        total.old_nano_usd = total.old_nano_usd.saturating_add(group.old_nano_usd);
        total.new_nano_usd = total.new_nano_usd.saturating_add(group.new_nano_usd);
        total.unpriced_before += group.unpriced_before;
        total.unpriced_now += group.unpriced_now;
        total
    });
    let more = Some(total).filter(|total| total.requests > 0);
    let rows = groups.into_iter().chain(more).map(|group| {
        let signed = |amount: NanoUsd| {
            if amount.0 > 0 { format!("+{amount}") } else { amount.to_string() }
        };
        let unpriced = format!("{} before, {} now", group.unpriced_before, group.unpriced_now);
        [
            group.group.clone(),
            group.requests.to_string(),
            group.old_nano_usd.to_string(),
            group.new_nano_usd.to_string(),
            signed(group.difference()),
            unpriced,
        ]
    });
    output::table(header, rows.collect(), "nothing was used then")
}
