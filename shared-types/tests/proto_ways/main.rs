//! The vocabulary becomes protobuf and comes back as it was; what is wrong in a message is named.
#![cfg(feature = "proto")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall fail there, in its helper functions too"
)]

mod any;

use any::{answer, embedding, event, model, request, run};
use proptest::prelude::*;
use prost::Message as _;
use tollgate_types::{
    EmbedRequest, EmbedResponse, GenerateRequest, GenerateResponse, ModelInfo,
    proto::{read_event, v1, write_event},
    wire::RunStatus,
};

/// Over the wire, byte for byte.
fn sent<M: prost::Message + Default>(message: M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_request_comes_back_as_it_was(request in request()) {
        let message = sent(v1::GenerateRequest::from(request.clone()));
        prop_assert_eq!(GenerateRequest::try_from(message).unwrap(), request);
    }

    #[test]
    fn an_event_comes_back_as_it_was(event in event(), number: u64) {
        let message = sent(write_event(number, event.clone()).unwrap());
        prop_assert_eq!(read_event(message).unwrap(), Some((number, event)));
    }

    #[test]
    fn an_answer_comes_back_as_it_was(answer in answer()) {
        let message = sent(v1::GenerateResponse::from(answer.clone()));
        prop_assert_eq!(GenerateResponse::try_from(message).unwrap(), answer);
    }

    #[test]
    fn an_embedding_comes_back_as_it_was((request, response) in embedding()) {
        let message = sent(v1::EmbedRequest::from(request.clone()));
        prop_assert_eq!(EmbedRequest::try_from(message).unwrap(), request);
        let message = sent(v1::EmbedResponse::from(response.clone()));
        prop_assert_eq!(EmbedResponse::from(message), response);
    }

    #[test]
    fn how_a_run_stands_comes_back_as_it_was(status in run()) {
        let message = sent(v1::Run::from(status.clone()));
        prop_assert_eq!(RunStatus::try_from(message).unwrap(), status);
    }

    #[test]
    fn a_list_of_models_comes_back_as_it_was(list in proptest::collection::vec(model(), 0..4)) {
        let message = sent(v1::ListModelsResponse::from(list.clone()));
        prop_assert_eq!(Vec::<ModelInfo>::from(message), list);
    }

    #[test]
    fn bytes_that_nobody_chose_are_refused_or_read_but_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(message) = v1::GenerateRequest::decode(bytes.as_slice()) {
            drop(GenerateRequest::try_from(message));
        }
        if let Ok(message) = v1::StreamResponse::decode(bytes.as_slice()) {
            drop(read_event(message));
        }
    }
}

fn refused(request: v1::GenerateRequest) -> (String, String) {
    let error = GenerateRequest::try_from(request).unwrap_err();
    (error.body().param.clone().unwrap(), error.message().to_owned())
}

fn with_part(kind: Option<v1::part::Kind>) -> v1::GenerateRequest {
    let good = v1::Message { role: v1::Role::User.into(), ..v1::Message::default() };
    let part = v1::Part { kind };
    let bad = v1::Message { content: vec![v1::Part::from(text()), part], ..good.clone() };
    v1::GenerateRequest { messages: vec![good, bad], ..v1::GenerateRequest::default() }
}

fn text() -> tollgate_types::Part {
    tollgate_types::Part::text("a")
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    let media = v1::part::Kind::Media(v1::Media::default());
    let extras = v1::Text { extras_json: "[1]".to_owned(), ..v1::Text::default() };
    let nested = v1::ToolResult { content: vec![v1::Part { kind: None }], ..Default::default() };
    let sampling = |sampling| v1::GenerateRequest {
        sampling: Some(sampling),
        ..v1::GenerateRequest::default()
    };
    for (request, path) in [
        (with_part(None), "messages[1].content[1]"),
        (with_part(Some(media)), "messages[1].content[1].source"),
        (with_part(Some(v1::part::Kind::Text(extras))), "messages[1].content[1].extras_json"),
        (with_part(Some(v1::part::Kind::ToolResult(nested))), "messages[1].content[1].content[0]"),
        (
            v1::GenerateRequest {
                messages: vec![v1::Message { role: 77, ..v1::Message::default() }],
                ..v1::GenerateRequest::default()
            },
            "messages[0].role",
        ),
        (
            sampling(v1::Sampling { temperature: Some(f64::NAN), ..v1::Sampling::default() }),
            "sampling.temperature",
        ),
        (
            sampling(v1::Sampling { logprobs: Some(256), ..v1::Sampling::default() }),
            "sampling.logprobs",
        ),
        (
            v1::GenerateRequest { modalities: vec![1, 9], ..v1::GenerateRequest::default() },
            "modalities[1]",
        ),
        (
            v1::GenerateRequest { on_unsupported: 9, ..v1::GenerateRequest::default() },
            "on_unsupported",
        ),
        (
            v1::GenerateRequest {
                tool_choice: Some(v1::ToolChoice { choice: None }),
                ..v1::GenerateRequest::default()
            },
            "tool_choice",
        ),
        (
            v1::GenerateRequest {
                extras_json: "{\"a\":".to_owned(),
                ..v1::GenerateRequest::default()
            },
            "extras_json",
        ),
    ] {
        let (param, message) = refused(request);
        assert_eq!(param, path);
        assert!(message.starts_with(&format!("{path}: ")), "{message}");
    }
}

#[test]
fn what_only_a_newer_server_knows_can_be_read() {
    let message = v1::StreamResponse { number: 7, event: None };
    let (number, event) = read_event(message).unwrap().unwrap();
    assert_eq!((number, event.name()), (7, "raw"));
    let finish = v1::Finish { reason: 4711, raw: Some("bored".to_owned()) };
    let finish = tollgate_types::Finish::from(finish);
    assert_eq!(finish.reason, tollgate_types::FinishReason::Other);
    let model = v1::Model {
        id: "m".to_owned(),
        features: vec!["chat".to_owned(), "telepathy".to_owned()],
        ..v1::Model::default()
    };
    assert_eq!(ModelInfo::from(model).features, [tollgate_types::Feature::Chat]);
}
