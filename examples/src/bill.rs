//! What several calls used and cost, and what is left of the budgets.

use std::fmt;
use tollgate_types::{BudgetStatus, GenerateResponse, NanoUsd, Receipt, Resource, Usage};

/// The sum of several calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bill {
    /// Tokens of all calls.
    pub usage: Usage,
    /// What Tollgate charged for them; absent without a price, or without Tollgate.
    pub cost: Option<NanoUsd>,
    /// The budgets after the last call; empty without Tollgate.
    pub budgets: Vec<BudgetStatus>,
}

impl Bill {
    /// Takes a call into the sums.
    pub fn account(&mut self, response: &GenerateResponse) {
        self.add(&response.usage, response.receipt.as_ref());
    }

    /// Takes in what a call used, and its receipt where there is one.
    pub fn add(&mut self, usage: &Usage, receipt: Option<&Receipt>) {
        self.usage.add(usage);
        let Some(receipt) = receipt else { return };
        if let Some(cost) = receipt.cost {
            self.cost = Some(self.cost.unwrap_or_default().saturating_add(cost));
        }
        self.budgets.clone_from(&receipt.budgets);
    }

    /// Takes another bill into this one; whose budgets are whose, the other knows.
    pub fn join(&mut self, other: &Self) {
        self.usage.add(&other.usage);
        if let Some(cost) = other.cost {
            self.cost = Some(self.cost.unwrap_or_default().saturating_add(cost));
        }
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (input, output) = (self.usage.total_input(), self.usage.total_output());
        writeln!(f, "tokens  {input} in, {output} out")?;
        if let Some(cost) = self.cost {
            writeln!(f, "cost    {cost}")?;
        }
        for budget in &self.budgets {
            let (left, cap) = (amount(budget, budget.remaining()), amount(budget, budget.cap));
            writeln!(f, "budget  {left} of {cap} left ({}, {})", budget.owner, budget.window)?;
        }
        Ok(())
    }
}

/// An amount of what a budget counts, for people.
pub(crate) fn amount(budget: &BudgetStatus, amount: i64) -> String {
    match budget.resource {
        Resource::Cost => NanoUsd(amount).to_string(),
        resource => format!("{amount} {resource}"),
    }
}
