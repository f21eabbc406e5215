//! `tollgate budgets update` and `raise`.

use crate::{
    admin::{self, Amount, BudgetPatch, BudgetView, Office, Overrun, RaiseOrder},
    commands::{Failure, behalf::Once, output},
};
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate budgets update 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --cap 10usd
  tollgate budgets update 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --overrun refuse --alert 80
  tollgate budgets update 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --alert none")]
pub(in crate::commands) struct Update {
    /// Id of the budget.
    id: String,
    /// The new cap: 10usd, 100000.
    #[arg(long)]
    cap: Option<String>,
    /// When it cannot pay for the whole answer: clamp shortens it, refuse refuses the call.
    #[arg(long, alias = "on-exhausted", value_parser = |text: &str| text.parse::<Overrun>())]
    overrun: Option<Overrun>,
    /// From now on it limits nothing, and somebody is told when it is passed.
    #[arg(long, conflicts_with = "hard")]
    soft: bool,
    /// From now on it limits.
    #[arg(long)]
    hard: bool,
    /// Tell somebody when so many percent are spent; none for nobody.
    #[arg(long, value_name = "PERCENT")]
    alert: Option<String>,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

pub(super) async fn update(order: Update, office: &Office) -> Result<(), Failure> {
    let mandate = order.once.mandate()?;
    let alert = order.alert.as_deref().map(|text| match text {
        "none" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            Failure::new(format!("{text:?} is no percentage, write it like 80, or none"))
        }),
    });
    let patch = BudgetPatch {
        cap: order.cap.map(Amount::Text),
        overrun: order.overrun,
        soft: (order.soft || order.hard).then_some(order.soft),
        alert_percent: alert.transpose()?,
    };
    let budget = office.update_budget(&mandate, &order.id, patch).await?;
    let sentence = format!("the cap of {} is {} now", budget.id, shown(&budget, budget.cap)?);
    order.format.tell(&sentence, &budget)
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate budgets raise 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --by 5usd --until 2h
  tollgate budgets raise 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --by 100000 --until 2027-01-31T00:00:00Z
  tollgate budgets raise 01KAJ0V3M8Z4X5Q7R9T1W2Y3B6 --end")]
pub(in crate::commands) struct Raise {
    /// Id of the budget.
    id: String,
    /// Added to the cap: 5usd, 100000. It takes the place of a raise before it.
    #[arg(long, required_unless_present = "end", requires = "until")]
    by: Option<String>,
    /// Until when: 2h, 1d or 2027-01-31T00:00:00Z.
    #[arg(long, requires = "by")]
    until: Option<String>,
    /// End the raise now; what was spent of it stays spent.
    #[arg(long, conflicts_with_all = ["by", "until"])]
    end: bool,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    format: output::Format,
}

pub(super) async fn raise(order: Raise, office: &Office) -> Result<(), Failure> {
    let mandate = order.once.mandate()?;
    let raise = match (order.by, order.until) {
        (Some(by), Some(until)) => Some(RaiseOrder { by: Amount::Text(by), until }),
        _ => None,
    };
    let budget = office.raise_budget(&mandate, &order.id, raise).await?;
    let cap = shown(&budget, budget.cap.saturating_add(budget.raise_amount))?;
    let sentence = match budget.raise_amount {
        0 => format!("the cap of {} is {cap} again", budget.id),
        _ => {
            let until = output::moment(budget.raise_until_ms);
            format!("the cap of {} is {cap} until {until}", budget.id)
        }
    };
    order.format.tell(&sentence, &budget)
}

fn shown(budget: &BudgetView, amount: i64) -> Result<String, Failure> {
    Ok(admin::shown(budget.resource.parse().map_err(Failure::new)?, amount))
}
