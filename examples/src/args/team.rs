//! What can be typed after `team_local` and `team_remote`.

use super::DEMO;
use crate::{Employer, Team};
use clap::Parser;
use tollgate_types::{Result, SubBudget};

/// Sets a lead and two members to work, each member with a key and a budget of its own
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  team_local 'Why is the sky blue?'
  team_remote --budget cost=0.05usd/day --model openai/gpt-4o-mini 'Why is the sky blue?'")]
pub struct TeamArgs {
    /// What to ask
    #[arg(default_value = "Why is the sky blue?")]
    pub question: String,

    /// Model of the members
    #[arg(long, default_value = DEMO)]
    pub model: String,

    /// Model of the lead; by default the members'
    #[arg(long)]
    pub lead: Option<String>,

    /// Budget of each member, where the provider is a Tollgate server
    #[arg(long, default_value = "tokens=20000/day")]
    pub budget: SubBudget,
}

impl TeamArgs {
    /// The team that these arguments describe.
    ///
    /// # Errors
    /// When a key cannot be delegated.
    pub async fn team(&self, employer: &Employer) -> Result<Team> {
        let team = Team::hire(employer, &self.model, self.budget).await?;
        Ok(match &self.lead {
            Some(model) => team.led_by(model),
            None => team,
        })
    }
}
