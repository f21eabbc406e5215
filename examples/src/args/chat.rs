//! What can be typed after `chat_local` and `chat_remote`.

use super::DEMO;
use crate::{Chat, Terminal};
use clap::Parser;
use std::{error::Error, sync::Arc};
use tollgate_types::Provider;

/// Chats with a model in the terminal
#[derive(Debug, Parser)]
#[command(after_help = "\
Keys:
  Enter     send                     Up, Down          lines that were sent before
  Esc       stop the answer          PageUp, PageDown  scroll
  Ctrl-C    stop it, else leave      Tab               next model
  Ctrl-L    begin anew               Ctrl-D            leave")]
pub struct ChatArgs {
    /// Model to begin with
    #[arg(long, default_value = DEMO)]
    pub model: String,

    /// What the model is told first
    #[arg(long)]
    pub instructions: Option<String>,

    /// The most tokens of one answer
    #[arg(long, default_value_t = 512)]
    pub max_output: u32,
}

impl ChatArgs {
    /// The chat that these arguments describe, over any provider.
    pub async fn over(&self, provider: Arc<dyn Provider>) -> Chat {
        // A provider without a list has no other models to switch to.
        let known = provider.models().await.unwrap_or_default();
        let models = known.into_iter().map(|model| model.id).collect();
        let mut chat = Chat::new(provider, &self.model, models);
        chat.instructions.clone_from(&self.instructions);
        chat.max_output = self.max_output;
        chat
    }

    /// Chats until the person leaves, and says what it all cost.
    ///
    /// # Errors
    /// When there is no terminal.
    pub async fn chat(&self, provider: Arc<dyn Provider>) -> Result<String, Box<dyn Error>> {
        let mut chat = self.over(provider).await;
        let mut terminal = Terminal::open()?;
        let size = terminal.size()?;
        let keys = terminal.keys();
        chat.run(keys, &mut terminal, size).await?;
        drop(terminal);
        Ok(chat.bill().to_string())
    }
}
