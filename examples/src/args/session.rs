//! What can be typed after `session_local` and `session_remote`.

use super::DEMO;
use crate::{Session, Toolbox};
use clap::Parser;
use std::{
    error::Error,
    io::{Write, stdin, stdout},
    sync::Arc,
};
use tollgate_types::Provider;

/// Asks a model line by line, and forgets the oldest lines when they do not fit any more
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  session_local
  printf 'My name is Ada.\\nWhat is my name?\\n' | session_remote --model openai/gpt-4o-mini
  session_remote --tools --context 4096")]
pub struct SessionArgs {
    /// Model to ask
    #[arg(long, default_value = DEMO)]
    pub model: String,

    /// What the model is told first, and never forgets
    #[arg(long, default_value = "You are a helpful assistant. Answer in one sentence.")]
    pub instructions: String,

    /// Tokens of prompt and answer together; by default what the provider says of the model
    #[arg(long)]
    pub context: Option<u64>,

    /// The most tokens of one answer
    #[arg(long, default_value_t = 128)]
    pub max_output: u32,

    /// Offer a calculator and a unit converter
    #[arg(long)]
    pub tools: bool,
}

impl SessionArgs {
    /// The conversation that these arguments describe, over any provider.
    ///
    /// # Errors
    /// When the provider cannot be asked about its models.
    pub async fn session(&self, provider: Arc<dyn Provider>) -> tollgate_types::Result<Session> {
        let mut session = Session::new(provider, &self.model, &self.instructions);
        session.max_output = self.max_output;
        session.toolbox = self.tools.then_some(Toolbox);
        match self.context {
            Some(context) => session.context = context,
            None => session.learn_context().await?,
        }
        Ok(session)
    }

    /// Answers every line of the input, and says what it all cost.
    ///
    /// # Errors
    /// Whatever the provider says, or when the input cannot be read.
    pub async fn converse(&self, provider: Arc<dyn Provider>) -> Result<String, Box<dyn Error>> {
        let mut session = self.session(provider).await?;
        // Nothing else goes on while a line is waited for.
        for line in stdin().lines() {
            let line = line?;
            if !line.trim().is_empty() {
                let answer = session.ask(&line).await?;
                write!(stdout(), "{answer}")?;
                stdout().flush()?;
            }
        }
        Ok(session.bill().to_string())
    }
}
