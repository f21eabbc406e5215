//! `tollgate tokens`.

use super::{
    Failure,
    behalf::{Once, office},
    output::Format,
};
use crate::{admin::TokensAbout, store::Store};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Tokens {
    /// End the keys that sign short-lived tokens; every server makes another one by itself.
    #[command(after_help = "Examples:
  tollgate tokens rotate                tokens that are about work until their own end
  tollgate tokens rotate --end-tokens   they stop within a second, on every server")]
    Rotate {
        /// End the tokens that are about too; clients with a key get new ones by themselves.
        #[arg(long)]
        end_tokens: bool,
        #[command(flatten)]
        once: Once,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn run(command: Tokens, store: &Store) -> Result<(), Failure> {
    let Tokens::Rotate { end_tokens, once, format } = command;
    let about = if end_tokens { TokensAbout::End } else { TokensAbout::Keep };
    let done = office(store).rotate_tokens(&once.mandate()?, about).await?;
    let keys =
        if done.keys == 1 { "1 key signs".to_owned() } else { format!("{} keys sign", done.keys) };
    let tokens = match done.tokens {
        TokensAbout::Keep => "tokens that are about work until their own end",
        TokensAbout::End => "tokens that were about stop within a second",
    };
    format.tell(&format!("{keys} no more; {tokens}"), &serde_json::to_value(done)?)
}
