//! `tollgate budgets create`.

use crate::{
    admin::{BudgetOrder, BudgetTerms, Office, Overrun},
    commands::{Failure, behalf::Once, output},
};
use clap::{ArgGroup, Args};
use tollgate_types::Feature;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("owner").required(true)), after_help = "Examples:
  tollgate budgets create --user alice cost=5usd/month
  tollgate budgets create --team red cost=100usd/month --model 'openai/*' --alert 80
  tollgate budgets create --organisation acme cost=1000usd/month --soft
  tollgate budgets create --default requests=1000/day
  tollgate budgets create --default --for-team red cost=10usd/month --overrun refuse")]
pub(in crate::commands) struct Create {
    /// cost=5usd/month, tokens=100000/day, requests=10/minute.
    #[arg(value_parser = |text: &str| text.parse::<BudgetTerms>())]
    budget: BudgetTerms,
    /// The organisation whose teams share it, by name or id.
    #[arg(long, group = "owner")]
    organisation: Option<String>,
    /// The team whose users share it, by name or id.
    #[arg(long, group = "owner")]
    team: Option<String>,
    /// The user whose keys share it, by name or id.
    #[arg(long, group = "owner")]
    user: Option<String>,
    /// Id of the key that it limits.
    #[arg(long, group = "owner")]
    key: Option<String>,
    /// Every user that is made from now on gets a copy.
    #[arg(long, group = "owner")]
    default: bool,
    /// Only users that are made in this team get the copy, by name or id.
    #[arg(long, requires = "default", value_name = "TEAM")]
    for_team: Option<String>,
    /// Only calls to this provider count; a * at the end stands for any rest.
    #[arg(long)]
    provider: Option<String>,
    /// Only calls to this model count, as provider/model; a * at the end stands for any rest.
    #[arg(long, value_name = "PATTERN")]
    model: Option<String>,
    /// Only calls that use this feature count: chat, stream, tools, embeddings.
    #[arg(long, value_parser = |text: &str| text.parse::<Feature>())]
    feature: Option<Feature>,
    /// It limits nothing: somebody is told when it is passed.
    #[arg(long)]
    soft: bool,
    /// When it cannot pay for the whole answer: clamp shortens it, refuse refuses the call.
    #[arg(long, alias = "on-exhausted", default_value = "clamp",
          value_parser = |text: &str| text.parse::<Overrun>())]
    overrun: Overrun,
    /// Tell somebody when so many percent are spent; a soft budget tells at 100 unless told
    /// otherwise.
    #[arg(long, value_name = "PERCENT")]
    alert: Option<u32>,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

pub(super) async fn create(order: Create, office: &Office) -> Result<(), Failure> {
    let mandate = order.once.mandate()?;
    let new = BudgetOrder {
        user: order.user,
        key: order.key,
        team: order.team,
        organisation: order.organisation,
        default: order.default,
        for_team: order.for_team,
        resource: order.budget.resource,
        window: order.budget.window,
        cap: order.budget.cap,
        overrun: order.overrun,
        alert_percent: order.alert,
        provider: order.provider,
        model: order.model,
        feature: order.feature,
        soft: order.soft,
    };
    let made = office.create_budget(&mandate, new).await?;
    order.format.tell(&format!("created the budget {}", made.id), &made)
}
