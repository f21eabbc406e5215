//! The suite that every provider passes, for a real model in this process and behind the server.

use crate::real_model::{MODEL, load, serve};
use std::{sync::Arc, time::Duration};
use tollgate_engine::LocalProvider;
use tollgate_types::{
    BoxFuture, GenerateRequest, GenerateResponse, Message, Part, Provider, Sampling, ToolChoice,
    testing::{Scene, Subject, conformance, forget},
};

/// A real model, asked directly or through a server.
struct Real {
    model: LocalProvider,
    provider: Arc<dyn Provider>,
    name: &'static str,
}

/// What a real model does not play on demand.
const SKIPPED: [&str; 17] = [
    "thinking folds to the unary answer",
    "an odd text arrives byte for byte",
    "what nobody knows spoils nothing",
    "calls at once do not mix",
    "one vector comes for each text",
    "calls of one turn are told apart",
    "the result of a tool is taken",
    "a bad request fails the call",
    "an unknown model fails the call",
    "a rate limit fails the call",
    "a defect fails the call",
    "an overload fails the call",
    "an answer that is cut is an error",
    "an answer that is reset is an error",
    "an answer that is garbage is an error",
    "an error that is told ends the answer",
    "a silent provider is not waited for too long",
];

impl Real {
    /// Waits until the model works, or until it rests.
    async fn until(&self, works: bool) {
        let id = self.name.trim_start_matches("local/");
        let at_work = || self.model.stats(id).is_some_and(|now| now.running + now.queued > 0);
        // Not for ever: the suite waits no longer than its patience.
        while at_work() != works {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Subject for Real {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn request(&self, scene: &Scene) -> Option<GenerateRequest> {
        let most = match scene {
            Scene::Text | Scene::Lacking => 8,
            Scene::Length => 3,
            Scene::Calls(1) => 80,
            Scene::Slow | Scene::Stalls => 900,
            _ => return None,
        };
        let question = "Tell me a long story about a dragon and a castle.";
        let sampling = Sampling {
            temperature: Some(0.0),
            seed: Some(1),
            max_output_tokens: Some(most),
            ..Sampling::default()
        };
        let mut request =
            GenerateRequest::new(self.name, vec![Message::user(question)]).sampling(sampling);
        match scene {
            Scene::Calls(_) => {
                request = request.tools(vec![Scene::tool()]).tool_choice(ToolChoice::Required);
            }
            Scene::Lacking => request.continues = Some("resp_1".to_owned()),
            _ => {}
        }
        Some(request)
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn at_work(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.until(true))
    }

    fn at_rest(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.until(false))
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// The second time, the prompt is in the cache; and no two calls have one id.
    fn forget(&self, answer: &mut GenerateResponse) {
        forget(answer);
        answer.usage.input += std::mem::take(&mut answer.usage.cache_read);
        for (number, part) in answer.content.iter_mut().enumerate() {
            if let Part::ToolCall(call) = part {
                call.id = format!("call_{number}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_model_conforms_in_this_process_and_behind_the_server() {
    let model = load();
    let name = MODEL.trim_start_matches("local/");
    let direct = Real { model: model.clone(), provider: Arc::new(model.clone()), name };
    let report = conformance(&direct).await;
    assert!(report.is_good_without(&SKIPPED), "direct: {report}");

    let (server, key) = serve(&model).await;
    let provider = Arc::new(server.remote(&key));
    let remote = Real { model, provider, name: MODEL };
    let report = conformance(&remote).await;
    assert!(report.is_good_without(&SKIPPED), "remote: {report}");
}
