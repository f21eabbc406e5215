//! A chat in the terminal: answers as they come, what they cost, and a way to stop them.

mod keys;
mod page;
mod answering;
mod terminal;

use crate::Bill;
use answering::Answering;
use crossterm::event::Event;
use futures_util::{Stream, StreamExt};
use keys::Action;
use page::{Page, Speaker};
use std::{
    io::{self, Write},
    sync::Arc,
};
use tollgate_types::{
    BudgetStatus, FinishReason, GenerateRequest, Message, Provider, Result, Sampling, StreamEvent,
};

pub use terminal::Terminal;

/// A chat over any provider.
pub struct Chat {
    provider: Arc<dyn Provider>,
    models: Vec<String>,
    model: String,
    /// What the model is told first.
    pub instructions: Option<String>,
    /// The most tokens of one answer.
    pub max_output: u32,
    messages: Vec<Message>,
    answering: Option<Answering>,
    page: Page,
    bill: Bill,
}

impl Chat {
    /// A chat with a model, and others to switch to.
    pub fn new(provider: Arc<dyn Provider>, model: impl Into<String>, models: Vec<String>) -> Self {
        Self {
            provider,
            models,
            model: model.into(),
            instructions: None,
            max_output: 512,
            messages: Vec::new(),
            answering: None,
            page: Page::default(),
            bill: Bill::default(),
        }
    }

    /// What the chat has cost so far.
    pub fn bill(&self) -> &Bill {
        &self.bill
    }

    /// Chats until the person leaves or the keys end.
    ///
    /// # Errors
    /// When the terminal cannot be read or written.
    pub async fn run(
        &mut self,
        keys: impl Stream<Item = io::Result<Event>>,
        screen: &mut impl Write,
        mut size: (u16, u16),
    ) -> io::Result<()> {
        let mut keys = std::pin::pin!(keys);
        loop {
            self.draw(screen, size)?;
            tokio::select! {
                key = keys.next() => match key.transpose()? {
                    None => return Ok(()),
                    Some(Event::Resize(width, height)) => size = (width, height),
                    Some(event) => {
                        if let Some(Action::Leave) = self.act(&event) {
                            return Ok(());
                        }
                    }
                },
                event = answering::next(&mut self.answering) => self.hear(event),
            }
        }
    }

    fn draw(&mut self, screen: &mut impl Write, size: (u16, u16)) -> io::Result<()> {
        self.page.status = self.status();
        self.page.draw(screen, size)
    }

    fn status(&self) -> String {
        let tokens = (self.bill.usage.total_input(), self.bill.usage.total_output());
        let mut status = format!("{}  {} in {} out", self.model, tokens.0, tokens.1);
        if let Some(cost) = self.bill.cost {
            status.push_str(&format!("  {cost}"));
        }
        // The one that ends first.
        let left = |budget: &&BudgetStatus| {
            budget.remaining().saturating_mul(1000).checked_div(budget.cap)
        };
        if let Some(budget) = self.bill.budgets.iter().min_by_key(left) {
            let left = crate::bill::amount(budget, budget.remaining());
            status.push_str(&format!("  {left} left this {}", budget.window));
        }
        if self.answering.is_some() {
            status.push_str("  answering, Esc stops");
        }
        status
    }

    fn act(&mut self, event: &Event) -> Option<Action> {
        let action = keys::action(event, self.answering.is_some(), self.page.input.is_empty())?;
        match action {
            Action::Leave => return Some(action),
            Action::Send => self.send(),
            Action::Stop => self.stop("stopped"),
            Action::NextModel => self.switch(),
            Action::Clear => self.clear(),
            Action::Edit(edit) => self.page.input.edit(edit),
            Action::Scroll(lines) => self.page.scroll(lines),
        }
        None
    }

    fn send(&mut self) {
        if self.answering.is_some() {
            return;
        }
        let Some(line) = self.page.input.take() else { return };
        self.page.say(Speaker::Person, &line);
        self.page.say(Speaker::Model, "");
        self.messages.push(Message::user(line));
        let told = self.instructions.iter().map(Message::system);
        let messages = told.chain(self.messages.iter().cloned()).collect();
        let sampling = Sampling { max_output_tokens: Some(self.max_output), ..Sampling::default() };
        let request = GenerateRequest::new(&self.model, messages).sampling(sampling);
        self.answering = Some(Answering::begin(self.provider.clone(), request));
    }

    /// Takes in what came of the answer.
    fn hear(&mut self, event: Result<StreamEvent>) {
        let Some(answering) = &mut self.answering else { return };
        match event.and_then(|event| answering.take(event)) {
            Ok(Some(text)) => self.page.go_on(&text),
            Ok(None) if answering.is_finished() => self.finish(),
            Ok(None) => {}
            Err(error) => self.stop(&error.to_string()),
        }
    }

    fn finish(&mut self) {
        let Some(answering) = self.answering.take() else { return };
        match answering.finish() {
            Ok(response) => {
                self.bill.account(&response);
                match response.finish.reason {
                    FinishReason::BudgetExhausted => {
                        self.page.say(Speaker::Program, "cut short: the budget is used up");
                    }
                    FinishReason::Length => {
                        self.page.say(Speaker::Program, "cut short: the answer is too long");
                    }
                    _ => {}
                }
                self.messages.push(response.into_message());
            }
            Err(error) => self.page.say(Speaker::Program, &error.to_string()),
        }
    }

    /// Gives the answer up: what was said stays in the conversation.
    fn stop(&mut self, why: &str) {
        let Some(answering) = self.answering.take() else { return };
        let said = answering.said();
        if said.is_empty() {
            self.messages.pop();
        } else {
            self.messages.push(Message::assistant(said));
        }
        self.page.say(Speaker::Program, why);
    }

    fn switch(&mut self) {
        let at = self.models.iter().position(|model| *model == self.model);
        let next = at.map_or(0, |at| at + 1);
        if let Some(model) = self.models.get(next).or(self.models.first()) {
            self.model.clone_from(model);
        }
    }

    fn clear(&mut self) {
        self.answering = None;
        self.messages.clear();
        self.page.clear();
    }
}
