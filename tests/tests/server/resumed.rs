//! The client and the server over a network that breaks: one call, one charge, every event once.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::copy,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tollgate_bench::Mock;
use tollgate_client::{RemoteProvider, RetryPolicy};
use tollgate_tests::server::{Key, Server, eventually};
use tollgate_types::{
    CallOptions, EventStream, GenerateRequest, Message, Provider, Result, StreamEvent,
};

/// A way to the server that lets so many bytes of each answer pass, then breaks; and no more at the
/// end of the list, where it holds.
struct Cutter {
    addr: SocketAddr,
    _task: JoinSet<()>,
}

impl Cutter {
    async fn to(server: SocketAddr, cuts: Vec<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            let mut cuts = cuts.into_iter();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(server).await.unwrap();
                let cut = cuts.next().unwrap_or(u64::MAX);
                connections.spawn(pass(client, server, cut));
            }
        });
        Self { addr, _task: task }
    }

    fn provider(&self, key: &Key) -> RemoteProvider {
        let retry = RetryPolicy {
            initial_wait: Duration::from_millis(10),
            max_retries: 10,
            ..RetryPolicy::default()
        };
        let builder = RemoteProvider::builder().server(format!("http://{}", self.addr));
        builder.api_key(&key.text).retry(retry).resumable(true).build().unwrap()
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, cut: u64) {
    let (mut from_client, mut to_client) = client.split();
    let (from_server, mut to_server) = server.split();
    let mut from_server = tokio::io::AsyncReadExt::take(from_server, cut);
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        _ = copy(&mut from_server, &mut to_client) => {}
    }
}

fn request(script: &str) -> GenerateRequest {
    GenerateRequest::new(format!("mock/mock-{script}"), vec![Message::user("a b")])
}

async fn all(mut stream: EventStream) -> Vec<Result<StreamEvent>> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    events
}

async fn address(server: &Server) -> SocketAddr {
    server.url().trim_start_matches("http://").parse().unwrap()
}

#[tokio::test]
async fn a_stream_over_a_way_that_breaks_is_the_one_that_was_made() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.any_key().await;
    let script = "tokens=60,delay=3";
    for seed in 0..8 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let cuts = (0..9).map(|_| rng.u64(0..4000)).collect();
        let way = Cutter::to(address(&server).await, cuts).await;
        let once = CallOptions::default().idempotency_key(format!("s{seed}"));
        let stream = way.provider(&key).stream(request(script).options(once.clone())).await;
        let broken = all(stream.unwrap()).await;
        let whole = server.remote(&key).stream(request(script).options(once)).await.unwrap();
        assert_eq!(broken, all(whole).await, "seed {seed}");
        assert!(matches!(broken.last(), Some(Ok(StreamEvent::Finish { .. }))), "seed {seed}");
        assert_eq!(mock.served(), usize::try_from(seed).unwrap() + 1);
    }
    assert!(mock.aborted().is_empty());
    assert_eq!(server.settled(8).await.len(), 8);
}

#[tokio::test]
async fn a_whole_answer_over_a_way_that_breaks_is_made_once() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.any_key().await;
    let way = Cutter::to(address(&server).await, vec![0, 0, 40, 200, 700]).await;
    let answer = way.provider(&key).generate(request("tokens=20,delay=3")).await.unwrap();
    assert_eq!(answer.usage.output, 20);
    assert_eq!((mock.served(), mock.aborted().len()), (1, 0));
    assert_eq!(server.settled(1).await.len(), 1);
}

#[tokio::test]
async fn a_resumable_call_that_is_dropped_stops_the_provider() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.any_key().await;
    let way = Cutter::to(address(&server).await, vec![]).await;
    let provider = way.provider(&key);
    let mut stream = provider.stream(request("stall=3")).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    assert!(mock.saw_aborts(1, Duration::from_secs(5)).await);
    // Before its first event it is known by its key alone.
    let call = provider.generate(request("headers_delay=60000"));
    let asked = eventually("the provider is asked", async || (mock.served() == 2).then_some(()));
    tokio::select! {
        answer = call => panic!("{answer:?}"),
        () = asked => {}
    }
    assert!(mock.saw_aborts(2, Duration::from_secs(5)).await);
    server.settled(1).await;
}
