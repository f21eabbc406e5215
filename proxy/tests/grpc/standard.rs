//! The standard services: health and reflection.

use crate::{gate::Gate, raw::framed};
use http_body_util::BodyExt;
use prost::Message;
use tollgate_types::proto::{
    health::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus},
    method,
};
use tonic::Code;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn health_is_told_without_a_credential() {
    let gate = Gate::open().await;
    let raw = gate.raw().without("authorization");
    for service in ["", "tollgate.v1.Tollgate", "grpc.health.v1.Health"] {
        let answer = raw.call(method::HEALTH_CHECK, &about(service)).await;
        let state: HealthCheckResponse = answer.message();
        assert_eq!(state.status(), ServingStatus::Serving, "{service}");
    }
    let answer = raw.call(method::HEALTH_CHECK, &about("nobody")).await;
    assert_eq!(answer.code(), Code::NotFound);
}

#[tokio::test]
async fn who_watches_is_told_that_the_server_stops_and_does_not_hold_it_up() {
    let mut gate = Gate::open().await;
    let raw = gate.raw().without("authorization");
    let body = framed(&about("").encode_to_vec());
    let mut response = raw.try_send(method::HEALTH_WATCH, body).await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    let state = |frame: &[u8]| HealthCheckResponse::decode(&frame[5..]).unwrap().status();
    assert_eq!(state(&first), ServingStatus::Serving);
    gate.stop();
    let rest = reqwest::Body::from(response).collect().await.unwrap();
    assert_eq!(rest.trailers().unwrap().get("grpc-status").unwrap(), "0");
    assert_eq!(state(&rest.to_bytes()), ServingStatus::NotServing);
    assert!(gate.ended().await);
}

fn ask(what: MessageRequest) -> Vec<u8> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(what) };
    framed(&request.encode_to_vec())
}

#[tokio::test]
async fn reflection_lists_the_services_and_describes_them() {
    let gate = Gate::open().await;
    for path in [
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ] {
        let list = gate.raw().send(path, ask(MessageRequest::ListServices(String::new()))).await;
        let list: ServerReflectionResponse = list.message();
        let Some(MessageResponse::ListServicesResponse(list)) = list.message_response else {
            panic!("{list:?}");
        };
        let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
        for name in ["tollgate.v1.Tollgate", "grpc.health.v1.Health"] {
            assert!(names.contains(&name), "{path}: {names:?}");
        }
        let symbol = MessageRequest::FileContainingSymbol("tollgate.v1.Tollgate.Stream".into());
        let file: ServerReflectionResponse = gate.raw().send(path, ask(symbol)).await.message();
        let Some(MessageResponse::FileDescriptorResponse(file)) = file.message_response else {
            panic!("{file:?}");
        };
        assert!(!file.file_descriptor_proto.is_empty());
    }
}
