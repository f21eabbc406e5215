//! A real model behind the server: the books say what it computed, and an agent cannot tell the
//! server from the model itself.

use crate::ask::{CHAT, openai, typed, with};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tollgate::config::Config;
use tollgate_client::RemoteProvider;
use tollgate_engine::{EngineStats, LoadOptions, LocalProvider};
use tollgate_examples::{Agent, AgentRun};
use tollgate_tests::{
    process::model_file,
    server::{Key, Reply, Server, budget, config, eventually, soon},
};
use tollgate_types::{
    ErrorKind, FinishReason, GenerateRequest, Message, Provider, Resource, Sampling, StreamEvent,
    Tool, ToolChoice, Usage, Window, wire::path,
};

const ID: &str = "smollm2-135m-instruct";
pub(crate) const MODEL: &str = "local/smollm2-135m-instruct";
/// A free price would hide a cost that is not charged.
const PRICE: &str = "[[prices]]\nmodel = \"local/*\"\ninput = \"0.01\"\noutput = \"0.02\"\n";

pub(crate) fn load() -> LocalProvider {
    let mut options = LoadOptions::new(ID, model_file());
    options.context = 2048;
    options.parallel = 3;
    LocalProvider::load("local", vec![options]).unwrap()
}

fn local_config() -> Config {
    let path = model_file();
    config(&format!(
        "[[providers]]\nname = \"local\"\nkind = \"llama\"\n\
         [[providers.load]]\nmodel = \"{ID}\"\npath = \"{}\"\n{PRICE}",
        path.display()
    ))
}

pub(crate) async fn serve(model: &LocalProvider) -> (Server, Key) {
    let server = Server::around(local_config(), vec![Arc::new(model.clone())]).await;
    let budgets = [Resource::Tokens, Resource::Cost, Resource::Requests];
    let key =
        server.key_with(budgets.map(|what| budget(what, Window::Day, 1 << 40)).to_vec()).await;
    (server, key)
}

fn story(max_output: u32) -> GenerateRequest {
    let question = "Tell me a long story about a dragon and a castle.";
    GenerateRequest::new(MODEL, vec![Message::user(question)]).sampling(Sampling {
        temperature: Some(0.0),
        seed: Some(1),
        max_output_tokens: Some(max_output),
        ..Sampling::default()
    })
}

/// Reads a stream up to its first words and leaves.
async fn leave_after_first_words(remote: RemoteProvider) {
    let mut events = remote.stream(story(400)).await.unwrap();
    let mut deltas = 0;
    while deltas < 3 {
        let event = events.next().await.unwrap().unwrap();
        deltas += u32::from(matches!(event, StreamEvent::PartDelta { .. }));
    }
}

/// Waits until the engine is at rest.
async fn at_rest(model: &LocalProvider) -> EngineStats {
    eventually("the engine is at rest", async || {
        model.stats(ID).filter(|now| now.running == 0 && now.queued == 0)
    })
    .await
}

/// The entries add up to what the engine counted, token by token, and so do the budgets.
async fn assert_books_say_what_was_computed(server: &Server, model: &LocalProvider, calls: usize) {
    let entries = server.settled(calls).await;
    assert_eq!(entries.len(), calls);
    let stats = at_rest(model).await;
    let sum = |count: fn(&tollgate::store::EntryRow) -> i64| entries.iter().map(count).sum::<i64>();
    let (input, output) = (sum(|entry| entry.tokens.input), sum(|entry| entry.tokens.output));
    let computed = (stats.prompt_tokens, stats.output_tokens);
    let shown: Vec<_> = entries.iter().map(|e| (&e.disposition, e.tokens, e.estimated)).collect();
    let booked = (u64::try_from(input).unwrap(), u64::try_from(output).unwrap());
    assert_eq!(booked, computed, "booked and computed differ: {shown:?}");
    let cost = input * 10 + output * 20;
    for standing in server.budgets().await {
        let spent = match standing.resource {
            Resource::Tokens => input + output,
            Resource::Cost => cost,
            Resource::Requests => i64::try_from(calls).unwrap(),
        };
        assert_eq!((standing.spent, standing.held), (spent, 0), "{}", standing.resource);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_of_every_kind_of_end_equal_what_the_real_model_computed() {
    let model = load();
    let (server, key) = serve(&model).await;
    let remote = server.remote(&key);

    let whole = remote.generate(story(12)).await.unwrap();
    assert_eq!(whole.usage.output, 12);
    remote.stream(story(9)).await.unwrap().collect().await.unwrap();
    let streamed = json!({"stream": true, "max_tokens": 5});
    let chunks = server.post(CHAT, &key, &with(openai(MODEL), streamed)).await;
    assert!(chunks.text.contains("[DONE]"), "{}", chunks.text);
    let tool = Tool::function(
        "pick",
        "",
        json!({"type": "object", "properties":
        {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}),
    );
    let forced = story(60).tools(vec![tool]).tool_choice(ToolChoice::Required);
    let called = remote.generate(forced).await.unwrap();
    assert_eq!(called.tool_calls().count(), 1);
    assert_books_say_what_was_computed(&server, &model, 4).await;

    leave_after_first_words(remote.clone()).await;
    assert_books_say_what_was_computed(&server, &model, 5).await;
    let entry = server.entries().await.remove(4);
    assert_eq!((entry.disposition.as_str(), entry.estimated), ("cancelled", 0), "counted exactly");
    assert!((1..400).contains(&entry.tokens.output), "{entry:?}");

    // Hung up while the whole answer is being made.
    let body = with(openai(MODEL), json!({"max_tokens": 400}));
    let call = Reply::to(server.request("POST", CHAT, &key).json(&body));
    let before = model.stats(ID).unwrap().output_tokens;
    tokio::select! {
        reply = call => panic!("an answer came: {reply:?}"),
        () = eventually("the model writes", async || {
            (model.stats(ID).unwrap().output_tokens > before + 2).then_some(())
        }) => {}
    }
    assert_books_say_what_was_computed(&server, &model, 6).await;
    assert_eq!(server.entries().await[5].disposition, "cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_that_finish_leave_or_fail_on_the_real_model_are_booked_to_the_token() {
    let model = load();
    let (server, key) = serve(&model).await;
    let remote = server.remote(&key);
    remote.budgets().await.unwrap();
    let mut calls = JoinSet::new();
    for number in 0..8 {
        let remote = remote.clone();
        calls.spawn(async move {
            match number % 4 {
                0 => drop(remote.generate(story(10)).await.unwrap()),
                1 => leave_after_first_words(remote).await,
                // More run than the model takes at once: some of these leave while they wait.
                2 => drop(
                    tokio::time::timeout(Duration::from_millis(30), remote.generate(story(300)))
                        .await,
                ),
                _ => drop(remote.stream(story(15)).await.unwrap().collect().await.unwrap()),
            }
        });
    }
    soon("every call ends", calls.join_all()).await;
    at_rest(&model).await;
    let entries = server.settled(6).await.len();
    assert_books_say_what_was_computed(&server, &model, entries).await;
}

#[tokio::test]
async fn a_prompt_that_is_too_long_for_the_real_model_is_refused_and_computes_nothing() {
    let model = load();
    let (server, key) = serve(&model).await;
    let long = "dragon ".repeat(5_000);
    let mut request = typed(MODEL);
    request.messages = vec![Message::user(&long)];
    for streamed in [false, true] {
        let error = match streamed {
            false => server.remote(&key).generate(request.clone()).await.map(drop).unwrap_err(),
            true => server.remote(&key).stream(request.clone()).await.map(drop).unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::ContextLength, "{error}");
        assert_eq!(error.body().status, Some(400));
    }
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": long}]});
    let reply = server.post(CHAT, &key, &body).await;
    reply.assert_error(400, "too long");
    assert_eq!(reply.at("/error/code"), "context_length_exceeded");
    let stats = model.stats(ID).unwrap();
    assert_eq!((stats.prompt_tokens, stats.output_tokens), (0, 0));
    let good = server.post(path::GENERATE, &key, &serde_json::to_value(story(3)).unwrap()).await;
    assert_eq!(good.status, 200, "the server lives on: {}", good.text);
}

#[tokio::test]
async fn a_budget_for_tokens_is_spent_to_the_last_token_and_then_the_real_model_is_not_asked() {
    let model = load();
    let (server, _) = serve(&model).await;
    let mut request = story(1);
    request.sampling.max_output_tokens = None;
    let prompt = model.count_tokens(request.clone()).await.unwrap();
    let cap = i64::try_from(prompt + 10).unwrap();
    let key = server.key_with(vec![budget(Resource::Tokens, Window::Month, cap)]).await;
    let remote = server.remote(&key);

    let answer = remote.generate(request.clone()).await.unwrap();
    assert_eq!((answer.usage.input, answer.usage.output), (prompt, 10));
    assert_eq!(answer.finish.reason, FinishReason::Length);
    assert_eq!(answer.warnings[0].code, "max_output_clamped");
    let budget = answer.receipt.unwrap().budgets.remove(0);
    assert_eq!((budget.spent, budget.held, budget.remaining()), (cap, 0, 0));

    let computed = at_rest(&model).await;
    let refused = remote.generate(request).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    let now = at_rest(&model).await;
    assert_eq!(now.prompt_tokens, computed.prompt_tokens, "nothing was computed");
}

async fn agent(provider: Arc<dyn Provider>, question: &str) -> AgentRun {
    Agent::new(provider, MODEL).run(question).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_agent_gets_the_same_from_the_real_model_in_its_process_and_behind_the_server()
{
    let questions = ["What is 12.5 * 7?", "How many miles are 42 kilometres?"];
    let mut local = Vec::new();
    let model = load();
    for question in questions {
        local.push(agent(Arc::new(model.clone()), question).await);
    }
    drop(model);

    let server = Server::start(local_config()).await;
    let key = server.key_with(vec![budget(Resource::Tokens, Window::Month, 100_000)]).await;
    for (question, local) in questions.into_iter().zip(local) {
        let remote = agent(Arc::new(server.remote(&key)), question).await;
        assert!(!local.tool_calls.is_empty(), "{local}");
        assert_eq!(remote.text, local.text);
        assert_eq!(remote.tool_calls, local.tool_calls, "name, arguments and result");
        // All but the time that the model worked, which is never the same.
        let tokens = |usage: &Usage| (usage.total_input(), usage.total_output());
        assert_eq!((remote.rounds, tokens(&remote.usage)), (local.rounds, tokens(&local.usage)));
        assert!(remote.cost.is_some() && local.cost.is_none());
        assert_eq!(remote.budgets.len(), 1);
    }
}
