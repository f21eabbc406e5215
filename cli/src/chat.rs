//! `toll chat`: one question, or a conversation.

mod answer;

use crate::{
    args::ChatArgs,
    failure::{Failure, Result},
};
use answer::Answer;
use std::io::{IsTerminal, Read, Write, stderr, stdin};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    signal::ctrl_c,
};
use tollgate_client::RemoteProvider;
use tollgate_types::{GenerateRequest, Message, Sampling};

pub(crate) const NO_MODEL: &str =
    "no model: give --model or set TOLLGATE_MODEL (`toll models` lists them)";

pub(crate) async fn run(remote: RemoteProvider, mut args: ChatArgs) -> Result<()> {
    let Some(model) = args.model.take() else {
        return Err(Failure::Usage(NO_MODEL.to_owned()));
    };
    let prompt = match args.prompt.take() {
        None if stdin().is_terminal() => None,
        None => Some(piped()?),
        prompt => prompt,
    };
    let sampling = Sampling {
        max_output_tokens: args.max_output,
        temperature: args.temperature,
        ..Sampling::default()
    };
    let system = args.system.map(Message::system).into_iter().collect();
    let request = GenerateRequest::new(model, system).sampling(sampling);
    let mut chat = Chat { remote, request, json: args.json };
    match prompt {
        Some(prompt) => chat.turn(prompt).await,
        None => chat.converse().await,
    }
}

/// What is piped in.
pub(crate) fn piped() -> Result<String> {
    let mut text = String::new();
    stdin().lock().read_to_string(&mut text)?;
    if text.trim().is_empty() {
        return Err(Failure::Usage("nothing to ask: give a PROMPT or pipe one in".to_owned()));
    }
    Ok(text)
}

struct Chat {
    remote: RemoteProvider,
    /// The conversation so far.
    request: GenerateRequest,
    json: bool,
}

impl Chat {
    /// Asks line by line until the input ends. A turn that fails is told and forgotten.
    async fn converse(&mut self) -> Result<()> {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        loop {
            write!(stderr(), "> ")?;
            let line = tokio::select! {
                line = lines.next_line() => line?,
                _ = ctrl_c() => return Err(Failure::Interrupted),
            };
            let Some(line) = line else { return Ok(writeln!(stderr())?) };
            if line.trim().is_empty() {
                continue;
            }
            match self.turn(line).await {
                Ok(()) => {}
                Err(Failure::Interrupted) => writeln!(stderr(), "\nstopped")?,
                Err(failure @ Failure::Call(_)) => failure.write(&mut stderr())?,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Asks once; the turn joins the conversation when its answer is whole. Ctrl-C drops the call,
    /// which cancels it at the server.
    async fn turn(&mut self, prompt: String) -> Result<()> {
        let mut request = self.request.clone();
        request.messages.push(Message::user(prompt));
        let answer = tokio::select! {
            answer = self.ask(request.clone()) => answer?,
            _ = ctrl_c() => return Err(Failure::Interrupted),
        };
        answer.tell_spending(&mut stderr())?;
        self.request = request;
        self.request.messages.push(answer.into_message());
        Ok(())
    }

    async fn ask(&self, request: GenerateRequest) -> Result<Answer> {
        match self.json {
            true => Answer::whole(&self.remote, request).await,
            false => Answer::streamed(&self.remote, request).await,
        }
    }
}
