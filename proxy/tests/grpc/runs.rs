//! Runs that are joined again, looked at and cancelled.

use crate::gate::{Gate, asking};
use std::time::Duration;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tollgate_client::{RetryPolicy, TransportKind};
use tollgate_types::{
    ErrorKind, Fold, Provider, StreamEvent,
    proto::{method, read_event, v1},
    wire::{RunState, RunStatus},
};
use tonic::Code;

const SOON: Duration = Duration::from_secs(10);

/// A wire to the server that can be cut; the next connection gets a new one.
struct Wire {
    url: String,
    cut: watch::Sender<u32>,
}

impl Wire {
    #[expect(clippy::disallowed_methods, reason = "no server's task")]
    async fn to(server: &str) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (cut, cuts) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = TcpStream::connect(&server).await.unwrap();
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        ended = copy_bidirectional(&mut near, &mut far) => drop(ended),
                        cut = cuts.changed() => drop(cut),
                    }
                });
            }
        });
        Self { url, cut }
    }

    fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

#[tokio::test]
async fn a_resumable_stream_outlives_its_connections_without_losing_an_event() {
    let gate = Gate::open().await;
    let wire = Wire::to(&gate.grpc).await;
    let retry = RetryPolicy { initial_wait: Duration::from_millis(1), ..RetryPolicy::default() };
    let builder = gate.builder().transport(TransportKind::Grpc).grpc_server(&wire.url);
    let provider = builder.retry(retry).resumable(true).build().unwrap();
    let mut events = provider.stream(asking("[[mock tokens=60 delay=10]]")).await.unwrap();
    let (mut fold, mut deltas) = (Fold::new(), 0);
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        if matches!(event, StreamEvent::PartDelta { .. }) {
            deltas += 1;
            if deltas == 5 || deltas == 20 {
                wire.cut();
            }
        }
        fold.push(event).unwrap();
    }
    let answer = fold.finish().unwrap();
    assert_eq!((answer.usage.output, answer.text().split_whitespace().count()), (60, 60));
    assert_eq!(gate.mock.served(), 1, "the call was made again");
}

#[tokio::test]
async fn a_resumable_call_that_waits_gets_its_answer_after_a_cut() {
    let gate = Gate::open().await;
    let wire = Wire::to(&gate.grpc).await;
    let retry = RetryPolicy { initial_wait: Duration::from_millis(1), ..RetryPolicy::default() };
    let builder = gate.builder().transport(TransportKind::Grpc).grpc_server(&wire.url);
    let provider = builder.retry(retry).resumable(true).build().unwrap();
    let answer = provider.generate(asking("[[mock tokens=30 delay=20]]"));
    let cutting = async {
        while gate.mock.served() == 0 {
            tokio::task::yield_now().await;
        }
        wire.cut();
    };
    let (answer, ()) = tokio::join!(answer, cutting);
    assert_eq!(answer.unwrap().usage.output, 30);
    assert_eq!(gate.mock.served(), 1, "the call was made again");
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_error_where_the_call_is_not_resumable() {
    let gate = Gate::open().await;
    let wire = Wire::to(&gate.grpc).await;
    let builder = gate.builder().transport(TransportKind::Grpc).grpc_server(&wire.url);
    let provider = builder.build().unwrap();
    let mut events = provider.stream(asking("[[mock tokens=5000 delay=10]]")).await.unwrap();
    events.next().await.unwrap().unwrap();
    wire.cut();
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    assert_eq!(last.unwrap().unwrap_err().kind(), ErrorKind::StreamInterrupted);
    assert!(gate.mock.saw_aborts(1, SOON).await, "the upstream was not left");
}

#[tokio::test]
async fn a_run_is_shown_joined_from_any_event_and_cancelled() {
    let gate = Gate::open().await;
    let keyed = gate.raw().with("idempotency-key", "k-1");
    let request = v1::GenerateRequest::from(asking("[[mock tokens=9]]"));
    let whole = keyed.call(method::STREAM, &request).await;
    let id = whole.metadata("x-request-id").unwrap().to_owned();

    let raw = gate.raw();
    for name in [id.as_str(), "key:k-1"] {
        let asked = v1::GetRunRequest { id: name.to_owned() };
        let run: v1::Run = raw.call(method::GET_RUN, &asked).await.message();
        let status = RunStatus::try_from(run).unwrap();
        assert_eq!((status.id.as_str(), status.state), (id.as_str(), RunState::Finished));
        assert_eq!(status.next_event, whole.messages.len() as u64);
        assert_eq!(status.usage.unwrap().output, 9);

        let asked = v1::ResumeRunRequest { id: name.to_owned(), after: Some(3) };
        let rest = raw.call(method::RESUME_RUN, &asked).await;
        assert_eq!(rest.code(), Code::Ok);
        assert_eq!(rest.messages, whole.messages[4..]);
        let first: v1::StreamResponse = prost::Message::decode(rest.messages[0].clone()).unwrap();
        assert_eq!(read_event(first).unwrap().unwrap().0, 4);
        let asked = v1::ResumeRunRequest { id: name.to_owned(), after: None };
        assert_eq!(raw.call(method::RESUME_RUN, &asked).await.messages, whole.messages);
    }
    // One that has ended stays as it ended.
    let cancel = v1::CancelRunRequest { id: id.clone() };
    assert_eq!(raw.call(method::CANCEL_RUN, &cancel).await.code(), Code::Ok);
    let run: v1::Run = raw.call(method::GET_RUN, &v1::GetRunRequest { id }).await.message();
    assert_eq!(run.state(), v1::RunState::Finished);
}

#[tokio::test]
async fn a_run_of_somebody_else_is_not_there() {
    let gate = Gate::open().await;
    let keyed = gate.raw().with("idempotency-key", "k-1");
    let request = v1::GenerateRequest::from(asking("mine"));
    let answer = keyed.call(method::GENERATE, &request).await;
    let id = answer.metadata("x-request-id").unwrap().to_owned();
    let stranger = gate.limited_key(100).await;
    let raw = gate.raw().with("authorization", &format!("Bearer {stranger}"));
    for answer in [
        raw.call(method::GET_RUN, &v1::GetRunRequest { id: id.clone() }).await,
        raw.call(method::CANCEL_RUN, &v1::CancelRunRequest { id: id.clone() }).await,
        raw.call(method::RESUME_RUN, &v1::ResumeRunRequest { id, after: None }).await,
    ] {
        assert_eq!(answer.code(), Code::NotFound);
        assert_eq!(answer.error().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn dropping_a_resumable_stream_tells_the_server_to_cancel_it() {
    let gate = Gate::open().await;
    let builder = gate.builder().transport(TransportKind::Grpc).grpc_server(&gate.grpc);
    let provider = builder.resumable(true).build().unwrap();
    let mut events = provider.stream(asking("[[mock tokens=5000 delay=10]]")).await.unwrap();
    events.next().await.unwrap().unwrap();
    drop(events);
    // Long before the grace of a run that nobody reads is over.
    assert!(gate.mock.saw_aborts(1, SOON).await, "the upstream was not left");
}
