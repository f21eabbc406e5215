//! The loop: ask, run the tools that the model wants, tell it the results, ask again.

mod run;

use crate::tools::Toolbox;
use std::sync::Arc;
use tollgate_types::{
    GenerateRequest, Message, Part, Provider, Result, Role, Sampling, ToolCall, ToolChoice,
    ToolResult,
};

pub use run::{AgentRun, ToolRun};

const INSTRUCTIONS: &str =
    "You answer questions. Use the tools for arithmetic and for converting units.";

/// A model, its tools and the limits of its work.
pub struct Agent {
    provider: Arc<dyn Provider>,
    model: String,
    toolbox: Toolbox,
    /// How freely the model may choose tools in the first round. After a forced one
    /// ([`ToolChoice::Required`]) it has to answer; with [`ToolChoice::Auto`] it decides each time.
    pub first_choice: ToolChoice,
    /// The most times the model is asked; in the last round it may call no tool.
    pub max_rounds: u32,
    /// The most tokens of one round.
    pub max_output: u32,
}

impl Agent {
    /// An agent over any provider.
    pub fn new(provider: Arc<dyn Provider>, model: impl Into<String>) -> Self {
        Self {
            provider,
            model: model.into(),
            toolbox: Toolbox,
            first_choice: ToolChoice::Required,
            max_rounds: 4,
            max_output: 128,
        }
    }

    /// Works on a question until the model answers it in words.
    ///
    /// # Errors
    /// Whatever the provider says. A tool that fails is no error: the model is told and goes on.
    pub async fn run(&self, question: &str) -> Result<AgentRun> {
        let mut request = self.request(question);
        let mut run = AgentRun::default();
        loop {
            run.rounds += 1;
            request.tool_choice = Some(self.choice(run.rounds));
            let response = self.provider.generate(request.clone()).await?;
            run.account(&response);

            let calls: Vec<ToolCall> = response.tool_calls().cloned().collect();
            if calls.is_empty() || run.rounds >= self.max_rounds {
                run.text = response.text();
                return Ok(run);
            }
            request.messages.push(response.into_message());
            for call in calls {
                let result = self.toolbox.run(&call);
                request.messages.push(told(&call, &result.result));
                run.tool_calls.push(result);
            }
        }
    }

    fn request(&self, question: &str) -> GenerateRequest {
        let messages = vec![Message::system(INSTRUCTIONS), Message::user(question)];
        let sampling = Sampling {
            temperature: Some(0.0),
            max_output_tokens: Some(self.max_output),
            ..Sampling::default()
        };
        GenerateRequest::new(&self.model, messages).tools(self.toolbox.tools()).sampling(sampling)
    }

    fn choice(&self, round: u32) -> ToolChoice {
        match &self.first_choice {
            _ if round >= self.max_rounds => ToolChoice::None,
            ToolChoice::Required if round > 1 => ToolChoice::None,
            choice => choice.clone(),
        }
    }
}

/// The turn that tells the model what became of its call.
pub(crate) fn told(call: &ToolCall, outcome: &Result<String, String>) -> Message {
    let (text, is_error) = match outcome {
        Ok(text) => (text, false),
        Err(reason) => (reason, true),
    };
    let result = ToolResult {
        call_id: call.id.clone(),
        name: Some(call.name.clone()),
        content: vec![Part::text(text)],
        is_error,
        ..ToolResult::default()
    };
    Message::new(Role::Tool, vec![Part::ToolResult(result)])
}
