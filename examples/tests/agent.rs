//! The agent's loop over a provider that plays a script, and the promise of the one line.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall fail there, in its helper functions too"
)]

use std::sync::{Arc, Mutex};
use tollgate_examples::{Agent, AgentRun};
use tollgate_types::{
    BoxFuture, BudgetStatus, EventStream, FinishReason, GenerateRequest, GenerateResponse, NanoUsd,
    Origin, Part, Provider, Receipt, Resource, Result, Role, ToolChoice, Usage, Window, events_of,
};

/// Answers with its script and remembers what it was asked.
#[derive(Default)]
struct Scripted {
    answers: Mutex<Vec<Vec<Part>>>,
    asked: Mutex<Vec<GenerateRequest>>,
}

impl Scripted {
    fn new(mut answers: Vec<Vec<Part>>) -> Arc<Self> {
        answers.reverse();
        Arc::new(Self { answers: Mutex::new(answers), ..Self::default() })
    }

    fn choices(&self) -> Vec<ToolChoice> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| request.tool_choice.clone().unwrap()).collect()
    }
}

impl Provider for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        self.asked.lock().unwrap().push(request);
        let content = self.answers.lock().unwrap().pop().unwrap();
        let spent = i64::try_from(self.asked.lock().unwrap().len()).unwrap();
        let response = GenerateResponse {
            content,
            finish: FinishReason::Stop.into(),
            usage: Usage::tokens(10, 5),
            origin: Origin::default(),
            warnings: Vec::new(),
            extras: Default::default(),
            receipt: Some(Receipt {
                cost: Some(NanoUsd(1500)),
                budgets: vec![requests_left(spent)],
                ..Receipt::default()
            }),
        };
        Box::pin(async { Ok(EventStream::of_events(events_of(response))) })
    }
}

fn requests_left(spent: i64) -> BudgetStatus {
    BudgetStatus {
        budget: "b".into(),
        owner: "user:alice".into(),
        resource: Resource::Requests,
        window: Window::Day,
        cap: 10,
        spent,
        held: 0,
        resets_at_ms: None,
        provider: None,
        model: None,
        feature: None,
        soft: false,
    }
}

fn call(expression: &str) -> Part {
    let arguments = serde_json::json!({ "expression": expression }).to_string();
    Part::tool_call("call-1", "calculator", arguments)
}

async fn run(provider: &Arc<Scripted>, change: impl FnOnce(&mut Agent)) -> AgentRun {
    let mut agent = Agent::new(provider.clone(), "mock/model");
    change(&mut agent);
    agent.run("What is 2 * 21?").await.unwrap()
}

#[tokio::test]
async fn a_forced_call_is_run_and_its_result_is_told() {
    let provider = Scripted::new(vec![vec![call("2 * 21")], vec![Part::text("It is 42.")]]);
    let run = run(&provider, |_| ()).await;

    assert_eq!(run.text, "It is 42.");
    assert_eq!(run.tool_calls[0].result.as_deref(), Ok("42"));
    assert_eq!((run.rounds, run.usage), (2, Usage::tokens(20, 10)));
    assert_eq!(run.cost, Some(NanoUsd(3000)));
    assert_eq!(run.budgets[0].remaining(), 8);
    assert_eq!(provider.choices(), [ToolChoice::Required, ToolChoice::None]);

    let asked = provider.asked.lock().unwrap();
    let last = asked[1].messages.last().unwrap();
    assert_eq!(last.role, Role::Tool);
    let Part::ToolResult(result) = &last.content[0] else { panic!("{last:?}") };
    assert_eq!((result.call_id.as_str(), result.is_error), ("call-1", false));
}

#[tokio::test]
async fn a_tool_that_fails_is_told_as_an_error_and_the_work_goes_on() {
    let provider = Scripted::new(vec![vec![call("2 *")], vec![Part::text("I cannot tell.")]]);
    let run = run(&provider, |_| ()).await;
    assert!(run.tool_calls[0].result.is_err());
    assert_eq!(run.text, "I cannot tell.");
    let asked = provider.asked.lock().unwrap();
    let Part::ToolResult(result) = &asked[1].messages.last().unwrap().content[0] else { panic!() };
    assert!(result.is_error);
}

#[tokio::test]
async fn a_model_that_decides_itself_may_call_until_the_last_round() {
    let answers = vec![vec![call("1")], vec![call("2")], vec![Part::text("done"), call("3")]];
    let provider = Scripted::new(answers);
    let run = run(&provider, |agent| {
        agent.first_choice = ToolChoice::Auto;
        agent.max_rounds = 3;
    })
    .await;
    assert_eq!((run.text.as_str(), run.tool_calls.len(), run.rounds), ("done", 2, 3));
    assert_eq!(provider.choices(), [ToolChoice::Auto, ToolChoice::Auto, ToolChoice::None]);
}

#[tokio::test]
async fn a_run_is_told_with_calls_answer_tokens_cost_and_budgets() {
    let provider = Scripted::new(vec![vec![call("2 * 21")], vec![Part::text("It is 42.")]]);
    let told = run(&provider, |_| ()).await.to_string();
    assert_eq!(
        told,
        "tool    calculator {\"expression\":\"2 * 21\"} -> 42\n\
         answer  It is 42.\n\
         tokens  20 in, 10 out, in 2 rounds\n\
         cost    $0.000003\n\
         budget  8 requests of 10 requests left (user:alice, day)\n"
    );
}

#[test]
fn local_and_remote_differ_in_exactly_one_line() {
    macro_rules! pair {
        ($name:literal) => {
            (
                include_str!(concat!("../src/bin/", $name, "_local.rs")),
                include_str!(concat!("../src/bin/", $name, "_remote.rs")),
            )
        };
    }
    for (local, remote) in [pair!("agent"), pair!("session"), pair!("team"), pair!("chat")] {
        assert_eq!(local.lines().count(), remote.lines().count());
        let pairs = local.lines().zip(remote.lines());
        let differing: Vec<_> = pairs.filter(|(one, other)| one != other).collect();
        assert_eq!(differing.len(), 1, "{differing:?}");
        let built = differing[0].0.trim_start();
        assert!(
            built.starts_with("let provider: Arc<dyn Provider> =")
                || built.starts_with("let employer =")
        );
    }
}
