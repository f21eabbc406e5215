//! The examples over mocks of the vendors: in this process, through a real server, and as programs.
#![cfg(test)]

mod chat;
mod programs;
mod terminal;

use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};
use tollgate_adapter_tests::{Place, VENDORS};
use tollgate_examples::{Agent, AgentRun, Employer, Session, Team, TeamRun, Toolbox};
use tollgate_types::{ErrorKind, Provider, Result, Role, ToolChoice};

/// Calls every tool once, and then says what the tools said.
const CALLS: &str = "mock-tools=2,fill,once";
const ECHO: &str = "mock-echo";

#[tokio::test]
async fn the_agent_does_the_same_here_and_there() {
    let place = Place::start().await;
    for vendor in VENDORS {
        let run = async |provider: Arc<dyn Provider>, model: String| {
            let mut agent = Agent::new(provider, model);
            if vendor == "ollama" {
                // It cannot be made to call a tool.
                agent.first_choice = ToolChoice::Auto;
            }
            let run = agent.run("What is 12.5 * 7?").await.unwrap();
            AgentRun { cost: None, budgets: Vec::new(), ..run }
        };
        let here = run(place.direct(vendor).await, CALLS.to_owned()).await;
        let there = run(place.remote(), format!("{vendor}/{CALLS}")).await;
        assert_eq!(here, there, "{vendor}");
        assert_eq!((here.rounds, here.tool_calls.len()), (2, 2), "{vendor}");
    }
}

/// Six questions of ten words each, which the mock says back.
async fn talk(session: &mut Session) -> Result<(Vec<String>, usize)> {
    let (mut answers, mut forgotten) = (Vec::new(), 0);
    for number in 0..6 {
        let answer = session.ask(&format!("{number} b c d e f g h i j")).await?;
        forgotten += answer.forgotten;
        answers.push(answer.text);
    }
    Ok((answers, forgotten))
}

#[tokio::test]
async fn a_session_forgets_its_oldest_exchanges_and_never_its_instructions() {
    let place = Place::start().await;
    // The mock of one vendor counts tokens, the other's does not.
    for (vendor, context) in [("anthropic", 70), ("openai", 320)] {
        let mut told = Vec::new();
        for (provider, model) in [
            (place.direct(vendor).await, ECHO.to_owned()),
            (place.remote(), format!("{vendor}/{ECHO}")),
        ] {
            let mut session = Session::new(provider, model, "Say it back.");
            (session.context, session.max_output) = (context, 20);
            let (answers, forgotten) = talk(&mut session).await.unwrap();
            assert_eq!(answers[5], "5 b c d e f g h i j", "{vendor}");
            assert!((1..5).contains(&forgotten), "{vendor}: {forgotten}");

            let messages = session.messages();
            assert_eq!(messages[0].role, Role::System, "{vendor}");
            assert_eq!(messages[1].role, Role::User, "{vendor}");
            assert_eq!(messages.len(), 1 + 2 * (6 - forgotten), "{vendor}");
            told.push((answers, forgotten, messages.len()));
        }
        assert_eq!(told[0], told[1], "{vendor}: here and there");
    }
}

#[tokio::test]
async fn a_session_keeps_calls_and_results_together() {
    let place = Place::start().await;
    let mut session = Session::new(place.remote(), format!("openai/{CALLS}"), "Compute.");
    (session.context, session.max_output) = (1500, 100);
    session.toolbox = Some(Toolbox);
    let mut forgotten = 0;
    for _ in 0..6 {
        let answer = session.ask("What is 12.5 * 7?").await.unwrap();
        assert_eq!(answer.tool_calls.len(), 2);
        forgotten += answer.forgotten;
    }
    assert!(forgotten > 0, "nothing was forgotten");
    for sent in place.sent() {
        let body: Value = serde_json::from_slice(&sent).unwrap();
        let messages = body["messages"].as_array().unwrap();
        assert_eq!(messages[0]["role"], "system");
        let ids = |key: &str| -> BTreeSet<String> {
            let all = messages.iter().flat_map(|message| match &message[key] {
                Value::Array(calls) => calls.iter().map(|call| call["id"].clone()).collect(),
                Value::Null => Vec::new(),
                id => vec![id.clone()],
            });
            all.map(|id| id.as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids("tool_calls"), ids("tool_call_id"), "{body}");
    }
}

#[tokio::test]
async fn a_question_that_fails_is_forgotten() {
    let place = Place::start().await;
    let mut session = Session::new(place.remote(), "openai/mock-status=400", "Compute.");
    let before = session.messages();
    let error = session.ask("hello").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(session.messages(), before);
}

async fn team(employer: &Employer, prefix: &str, budget: &str) -> Team {
    let members = format!("{prefix}{ECHO}");
    let team = Team::hire(employer, &members, budget.parse().unwrap()).await.unwrap();
    team.led_by(format!("{prefix}{CALLS}"))
}

#[tokio::test]
async fn a_team_does_the_same_here_and_there_and_each_member_pays_with_its_own_key() {
    let place = Place::start().await;
    let here = Employer::local(place.direct("openai").await);
    let here = team(&here, "", "tokens=5000/day").await.run("Go on.").await.unwrap();
    let there = Employer::remote(place.client());
    let there = team(&there, "openai/", "tokens=5000/day").await.run("Go on.").await.unwrap();

    assert_eq!((&here.text, &here.tasks), (&there.text, &there.tasks));
    let names = |run: &TeamRun| run.tasks.iter().map(|t| t.member.clone()).collect::<Vec<_>>();
    assert_eq!(names(&here), ["researcher", "writer"]);
    assert_eq!(here.tasks[0].result.as_deref(), Ok("w0"));
    for (name, bill) in &there.members {
        // The words of its role and of its task, and the one that it said.
        let spent = i64::try_from(bill.usage.total()).unwrap();
        let own = bill.budgets.iter().find(|budget| budget.cap == 5000).unwrap();
        assert_eq!((own.spent, own.held), (spent, 0), "{name}");
        assert!(bill.cost.is_some(), "{name}");
    }
    place.settled(4).await;
    let rows = place.store.usage_rows(&Default::default(), 10).await.unwrap();
    let keys: BTreeSet<_> = rows.iter().map(|row| row.entry.key_id.clone()).collect();
    assert_eq!(keys.len(), 3, "lead and members have a key each");
}

#[tokio::test]
async fn a_member_whose_budget_is_used_up_tells_the_lead() {
    let place = Place::start().await;
    let employer = Employer::remote(place.client());
    let mut team = team(&employer, "openai/", "requests=1/day").await;
    assert!(team.run("Go on.").await.unwrap().tasks.iter().all(|task| task.result.is_ok()));
    let second = team.run("Go on.").await.unwrap();
    for task in &second.tasks {
        let reason = task.result.as_ref().unwrap_err();
        assert!(reason.contains("budget"), "{reason}");
    }
    assert!(second.text.contains("budget"), "the lead goes on: {}", second.text);
}

#[tokio::test]
async fn a_member_gets_no_more_than_there_is() {
    let place = Place::with_budgets(vec![tollgate_adapter_tests::requests(3)]).await;
    let employer = Employer::remote(place.client());
    let budget = "requests=4/day".parse().unwrap();
    let error = Team::hire(&employer, ECHO, budget).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
}
