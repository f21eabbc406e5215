//! `tollgate limits`.

use super::{
    Failure,
    behalf::{Once, office},
    output,
};
use crate::{
    access::{LONGEST_QUEUE, MOST_REQUESTS, MOST_TOKENS},
    admin::{LimitOrder, LimitPatch, LimitView, Office},
    store::Store,
};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Limits {
    /// Limit how fast, and how many calls at once: of a key, a user, a team, an organisation or a model.
    Create(Create),
    /// List limits.
    #[command(after_help = "Example:
  tollgate limits list --json")]
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a limit; what is not named stays. A changed rate starts afresh.
    Update(Update),
    /// Delete a limit: within a second it no longer limits anything.
    #[command(after_help = "Example:
  tollgate limits delete 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6")]
    Delete {
        /// Id of the limit.
        id: String,
        #[command(flatten)]
        once: Once,
        #[command(flatten)]
        format: output::Format,
    },
}

/// Whose calls are counted together.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// All keys of this user together.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// All users of this team together.
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Everybody in this organisation together.
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// This key, and those delegated from it.
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Everybody's calls to these models, as provider/model; a * at the end stands for any rest.
    #[arg(long, value_name = "PATTERN")]
    model: Option<String>,
}

/// What is allowed.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Allowance {
    /// Requests: 60/minute; none for no limit. A minute's worth may come at once.
    #[arg(long, value_name = "RATE", value_parser = |text: &str| rate(text, u64::from(MOST_REQUESTS)))]
    requests: Option<Number>,
    /// Tokens in and out: 100000/minute; none for no limit.
    #[arg(long, value_name = "RATE", value_parser = |text: &str| rate(text, MOST_TOKENS))]
    tokens: Option<Number>,
    /// Calls that run at once: 4; none for no limit.
    #[arg(long, value_name = "NUMBER", value_parser = concurrent)]
    concurrent: Option<Number>,
    /// How long a call may wait for its turn instead of being refused: 500ms, 2s, 1m; 0s: not at all.
    #[arg(long, value_name = "TIME", value_parser = queue_ms)]
    queue: Option<u64>,
}

impl Allowance {
    fn patch(&self) -> LimitPatch {
        let number = |typed: &Option<Number>| typed.as_ref().map(|Number(number)| *number);
        LimitPatch {
            requests_per_minute: number(&self.requests),
            tokens_per_minute: number(&self.tokens),
            concurrent: number(&self.concurrent),
            queue_ms: self.queue,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate limits create --user alice --requests 60/minute --tokens 100000/minute
  tollgate limits create --model 'local/*' --concurrent 4 --queue 10s")]
pub(super) struct Create {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    allowance: Allowance,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  tollgate limits update 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --requests 120/minute --tokens none")]
pub(super) struct Update {
    /// Id of the limit.
    id: String,
    #[command(flatten)]
    allowance: Allowance,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

pub(super) async fn run(command: Limits, store: &Store) -> Result<(), Failure> {
    let office = office(store);
    match command {
        Limits::Create(order) => create(order, &office).await,
        Limits::List { json } => list(json, &office).await,
        Limits::Update(Update { id, allowance, once, format }) => {
            let limit = office.update_limit(&once.mandate()?, &id, allowance.patch()).await?;
            let [_, _, owner, allowed @ ..] = columns(&limit);
            let sentence = format!("{owner} is limited to {} now", allowed.join(", "));
            format.tell(&sentence, &limit)
        }
        Limits::Delete { id, once, format } => {
            let changed = office.delete_limit(&once.mandate()?, &id).await?.changed;
            let sentence = match changed {
                true => format!("deleted {id}"),
                false => format!("{id} was deleted before"),
            };
            format.tell(&sentence, &json!({"deleted": id, "changed": changed}))
        }
    }
}

async fn create(order: Create, office: &Office) -> Result<(), Failure> {
    let Create { of: Of { user, team, organisation, key, model }, allowance, once, format } = order;
    let LimitPatch { requests_per_minute, tokens_per_minute, concurrent, queue_ms } =
        allowance.patch();
    let order = LimitOrder {
        user,
        team,
        organisation,
        key,
        model,
        requests_per_minute: requests_per_minute.flatten(),
        tokens_per_minute: tokens_per_minute.flatten(),
        concurrent: concurrent.flatten(),
        queue_ms: queue_ms.unwrap_or_default(),
    };
    let limit = office.create_limit(&once.mandate()?, order).await?;
    format.tell(&format!("created the limit {}", limit.id), &limit)
}

async fn list(json: bool, office: &Office) -> Result<(), Failure> {
    let limits = office.limits().await?;
    if json {
        return output::json(&limits);
    }
    let header = ["id", "of", "owner", "requests", "tokens", "at once", "queue"];
    let empty = "no limits yet: tollgate limits create --user NAME --requests 60/minute";
    output::table(header, limits.iter().map(columns).collect(), empty)
}

fn columns(limit: &LimitView) -> [String; 7] {
    let rate = |number: Option<i64>, what: &str| {
        number.map_or_else(|| format!("any {what}"), |n| format!("{n} {what}/minute"))
    };
    [
        limit.id.clone(),
        limit.owner_kind.clone(),
        limit.owner.clone(),
        rate(limit.requests_per_minute, "requests"),
        rate(limit.tokens_per_minute, "tokens"),
        limit.concurrent.map_or_else(|| "any calls".to_owned(), |n| format!("{n} calls at once")),
        match limit.queue_ms {
            0 => "no queue".to_owned(),
            ms if ms % 1000 == 0 => format!("{} s queue", ms / 1000),
            ms => format!("{ms} ms queue"),
        },
    ]
}

/// A number, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number(Option<u64>);

fn whole(text: &str, most: u64) -> Option<u64> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| digits.parse().ok()).flatten().filter(|number| *number <= most)
}

/// `N/minute` or `none`.
fn rate(text: &str, most: u64) -> Result<Number, String> {
    if text == "none" {
        return Ok(Number(None));
    }
    let number = text.strip_suffix("/minute").and_then(|number| whole(number, most));
    let number = number.ok_or_else(|| {
        format!("{text:?} is no rate, write it like 60/minute, at most {most}/minute, or none")
    })?;
    Ok(Number(Some(number)))
}

/// `N` or `none`.
fn concurrent(text: &str) -> Result<Number, String> {
    if text == "none" {
        return Ok(Number(None));
    }
    let number = whole(text, u64::from(u32::MAX));
    let number = number.ok_or_else(|| format!("{text:?} is no number of calls, nor none"))?;
    Ok(Number(Some(number)))
}

/// `500ms`, `2s` or `1m`.
fn queue_ms(text: &str) -> Result<u64, String> {
    let longest = u64::try_from(LONGEST_QUEUE.as_millis()).unwrap_or(u64::MAX);
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)];
    let span = units.into_iter().find_map(|(unit, ms)| {
        whole(text.strip_suffix(unit)?, longest)?.checked_mul(ms).filter(|ms| *ms <= longest)
    });
    span.ok_or_else(|| {
        format!("{text:?} is no time to wait, write it like 500ms, 2s or 1m, at most 5m")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_they_are_written() {
        assert_eq!(rate("60/minute", 100), Ok(Number(Some(60))));
        assert_eq!(rate("1_00/minute", 100), Ok(Number(Some(100))));
        assert_eq!(rate("none", 100), Ok(Number(None)));
        assert_eq!(concurrent("0"), Ok(Number(Some(0))));
        for (text, ms) in [("500ms", 500), ("2s", 2000), ("5m", 300_000), ("0s", 0)] {
            assert_eq!(queue_ms(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn negative_huge_and_fractional_limits_are_refused() {
        for wrong in ["", "60", "-1/minute", "1.5/minute", "101/minute", "1/hour", "/minute"] {
            assert!(rate(wrong, 100).is_err(), "{wrong}");
        }
        assert!(rate("99999999999999999999/minute", u64::MAX).is_err());
        for wrong in ["", "-1", "1.5", "4294967296", "many"] {
            assert!(concurrent(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "5", "-1s", "1.5s", "6m", "99999999999999999999ms", "1h"] {
            assert!(queue_ms(wrong).is_err(), "{wrong}");
        }
    }
}
