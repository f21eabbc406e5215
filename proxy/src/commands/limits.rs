//! `tollgate limits`.

use super::{Failure, output};
use crate::{
    access::{LONGEST_QUEUE, MOST_REQUESTS, MOST_TOKENS},
    clock::{Clock, SystemClock},
    ids::new_id,
    store::{LimitRow, Store},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

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
    #[arg(long, value_name = "RATE", value_parser = |text: &str| rate(text, i64::from(MOST_REQUESTS)))]
    requests: Option<Number>,
    /// Tokens in and out: 100000/minute; none for no limit.
    #[arg(long, value_name = "RATE", value_parser = |text: &str| rate(text, most_tokens()))]
    tokens: Option<Number>,
    /// Calls that run at once: 4; none for no limit.
    #[arg(long, value_name = "NUMBER", value_parser = concurrent)]
    concurrent: Option<Number>,
    /// How long a call may wait for its turn instead of being refused: 500ms, 2s, 1m; 0s: not at all.
    #[arg(long, value_name = "TIME", value_parser = queue_ms)]
    queue: Option<i64>,
}

impl Allowance {
    fn change(&self, row: &mut LimitRow) {
        let set = |column: &mut Option<i64>, number: &Option<Number>| {
            if let Some(Number(number)) = number {
                *column = *number;
            }
        };
        set(&mut row.requests_per_minute, &self.requests);
        set(&mut row.tokens_per_minute, &self.tokens);
        set(&mut row.concurrent, &self.concurrent);
        row.queue_ms = self.queue.unwrap_or(row.queue_ms);
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
    format: output::Format,
}

pub(super) async fn run(command: Limits, store: &Store) -> Result<(), Failure> {
    match command {
        Limits::Create(order) => create(order, store).await,
        Limits::List { json } => list(json, store).await,
        Limits::Update(order) => update(order, store).await,
        Limits::Delete { id, format } => {
            if store.delete_limit(&id, SystemClock.now_ms()).await? {
                return format.tell(&format!("deleted {id}"), &json!({"deleted": id}));
            }
            Err(no_limit(&id))
        }
    }
}

async fn create(order: Create, store: &Store) -> Result<(), Failure> {
    let (kind, owner_id) = order.of.owner(store).await?;
    let mut row = LimitRow {
        id: new_id(&SystemClock),
        owner_kind: kind.to_owned(),
        owner_id,
        created_ms: SystemClock.now_ms(),
        ..LimitRow::default()
    };
    order.allowance.change(&mut row);
    limits_something(&row)?;
    store.insert_limit(&row).await?;
    order.format.tell(&format!("created the limit {}", row.id), &shown(&row))
}

async fn update(order: Update, store: &Store) -> Result<(), Failure> {
    let rows = store.limits().await?;
    let row = rows.into_iter().find(|row| row.id == order.id);
    let mut row = row.ok_or_else(|| no_limit(&order.id))?;
    order.allowance.change(&mut row);
    limits_something(&row)?;
    if !store.change_limit(&row).await? {
        return Err(no_limit(&order.id));
    }
    let [_, _, owner, allowed @ ..] = columns(&row);
    let sentence = format!("{owner} is limited to {} now", allowed.join(", "));
    order.format.tell(&sentence, &shown(&row))
}

async fn list(json: bool, store: &Store) -> Result<(), Failure> {
    let rows = store.limits().await?;
    if json {
        return output::json(&rows.iter().map(shown).collect::<Vec<_>>());
    }
    let header = ["id", "of", "owner", "requests", "tokens", "at once", "queue"];
    let empty = "no limits yet: tollgate limits create --user NAME --requests 60/minute";
    output::table(header, rows.iter().map(columns).collect(), empty)
}

impl Of {
    /// Kind and id of the owner.
    async fn owner(self, store: &Store) -> Result<(&'static str, String), Failure> {
        let named = [("user", self.user), ("team", self.team), ("organisation", self.organisation)];
        for (kind, name) in named {
            let Some(name) = name else { continue };
            let owners = store.owners_named(&name).await?;
            let owner = owners.into_iter().find(|owner| owner.kind == kind);
            let unknown = || Failure::new(format!("there is no {kind} {name:?}"));
            return Ok((kind, owner.ok_or_else(unknown)?.id));
        }
        if let Some(id) = self.key {
            let unknown = || Failure::new(format!("no key has the id {id:?}"));
            return Ok(("key", store.account(&id).await?.ok_or_else(unknown)?.key.id));
        }
        match self.model {
            Some(pattern) if pattern.contains('/') || pattern == "*" => Ok(("model", pattern)),
            Some(pattern) => {
                Err(Failure::new(format!("{pattern:?} is no model, write it like 'openai/*'")))
            }
            None => Err(Failure::new("name the owner: --user, --team, --key, --model ...")),
        }
    }
}

fn no_limit(id: &str) -> Failure {
    Failure::new(format!("no limit has the id {id:?}; `tollgate limits list` shows all"))
}

fn limits_something(row: &LimitRow) -> Result<(), Failure> {
    match (row.requests_per_minute, row.tokens_per_minute, row.concurrent) {
        (None, None, None) => Err(Failure::new(
            "this would limit nothing: give --requests, --tokens or --concurrent, or delete it",
        )),
        _ => Ok(()),
    }
}

fn shown(row: &LimitRow) -> Value {
    json!({
        "id": row.id, "owner_kind": row.owner_kind, "owner_id": row.owner_id,
        "requests_per_minute": row.requests_per_minute,
        "tokens_per_minute": row.tokens_per_minute, "concurrent": row.concurrent,
        "queue_ms": row.queue_ms, "created_ms": row.created_ms,
    })
}

fn columns(row: &LimitRow) -> [String; 7] {
    let rate = |number: Option<i64>, what: &str| {
        number.map_or_else(|| format!("any {what}"), |n| format!("{n} {what}/minute"))
    };
    [
        row.id.clone(),
        row.owner_kind.clone(),
        if row.owner_name.is_empty() { row.owner_id.clone() } else { row.owner_name.clone() },
        rate(row.requests_per_minute, "requests"),
        rate(row.tokens_per_minute, "tokens"),
        row.concurrent.map_or_else(|| "any calls".to_owned(), |n| format!("{n} calls at once")),
        format!("{} ms queue", row.queue_ms),
    ]
}

/// A number, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number(Option<i64>);

fn most_tokens() -> i64 {
    i64::try_from(MOST_TOKENS).unwrap_or(i64::MAX)
}

fn whole(text: &str, most: i64) -> Option<i64> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| digits.parse().ok()).flatten().filter(|number| *number <= most)
}

/// `N/minute` or `none`.
fn rate(text: &str, most: i64) -> Result<Number, String> {
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
    let number = whole(text, i64::from(u32::MAX));
    let number = number.ok_or_else(|| format!("{text:?} is no number of calls, nor none"))?;
    Ok(Number(Some(number)))
}

/// `500ms`, `2s` or `1m`.
fn queue_ms(text: &str) -> Result<i64, String> {
    let longest = i64::try_from(LONGEST_QUEUE.as_millis()).unwrap_or(i64::MAX);
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
        assert!(rate("99999999999999999999/minute", i64::MAX).is_err());
        for wrong in ["", "-1", "1.5", "4294967296", "many"] {
            assert!(concurrent(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "5", "-1s", "1.5s", "6m", "99999999999999999999ms", "1h"] {
            assert!(queue_ms(wrong).is_err(), "{wrong}");
        }
    }
}
