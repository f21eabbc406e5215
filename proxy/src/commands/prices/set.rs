//! `tollgate prices set` and `tollgate prices import`.

use crate::{
    admin::SetPrices,
    clock::{Clock, SystemClock},
    commands::{
        Failure,
        behalf::{Once, office},
        output,
    },
    config::{PriceEntry, read_prices},
    ledger::report,
    prices::changes::PriceVersion,
    store::Store,
};
use clap::Args;
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate prices set openai/gpt-4o-mini --input 0.15 --cache-read 0.075 --output 0.60
  tollgate prices set 'openai/gpt-5*' --input 1.25 --output 10 --tool web_search=10 --from 2027-01-01
  tollgate prices set local/qwen3 --gpu-second 0.0006")]
pub(in crate::commands) struct Set {
    /// provider/model; a * at the end stands for any rest.
    model: String,
    /// Uncached prompt tokens, dollars per million.
    #[arg(long, value_name = "USD", required_unless_present = "gpu_second")]
    input: Option<String>,
    /// Visible output tokens, dollars per million.
    #[arg(long, value_name = "USD", required_unless_present = "gpu_second")]
    output: Option<String>,
    /// Prompt tokens read from a cache; as --input unless given.
    #[arg(long, value_name = "USD")]
    cache_read: Option<String>,
    /// Prompt tokens written to a five-minute cache; as --input unless given.
    #[arg(long, value_name = "USD")]
    cache_write_5m: Option<String>,
    /// Prompt tokens written to a one-hour cache; as --input unless given.
    #[arg(long, value_name = "USD")]
    cache_write_1h: Option<String>,
    /// Audio prompt tokens; as --input unless given.
    #[arg(long, value_name = "USD")]
    audio_in: Option<String>,
    /// Image prompt tokens; as --input unless given.
    #[arg(long, value_name = "USD")]
    image_in: Option<String>,
    /// Reasoning tokens; as --output unless given.
    #[arg(long, value_name = "USD")]
    reasoning: Option<String>,
    /// Audio output tokens; as --output unless given.
    #[arg(long, value_name = "USD")]
    audio_out: Option<String>,
    /// Every request, dollars.
    #[arg(long, value_name = "USD")]
    per_request: Option<String>,
    /// A tool that the provider runs, dollars per thousand calls: web_search=10.
    #[arg(long = "tool", value_name = "NAME=USD", value_parser = tool)]
    tools: Vec<(String, String)>,
    /// Every second that the model works, dollars.
    #[arg(long, value_name = "USD")]
    gpu_second: Option<String>,
    /// How many seconds it may work on a request where a budget counts; 600 unless given.
    #[arg(long, value_name = "SECONDS", requires = "gpu_second")]
    max_seconds: Option<u32>,
    /// Where the price is from, for lists.
    #[arg(long)]
    source: Option<String>,
    #[command(flatten)]
    when: When,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  tollgate prices import prices.toml

The file has [[prices]] as the configuration has them. All of them count, or none.")]
pub(in crate::commands) struct Import {
    /// TOML file with [[prices]].
    file: PathBuf,
    #[command(flatten)]
    when: When,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

#[derive(Debug, Args)]
struct When {
    /// Begin then, not now: 2027-01-31, 2027-01-31T08:00:00Z, or 7d from now.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
}

impl When {
    fn begin_ms(&self) -> Result<Option<i64>, Failure> {
        let Some(text) = &self.from else { return Ok(None) };
        let now_ms = SystemClock.now_ms();
        if let Some(span) = report::span_ms(text) {
            return Ok(Some(now_ms.saturating_add(span)));
        }
        Ok(Some(report::moment(text, now_ms)?))
    }
}

fn tool(text: &str) -> Result<(String, String), String> {
    let (name, fee) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is no fee of a tool, write it like web_search=10"))?;
    Ok((name.to_owned(), fee.to_owned()))
}

pub(super) async fn set(order: Set, store: &Store) -> Result<(), Failure> {
    let nothing = || "0".to_owned();
    let tools: BTreeMap<_, _> = order.tools.iter().cloned().collect();
    if tools.len() < order.tools.len() {
        return Err(Failure::new("a tool is named twice"));
    }
    let entry = PriceEntry {
        model: order.model,
        input: order.input.unwrap_or_else(nothing),
        output: order.output.unwrap_or_else(nothing),
        cache_read: order.cache_read,
        cache_write_5m: order.cache_write_5m,
        cache_write_1h: order.cache_write_1h,
        audio_in: order.audio_in,
        image_in: order.image_in,
        reasoning: order.reasoning,
        audio_out: order.audio_out,
        per_request: order.per_request,
        tools,
        gpu_second: order.gpu_second,
        max_seconds: order.max_seconds,
        source: order.source,
        ..PriceEntry::default()
    };
    put(vec![entry], (&order.when, &order.once, &order.format), store).await
}

pub(super) async fn import(order: Import, store: &Store) -> Result<(), Failure> {
    let text = std::fs::read_to_string(&order.file)
        .map_err(|error| Failure::new(format!("{}: {error}", order.file.display())))?;
    let entries = read_prices(&order.file, &text)?;
    put(entries, (&order.when, &order.once, &order.format), store).await
}

async fn put(
    prices: Vec<PriceEntry>,
    (when, once, format): (&When, &Once, &output::Format),
    store: &Store,
) -> Result<(), Failure> {
    let order = SetPrices { prices, from_ms: when.begin_ms()? };
    tell(&office(store).set_prices(&once.mandate()?, &order).await?, format)
}

fn tell(set: &[PriceVersion], format: &output::Format) -> Result<(), Failure> {
    if format.is_json() {
        return output::json(&set);
    }
    set.iter().try_for_each(|version| {
        let from = output::moment(version.effective_ms);
        output::line(&format!("{} counts from {from}: {}", version.model, version.version))
    })
}
