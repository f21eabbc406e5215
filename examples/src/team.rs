//! A team: a lead that hands out tasks to two members through tools, and each member pays from a
//! budget of its own.

mod member;

use crate::{Bill, Employer, agent::told};
use member::Member;
use std::fmt;
use tollgate_types::{GenerateRequest, Message, Result, Sampling, SubBudget, ToolCall, ToolChoice};

const LEAD: &str = "You lead a researcher and a writer. Give each of them a task with the tools, \
                    then answer with what they found.";
const MEMBERS: [(&str, &str); 2] = [
    ("researcher", "You find facts. Answer in one short sentence."),
    ("writer", "You write plainly. Answer in one short sentence."),
];

/// A lead and its members.
pub struct Team {
    lead: Member,
    members: Vec<Member>,
    /// The most times the lead is asked; in the last round it may hand out nothing.
    pub max_rounds: u32,
}

/// A task that was handed out.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Who got it.
    pub member: String,
    /// What was to be done.
    pub task: String,
    /// What came of it, or why nothing did.
    pub result: Result<String, String>,
}

/// A finished run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TeamRun {
    /// The lead's answer.
    pub text: String,
    /// The tasks, in order.
    pub tasks: Vec<Task>,
    /// What the lead's own calls cost.
    pub lead: Bill,
    /// What each member's calls cost, by name.
    pub members: Vec<(String, Bill)>,
}

impl Team {
    /// A team over one model, each member with a budget of its own.
    ///
    /// # Errors
    /// When a key cannot be delegated.
    pub async fn hire(employer: &Employer, model: &str, budget: SubBudget) -> Result<Self> {
        let mut members = Vec::new();
        for (name, role) in MEMBERS {
            let mut member = Member::new(employer.provider(), model, name, role);
            member.options = employer.employ(name, budget).await?;
            members.push(member);
        }
        let lead = Member::new(employer.provider(), model, "lead", LEAD);
        Ok(Self { lead, members, max_rounds: 3 })
    }

    /// The model of the lead, where it is another than the members'.
    #[must_use]
    pub fn led_by(mut self, model: impl Into<String>) -> Self {
        self.lead.model = model.into();
        self
    }

    /// Works on a question until the lead answers it.
    ///
    /// # Errors
    /// Whatever the provider tells the lead. A member that fails is no error: the lead is told, and
    /// goes on.
    pub async fn run(&mut self, question: &str) -> Result<TeamRun> {
        let mut run = TeamRun::default();
        let mut request = self.request(question);
        for round in 1..=self.max_rounds {
            request.tool_choice = Some(match round {
                1 if self.max_rounds > 1 => ToolChoice::Required,
                _ => ToolChoice::None,
            });
            let response = self.lead.ask(request.clone()).await?;
            run.text = response.text();
            let calls: Vec<ToolCall> = response.tool_calls().cloned().collect();
            if calls.is_empty() || round == self.max_rounds {
                break;
            }
            request.messages.push(response.into_message());
            for call in &calls {
                let task = self.hand_out(call).await;
                request.messages.push(told(call, &task.result));
                run.tasks.push(task);
            }
        }
        run.lead = self.lead.bill.clone();
        run.members = self.members.iter().map(|m| (m.name.clone(), m.bill.clone())).collect();
        Ok(run)
    }

    async fn hand_out(&mut self, call: &ToolCall) -> Task {
        let task = match call.parse() {
            Ok(arguments) => {
                arguments.get("task").and_then(|task| task.as_str()).map(str::to_owned)
            }
            Err(_) => None,
        };
        let name = call.name.strip_prefix("ask_").unwrap_or(&call.name).to_owned();
        let member = self.members.iter_mut().find(|member| member.name == name);
        let result = match (&task, member) {
            (Some(task), Some(member)) => member.work(task).await.map_err(|e| e.to_string()),
            (None, _) => Err("the argument task must be text".to_owned()),
            (_, None) => Err(format!("there is no member {name:?}")),
        };
        Task { member: name, task: task.unwrap_or_default(), result }
    }

    fn request(&self, question: &str) -> GenerateRequest {
        let messages = vec![Message::system(&self.lead.role), Message::user(question)];
        let tools = self.members.iter().map(Member::tool).collect();
        let sampling = Sampling {
            temperature: Some(0.0),
            max_output_tokens: Some(128),
            ..Sampling::default()
        };
        GenerateRequest::new(&self.lead.model, messages).tools(tools).sampling(sampling)
    }
}

impl fmt::Display for TeamRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Task { member, task, result } in &self.tasks {
            let said = result.as_ref().unwrap_or_else(|reason| reason);
            writeln!(f, "{member}: {task} -> {}", said.trim())?;
        }
        writeln!(f, "answer  {}", self.text.trim())?;
        for (name, bill) in &self.members {
            write!(f, "-- {name}\n{bill}")?;
        }
        write!(f, "-- lead\n{}", self.lead)
    }
}
