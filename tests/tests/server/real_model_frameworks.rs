//! Models of other frameworks, and the examples, over the real model: in this process and behind the
//! server it is the same.

use crate::real_model::{MODEL, load, serve};
use adk_core::{Content, GenerateContentConfig, Llm, LlmRequest, Part};
use futures_util::StreamExt;
use rig_core::completion::CompletionRequest;
use std::sync::Arc;
use tollgate_examples::{Employer, Session, Team};
use tollgate_types::Provider;

const QUESTION: &str = "Name three rivers.";

async fn rig(provider: Arc<dyn Provider>) -> (String, Option<u64>) {
    let request = CompletionRequest::new(QUESTION).max_tokens(12).temperature(0.0);
    let answer = tollgate_rig::model(provider, MODEL).call(request).await.unwrap();
    (answer.text(), answer.usage.total_tokens)
}

async fn adk(provider: Arc<dyn Provider>) -> (String, Option<i32>) {
    let config = GenerateContentConfig {
        temperature: Some(0.0),
        max_output_tokens: Some(12),
        ..GenerateContentConfig::default()
    };
    let request = LlmRequest::new("", vec![Content::new("user").with_text(QUESTION)]);
    let model = tollgate_adk::Model::new(provider, MODEL);
    let mut answers = model.generate_content(request.with_config(config), true).await.unwrap();
    let mut last = None;
    while let Some(answer) = answers.next().await {
        last = Some(answer.unwrap());
    }
    let last = last.unwrap();
    let text = last.content.unwrap().parts.iter().filter_map(Part::text).collect();
    (text, last.usage_metadata.map(|usage| usage.total_token_count))
}

async fn session(provider: Arc<dyn Provider>) -> Vec<(String, usize)> {
    let mut session = Session::new(provider, MODEL, "Answer in one sentence.");
    (session.context, session.max_output) = (160, 24);
    let mut answers = Vec::new();
    for number in 0..4 {
        let question = format!("Tell me about the number {number} and the number {number}.");
        let answer = session.ask(&question).await.unwrap();
        answers.push((answer.text, answer.forgotten));
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frameworks_and_examples_cannot_tell_the_server_from_the_real_model() {
    let model = load();
    let (server, key) = serve(&model).await;
    let here: Arc<dyn Provider> = Arc::new(model.clone());
    let there: Arc<dyn Provider> = Arc::new(server.remote(&key));

    let said = rig(here.clone()).await;
    assert_eq!(said, rig(there.clone()).await);
    assert!(!said.0.is_empty());
    let said = adk(here.clone()).await;
    assert_eq!(said, adk(there.clone()).await);
    assert!(!said.0.is_empty());

    let said = session(here).await;
    assert_eq!(said, session(there).await);
    assert!(said.iter().any(|(_, forgotten)| *forgotten > 0), "nothing was forgotten: {said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_team_does_the_same_with_the_real_model_here_and_there() {
    let model = load();
    let (server, key) = serve(&model).await;
    let budget = "tokens=5000/day".parse().unwrap();
    let mut told = Vec::new();
    for employer in [Employer::local(model.clone()), Employer::remote(server.remote(&key))] {
        let mut team = Team::hire(&employer, MODEL, budget).await.unwrap();
        let run = team.run("Why is the sky blue?").await.unwrap();
        assert!(!run.tasks.is_empty());
        told.push((run.text, run.tasks));
    }
    assert_eq!(told[0], told[1]);
}
