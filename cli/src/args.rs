//! What can be typed after `toll`.

use crate::delegate::Delegate;
use clap::{Args as Arguments, Parser, Subcommand};
use tollgate_client::GroupBy;

/// Asks models and reads usage and budgets, through a Tollgate server.
#[derive(Parser)]
#[command(
    name = "toll",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  export TOLLGATE_URL=https://tollgate.example.com TOLLGATE_API_KEY=tg_...
  toll models
  toll chat --model local/smollm2-135m-instruct 'Why is the sky blue?'
  toll usage --since 7d --group-by model
  toll budgets

TOLLGATE_CA_BUNDLE, TOLLGATE_CLIENT_CERT, TOLLGATE_PROXY and the other variables of docs/client.md count too.

Exit status: 0 done, 1 failed, 2 bad usage, 130 interrupted."
)]
pub(crate) struct Args {
    /// Address of the server
    #[arg(long, global = true, env = "TOLLGATE_URL", default_value = "http://127.0.0.1:8787")]
    pub(crate) url: String,

    /// Key to call it with
    #[arg(long, global = true, env = "TOLLGATE_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Chat(ChatArgs),
    Estimate(EstimateArgs),
    Models(ModelsArgs),
    Usage(UsageArgs),
    Budgets(BudgetsArgs),
    #[command(
        subcommand,
        after_help = "\
Examples:
  toll delegate create --model 'local/*' --budget cost=5usd/day --expires-in 600
  toll delegate list
  toll delegate revoke 01kaj0v3m8z4x5q7r9t1w2y3b6"
    )]
    Delegate(Delegate),
}

/// Asks a model; the answer goes to stdout, its cost to stderr
///
/// Without PROMPT, what is piped in is asked; at a terminal, a conversation begins: one line is one
/// turn, Ctrl-C stops an answer, Ctrl-D leaves.
#[derive(Arguments)]
#[command(after_help = "\
Examples:
  toll chat --model local/smollm2-135m-instruct 'Why is the sky blue?'
  git diff | toll chat --system 'Write a commit message for this change'
  toll chat --json --max-output 20 'Say hello' | jq .usage
  toll chat")]
pub(crate) struct ChatArgs {
    /// What to ask
    pub(crate) prompt: Option<String>,

    /// Model to ask: PROVIDER/MODEL or an alias (see `toll models`)
    #[arg(long, short, env = "TOLLGATE_MODEL")]
    pub(crate) model: Option<String>,

    /// Instructions that stand above the conversation
    #[arg(long)]
    pub(crate) system: Option<String>,

    /// The most tokens of one answer
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_output: Option<u32>,

    /// How freely words are chosen; 0 takes the likeliest each time
    #[arg(long)]
    pub(crate) temperature: Option<f64>,

    /// Print each whole answer as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tells what a question would cost, and whether every budget would pay for it, without asking it
///
/// Without PROMPT, what is piped in is the question. A likely answer is assumed to have 500 tokens, or as
/// many as are allowed.
#[derive(Arguments)]
#[command(after_help = "\
Examples:
  toll estimate --model local/smollm2-135m-instruct 'Why is the sky blue?'
  git diff | toll estimate --max-output 300 --json | jq .max_cost_nano_usd")]
pub(crate) struct EstimateArgs {
    /// What would be asked
    pub(crate) prompt: Option<String>,

    /// Model that would be asked: PROVIDER/MODEL or an alias (see `toll models`)
    #[arg(long, short, env = "TOLLGATE_MODEL")]
    pub(crate) model: Option<String>,

    /// Instructions that would stand above the question
    #[arg(long)]
    pub(crate) system: Option<String>,

    /// The most tokens of the answer
    #[arg(long, value_name = "TOKENS")]
    pub(crate) max_output: Option<u32>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists the models that the key may use
#[derive(Arguments)]
#[command(after_help = "\
Examples:
  toll models
  toll models --json | jq -r '.models[].id'")]
pub(crate) struct ModelsArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Shows requests, tokens and cost
#[derive(Arguments)]
#[command(after_help = "\
Examples:
  toll usage --since 24h
  toll usage --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z --group-by day
  toll usage --model gpt-4o-mini --rows 20
  toll usage --tag project=search --group-by day --time-zone Europe/Berlin
  toll usage --since 30d --group-by user --csv > usage.csv")]
pub(crate) struct UsageArgs {
    /// Only calls since then: RFC 3339, or an age such as 24h or 7d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// Only calls before then: RFC 3339, or an age
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,

    /// Only this user's calls
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// Only calls of users who were in this team at that time
    #[arg(long, value_name = "NAME")]
    pub(crate) team: Option<String>,

    /// Only calls of this key
    #[arg(long, value_name = "ID")]
    pub(crate) key: Option<String>,

    /// With the key's calls, those of the keys that were delegated from it
    #[arg(long, requires = "key")]
    pub(crate) delegated: bool,

    /// Only calls that this provider answered
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,

    /// Only calls that this model answered
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,

    /// Only calls that used this feature: chat, stream, tools, embeddings
    #[arg(long, value_name = "NAME")]
    pub(crate) feature: Option<String>,

    /// Only calls with this tag: name=value, or a name for any value
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,

    /// Zone of dates, hours, days, weeks and months: an IANA name; UTC unless given
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,

    /// What one line stands for: user, team, organisation, key, provider, model, feature, tag, hour, day, week or month
    #[arg(long, value_name = "WHAT")]
    pub(crate) group_by: Option<GroupBy>,

    /// List the newest N calls one by one
    #[arg(long, value_name = "N")]
    pub(crate) rows: Option<u32>,

    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,

    /// Print comma-separated values: the calls if --rows is given, else the groups
    #[arg(long)]
    pub(crate) csv: bool,
}

/// Shows what is left of every budget that the key is charged to
#[derive(Arguments)]
#[command(after_help = "\
Examples:
  toll budgets
  toll budgets --json | jq '.budgets[] | .cap - .spent - .held'")]
pub(crate) struct BudgetsArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed_and_every_command_has_examples() {
        let mut command = Args::command();
        command.build();
        for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("Examples:"), "{}", command.get_name());
        }
        command.debug_assert();
    }
}
