//! `toll budgets`.

use crate::{args::BudgetsArgs, failure::Result, output, show};
use tollgate_client::RemoteProvider;
use tollgate_types::{BudgetStatus, wire::BudgetList};

pub(crate) async fn run(remote: RemoteProvider, args: BudgetsArgs) -> Result<()> {
    let budgets = remote.budgets().await?;
    if args.json {
        return output::json(&BudgetList { budgets });
    }
    if budgets.is_empty() {
        return output::text("no budget limits this key\n");
    }
    let names = ["owner", "counts", "per", "cap", "spent", "held", "left", "resets"];
    output::text(&output::table(names, budgets.iter().map(row).collect()))
}

fn row(budget: &BudgetStatus) -> [String; 8] {
    let unit = |n| show::amount(budget.resource, n);
    [
        budget.owner.clone(),
        show::counts(budget),
        budget.window.to_string(),
        unit(budget.cap),
        unit(budget.spent),
        unit(budget.held),
        unit(budget.remaining()),
        show::reset(budget.resets_at_ms),
    ]
}
