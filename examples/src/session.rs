//! A conversation that is kept within what its model can read.

mod history;

use crate::{Bill, ToolRun, Toolbox, agent::told};
use history::History;
use std::{fmt, sync::Arc};
use tollgate_types::{
    ErrorKind, GenerateRequest, Message, Provider, Result, Sampling, ToolCall, ToolChoice,
};

/// How often the model may call tools before it has to answer.
const MAX_ROUNDS: u32 = 4;

/// A conversation with one model. Its oldest exchanges are forgotten when they do not fit any more;
/// its instructions never are.
pub struct Session {
    provider: Arc<dyn Provider>,
    model: String,
    history: History,
    /// The most tokens of prompt and answer together.
    pub context: u64,
    /// The most tokens of one answer.
    pub max_output: u32,
    /// The tools that the model may call.
    pub toolbox: Option<Toolbox>,
    bill: Bill,
}

/// What became of one question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The model's words.
    pub text: String,
    /// The tools that were run on the way.
    pub tool_calls: Vec<ToolRun>,
    /// How many exchanges were forgotten to make room.
    pub forgotten: usize,
}

impl Session {
    /// A conversation under these instructions.
    pub fn new(
        provider: Arc<dyn Provider>,
        model: impl Into<String>,
        instructions: impl Into<String>,
    ) -> Self {
        Self {
            provider,
            model: model.into(),
            history: History::new(Message::system(instructions)),
            context: 8192,
            max_output: 256,
            toolbox: None,
            bill: Bill::default(),
        }
    }

    /// Takes the context window from the provider's list of models, where it has one that says so.
    ///
    /// # Errors
    /// Whatever the provider says, other than that it has no list.
    pub async fn learn_context(&mut self) -> Result<()> {
        let models = match self.provider.models().await {
            Ok(models) => models,
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
            Err(error) => return Err(error),
        };
        let mine = models
            .into_iter()
            .find(|model| model.id == self.model || model.aliases.contains(&self.model));
        if let Some(window) = mine.and_then(|model| model.context_window) {
            self.context = window.into();
        }
        Ok(())
    }

    /// Asks the next question. After an error the conversation stands as it stood before it.
    ///
    /// # Errors
    /// Whatever the provider says; `context_length` when the question alone does not fit.
    pub async fn ask(&mut self, question: &str) -> Result<Answer> {
        let before = self.history.clone();
        self.history.begin(Message::user(question));
        let asked = self.converse().await;
        if asked.is_err() {
            self.history = before;
        }
        asked
    }

    async fn converse(&mut self) -> Result<Answer> {
        let mut answer = Answer::default();
        for round in 1..=MAX_ROUNDS {
            answer.forgotten += self.fit().await?;
            let mut request = self.request();
            if round == MAX_ROUNDS && !request.tools.is_empty() {
                request.tool_choice = Some(ToolChoice::None);
            }
            let response = self.provider.generate(request).await?;
            self.bill.account(&response);
            answer.text = response.text();
            let calls: Vec<ToolCall> = response.tool_calls().cloned().collect();
            self.history.push(response.into_message());
            if calls.is_empty() || round == MAX_ROUNDS {
                break;
            }
            for call in &calls {
                let result = Toolbox.run(call);
                self.history.push(told(call, &result.result));
                answer.tool_calls.push(result);
            }
        }
        Ok(answer)
    }

    /// Forgets the oldest exchanges until prompt and answer fit; says how many.
    async fn fit(&mut self) -> Result<usize> {
        let room = self.context.saturating_sub(self.max_output.into());
        let mut forgotten = 0;
        while self.prompt_tokens().await? > room && self.history.forget_oldest() {
            forgotten += 1;
        }
        Ok(forgotten)
    }

    /// Exact where the provider can count, else a guess that is rather too high.
    async fn prompt_tokens(&self) -> Result<u64> {
        let request = self.request();
        let guess = history::guess(&request);
        // Most turns are far from the end, and need no counting.
        if guess.saturating_mul(2) < self.context {
            return Ok(guess);
        }
        match self.provider.count_tokens(request).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(guess),
            counted => counted,
        }
    }

    fn request(&self) -> GenerateRequest {
        let tools = self.toolbox.as_ref().map(Toolbox::tools).unwrap_or_default();
        let sampling = Sampling {
            temperature: Some(0.0),
            max_output_tokens: Some(self.max_output),
            ..Sampling::default()
        };
        GenerateRequest::new(&self.model, self.history.messages()).tools(tools).sampling(sampling)
    }

    /// The conversation as the model sees it.
    pub fn messages(&self) -> Vec<Message> {
        self.history.messages()
    }

    /// What the conversation has cost so far.
    pub fn bill(&self) -> &Bill {
        &self.bill
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for call in &self.tool_calls {
            let said = call.result.as_ref().unwrap_or_else(|reason| reason);
            writeln!(f, "tool    {} -> {said}", call.name)?;
        }
        if self.forgotten > 0 {
            writeln!(f, "forgot  {} earlier exchanges", self.forgotten)?;
        }
        writeln!(f, "answer  {}", self.text.trim())
    }
}
