//! `toll estimate`.

use crate::{
    args::EstimateArgs,
    chat,
    failure::{Failure, Result},
    output, show,
};
use tollgate_client::RemoteProvider;
use tollgate_types::{BudgetEstimate, Estimate, GenerateRequest, Message, Sampling};

pub(crate) async fn run(remote: RemoteProvider, args: EstimateArgs) -> Result<()> {
    let Some(model) = args.model else { return Err(Failure::Usage(chat::NO_MODEL.to_owned())) };
    let prompt = args.prompt.map_or_else(chat::piped, Ok)?;
    let mut messages: Vec<_> = args.system.map(Message::system).into_iter().collect();
    messages.push(Message::user(prompt));
    let sampling = Sampling { max_output_tokens: args.max_output, ..Sampling::default() };
    let request = GenerateRequest::new(model, messages).sampling(sampling);
    let estimate = remote.estimate(request).await?;
    match args.json {
        true => output::json(&estimate),
        false => output::text(&told(&estimate)),
    }
}

fn told(estimate: &Estimate) -> String {
    let Estimate { max_input_tokens, max_output_tokens, .. } = estimate;
    let rows = vec![
        row(
            "likely",
            estimate.likely_input_tokens,
            estimate.likely_output_tokens,
            estimate.likely_cost,
        ),
        row("at most", *max_input_tokens, *max_output_tokens, estimate.max_cost),
    ];
    let mut text = output::table(["", "tokens in", "tokens out", "cost"], rows);
    text.push_str(&format!("answered by {}\n", estimate.targets.join(" or ")));
    if let Some(limit) = estimate.clamped_to {
        text.push_str(&format!("budgets shorten the answer to {limit} tokens\n"));
    }
    for budget in &estimate.budgets {
        text.push_str(&line(budget));
    }
    text
}

fn row(name: &str, input: u64, output: u64, cost: Option<tollgate_types::NanoUsd>) -> [String; 4] {
    [name.to_owned(), input.to_string(), output.to_string(), show::cost(cost)]
}

fn line(estimate: &BudgetEstimate) -> String {
    let BudgetEstimate { budget, amount, refusal, .. } = estimate;
    match refusal {
        Some(refusal) => format!("would be refused: {refusal}\n"),
        None => {
            let amount = show::amount(budget.resource, *amount);
            format!("sets aside {amount} in: {}\n", show::budget(budget))
        }
    }
}
