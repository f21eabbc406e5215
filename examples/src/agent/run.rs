//! What an agent did, what it used and what that cost.

use crate::bill::amount;
use serde_json::Value;
use std::fmt;
use tollgate_types::{BudgetStatus, GenerateResponse, NanoUsd, Usage};

/// One finished run. Runs of the same question over different providers can be compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentRun {
    /// The answer.
    pub text: String,
    /// The tools that were run, in order.
    pub tool_calls: Vec<ToolRun>,
    /// How often the model was asked.
    pub rounds: u32,
    /// Tokens of all rounds.
    pub usage: Usage,
    /// What Tollgate charged for all rounds; absent without a price, or without Tollgate.
    pub cost: Option<NanoUsd>,
    /// The budgets after the last round; empty without Tollgate.
    pub budgets: Vec<BudgetStatus>,
}

/// One call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRun {
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them.
    pub arguments: String,
    /// What the tool answered, or why it could not.
    pub result: Result<String, String>,
}

impl AgentRun {
    /// Takes one round into the sums.
    pub(super) fn account(&mut self, response: &GenerateResponse) {
        self.usage.add(&response.usage);
        let Some(receipt) = &response.receipt else { return };
        if let Some(cost) = receipt.cost {
            self.cost = Some(self.cost.unwrap_or_default().saturating_add(cost));
        }
        self.budgets.clone_from(&receipt.budgets);
    }
}

impl fmt::Display for AgentRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for call in &self.tool_calls {
            let (arrow, text) = match &call.result {
                Ok(text) => ("->", text),
                Err(reason) => ("-> error:", reason),
            };
            let arguments = one_line(&call.arguments);
            writeln!(f, "tool    {} {arguments} {arrow} {text}", call.name)?;
        }
        writeln!(f, "answer  {}", self.text.trim())?;
        let Usage { input, output, .. } = &self.usage;
        writeln!(f, "tokens  {input} in, {output} out, in {} rounds", self.rounds)?;
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

/// JSON without line breaks; text that is none stays as it is.
fn one_line(arguments: &str) -> String {
    serde_json::from_str::<Value>(arguments)
        .map_or_else(|_| arguments.into(), |json| json.to_string())
}
