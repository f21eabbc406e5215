//! One member of a team.

use crate::Bill;
use serde_json::json;
use std::sync::Arc;
use tollgate_types::{
    CallOptions, GenerateRequest, GenerateResponse, Message, Provider, Result, Sampling, Tool,
};

/// A model with a role, a way to pay, and a bill.
pub(super) struct Member {
    provider: Arc<dyn Provider>,
    pub(super) model: String,
    pub(super) name: String,
    pub(super) role: String,
    /// With the member's own key, where it has one.
    pub(super) options: CallOptions,
    pub(super) bill: Bill,
}

impl Member {
    pub(super) fn new(provider: Arc<dyn Provider>, model: &str, name: &str, role: &str) -> Self {
        Self {
            provider,
            model: model.to_owned(),
            name: name.to_owned(),
            role: role.to_owned(),
            options: CallOptions::default(),
            bill: Bill::default(),
        }
    }

    /// The member as the lead sees it.
    pub(super) fn tool(&self) -> Tool {
        let task = json!({"type": "string", "description": "what to do"});
        let arguments = json!({"type": "object", "properties": {"task": task},
            "required": ["task"], "additionalProperties": false});
        let description = format!("Gives the {} a task and returns the answer.", self.name);
        Tool::function(format!("ask_{}", self.name), description, arguments)
    }

    /// Does a task.
    pub(super) async fn work(&mut self, task: &str) -> Result<String> {
        let messages = vec![Message::system(&self.role), Message::user(task)];
        let sampling =
            Sampling { temperature: Some(0.0), max_output_tokens: Some(64), ..Sampling::default() };
        let request = GenerateRequest::new(&self.model, messages).sampling(sampling);
        Ok(self.ask(request).await?.text())
    }

    /// Asks the member's model and pays for it.
    pub(super) async fn ask(&mut self, request: GenerateRequest) -> Result<GenerateResponse> {
        let request = request.options(self.options.clone());
        let response = self.provider.generate(request).await?;
        self.bill.account(&response);
        Ok(response)
    }
}
