//! Runs the mock upstream until it is killed: `mock-upstream --port 8099`.

use clap::Parser;
use std::io::{self, Write};
use tollgate_bench::{Mock, MockOptions};

const MORE: &str = "\
It speaks, on one port:
  OpenAI     /v1/chat/completions /v1/responses /v1/embeddings /v1/models
  Anthropic  /v1/messages /v1/messages/count_tokens, and /v1/models for those who send the header
             anthropic-version
  Google     /v1beta/models/{model}:generateContent :streamGenerateContent :countTokens
             :embedContent :batchEmbedContents, /v1beta/models; the same under /v1
  Ollama     /api/chat /api/generate /api/embed /api/pull /api/tags /api/show /api/ps /api/version

It echoes the last user message, unless words tell it otherwise: in the header x-mock, in
[[mock ...]] within the message, or in the model's name after mock-:
  tokens=N think=N hidden tool tools=N fill preface=N once noids what it says
  length refusal safety blocked                                  why it ends
  error=K stall=K reset=K cut=K malformed=K nodone               how a stream breaks, after K chunks
  status=N code=X message=X_Y retry_after=S limits                failures and rate limits
  usage=absent|negative|absurd cached=N cache_write=N searches=N what it says it used
  delay=MS headers_delay=MS news html sse                        the rest

Examples:
  mock-upstream --port 8099
  curl localhost:8099/v1/chat/completions -d '{\"model\": \"mock-tokens=5\", \"stream\": true}'
  curl localhost:8099/v1/messages -H 'x-mock: think=3 delay=200' \\
    -d '{\"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}'
  curl 'localhost:8099/v1beta/models/mock-status=429,retry_after=7:generateContent' -d '{}'
  curl localhost:8099/api/generate -d '{\"model\": \"mock-error=2\", \"prompt\": \"one two three\"}'";

/// A mock of OpenAI, Anthropic, Google and Ollama that does what requests tell it to.
#[derive(Parser)]
#[command(name = "mock-upstream", version, after_help = MORE)]
struct Arguments {
    /// The port on 127.0.0.1; 0 means a free one. The address is printed.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Refuse every request without this key, each vendor in its own way.
    #[arg(long, value_name = "KEY")]
    require_key: Option<String>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let Arguments { port, require_key } = Arguments::parse();
    // Nobody can ask this program what it has seen.
    let mock = Mock::with(MockOptions { port, require_key, remember: 0 }).await?;
    writeln!(io::stdout(), "{}", mock.base_url())?;
    mock.forever().await;
    Ok(())
}
