//! What a caller is told of usage is what the provider said, whatever the books make of it.

use crate::{
    place::{Place, soon},
    transports::TRANSPORTS,
    vendor::{VENDORS, Vendor},
};
use tollgate_bench::Mock;
use tollgate_client::UsageQuery;
use tollgate_types::{EmbedRequest, GenerateRequest, Message, Provider, Sampling, Usage};

/// More of the prompt out of a cache than the prompt can hold.
const TOO_MUCH: &str = "mock-tokens=3,cached=70000";

fn request(model: String) -> GenerateRequest {
    let sampling = Sampling { max_output_tokens: Some(20), ..Sampling::default() };
    GenerateRequest::new(model, vec![Message::user("one two three")]).sampling(sampling)
}

async fn usage(provider: &dyn Provider, model: String, streamed: bool) -> Usage {
    let answer = match streamed {
        true => provider.stream(request(model)).await.unwrap().collect().await,
        false => provider.generate(request(model)).await,
    };
    answer.unwrap().usage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_beyond_the_hold_is_told_as_it_came_and_charged_up_to_the_hold() {
    let mock = Mock::start().await.unwrap();
    let place = Place::over(&mock.url()).await;
    // Ollama has no word for caches.
    for vendor in VENDORS.into_iter().filter(|vendor| *vendor != Vendor::Ollama) {
        let near = usage(&*vendor.direct(&mock.url()), TOO_MUCH.to_owned(), true).await;
        assert!(near.total() > 70_000 && !near.estimated, "{vendor:?}: {near:?}");
        for transport in TRANSPORTS.iter().copied() {
            for streamed in [true, false] {
                let name = format!("{vendor:?} over {}, streamed: {streamed}", transport.0);
                let remote = place.client(transport).build().unwrap();
                let model = format!("{}/{TOO_MUCH}", vendor.name());
                let far = soon(&name, usage(&remote, model, streamed)).await;
                assert_eq!(near, far, "{name}");
                let query = UsageQuery { rows: Some(1), ..UsageQuery::default() };
                let booked = remote.usage(query).await.unwrap().rows.remove(0);
                assert!(booked.clamped && booked.usage.total() < 10_000, "{name}: {booked:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_under_one_key_are_made_once_whatever_way_they_are_asked_for() {
    let mock = Mock::start().await.unwrap();
    let place = Place::over(&mock.url()).await;
    let mut asked = EmbedRequest::new("chat/mock-e", ["one", "two words"]);
    asked.options.idempotency_key = Some("the same".to_owned());
    let mut answers = Vec::new();
    for transport in TRANSPORTS.iter().copied().chain(TRANSPORTS.iter().copied()) {
        let answer = place.remote(transport).embed(asked.clone()).await.unwrap();
        answers.push(answer);
        assert_eq!(mock.served(), 1, "{}", transport.0);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert!(answers[0].receipt.is_some() && answers[0].vectors.len() == 2);
    asked.input.push("three".to_owned());
    for transport in TRANSPORTS.iter().copied() {
        let error = place.remote(transport).embed(asked.clone()).await.unwrap_err();
        let code = error.body().code.as_deref();
        assert_eq!(code, Some("idempotency_key_reused"), "{}: {error}", transport.0);
        assert!(!error.is_retryable());
    }
    assert_eq!(mock.served(), 1);
}
