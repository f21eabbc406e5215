//! Answers whose beginning gets lost: the connection is there, and nothing comes.

use crate::{alone, gate::Gate};
use std::time::{Duration, Instant};
use tollgate_bench::{
    Mock,
    faults::{Fault, Faults, How, Lane},
};
use tollgate_client::RemoteProvider;
use tollgate_types::{CallOptions, ErrorKind, GenerateRequest, Message, Provider};

/// How long a connection may say nothing.
const IDLE: Duration = Duration::from_millis(300);
/// How long whole calls may take: much longer than any good one.
const DEADLINE: Duration = Duration::from_secs(30);

/// A network whose first connections are silent after so many bytes of the server.
async fn silent(gate: &Gate, connections: u64, after: u64) -> Faults {
    let server = gate.url.strip_prefix("http://").unwrap().parse().unwrap();
    let fault = Fault { down: Lane::stopping(after, How::Silence), ..Fault::default() };
    let plan = move |number| if number < connections { fault } else { Fault::default() };
    Faults::to(server, plan).await.unwrap()
}

fn remote(network: &Faults, key: &str) -> RemoteProvider {
    let builder = RemoteProvider::builder().server(network.url()).api_key(key);
    builder.max_retries(0).idle_timeout(IDLE).resumable(true).build().unwrap()
}

fn asked(model: &str) -> GenerateRequest {
    let options = CallOptions::default().timeout(DEADLINE);
    let request = GenerateRequest::new(format!("mock/mock-{model}"), vec![Message::user("a b")]);
    request.options(options)
}

#[tokio::test]
async fn a_call_whose_answer_never_begins_is_found_again_by_its_key() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    // Nothing at all; and a part of the head.
    for (round, after) in (1..).zip([0, 20]) {
        for streamed in [true, false] {
            let network = silent(&gate, 2, after).await;
            let (provider, began) = (remote(&network, &key), Instant::now());
            let answer = match streamed {
                true => provider.stream(asked("tokens=7")).await.unwrap().collect().await,
                false => provider.generate(asked("tokens=7")).await,
            };
            assert_eq!(answer.unwrap().usage.output, 7);
            // Twice in vain, the second time with more patience.
            assert!(began.elapsed() >= IDLE * 3 && began.elapsed() < DEADLINE / 2);
            assert_eq!(network.connections(), 3);
            let calls = 2 * round - u64::from(streamed);
            let served = u64::try_from(mock.served()).unwrap();
            assert_eq!((served, gate.booked(&key).await), (calls, calls));
        }
    }
}

#[tokio::test]
async fn a_model_that_thinks_for_long_is_asked_once() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    let network = silent(&gate, 0, 0).await;
    let provider = remote(&network, &key);
    let stream = provider.stream(asked("tokens=3,headers_delay=1500")).await.unwrap();
    assert_eq!(stream.collect().await.unwrap().usage.output, 3);
    assert!(network.connections() > 1, "the client never lost its patience");
    assert_eq!((mock.served(), gate.booked(&key).await), (1, 1));
}

#[tokio::test]
async fn a_silent_server_is_waited_for_no_longer_than_the_deadline() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    let network = silent(&gate, u64::MAX, 0).await;
    let mut request = asked("tokens=3");
    request.options.timeout = Some(IDLE * 5);
    let began = Instant::now();
    let error = remote(&network, &key).stream(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(began.elapsed() >= IDLE * 5 && began.elapsed() < DEADLINE);
}
