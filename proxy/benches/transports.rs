//! What the way between client and server adds to each event: streams side by side, whose events
//! carry the moment at which they were made, read in the same process without a network, over HTTP,
//! over WebSocket and over gRPC.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints what it found, and stops where it cannot go on"
)]

use futures_util::future::join_all;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};
use tollgate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    app::App,
    catalog::Catalog,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    serve::{self, Listeners},
    store::UserRow,
};
use tollgate_client::{RemoteProvider, TransportKind};
use tollgate_types::{
    BoxFuture, EventStream, Extras, FinishReason, GenerateRequest, Message, Origin, Part, Provider,
    Result, StreamEvent, Usage,
};

/// Streams that run at once.
const STREAMS: usize = 1000;
/// Events of one stream, those of them that come while others still begin, and the time between two.
const EVENTS: usize = 30;
const WARM: usize = 10;
const PACE: Duration = Duration::from_millis(200);
/// Every way in turn, so many times; medians.
const ROUNDS: usize = 3;

/// A provider whose events say when they were made.
#[derive(Debug)]
struct Stamps(Instant);

impl Provider for Stamps {
    fn name(&self) -> &'static str {
        "mock"
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        let (epoch, model) = (self.0, request.model);
        let api = "bench".to_owned();
        let origin = Origin { api, provider: "mock".to_owned(), model, response_id: None };
        let begin = vec![
            StreamEvent::Start { origin, request_id: None, warnings: Vec::new() },
            StreamEvent::PartStart { index: 0, part: Part::text("") },
        ];
        let end = vec![
            StreamEvent::part_end(0),
            StreamEvent::Finish {
                finish: FinishReason::Stop.into(),
                usage: Usage::tokens(10, 20),
                extras: Extras::new(),
                receipt: None,
            },
        ];
        let events = futures_util::stream::unfold(0, move |count| {
            let (begin, end) = (begin.clone(), end.clone());
            async move {
                let next = match count {
                    0 => begin,
                    count if count > EVENTS => return None,
                    count => {
                        // Streams that begin together do not stay in step.
                        tokio::time::sleep((PACE * 2).mul_f64(fastrand::f64())).await;
                        let stamp = epoch.elapsed().as_nanos().to_string();
                        let stamp = StreamEvent::delta(0, format!("{stamp} "));
                        if count == EVENTS { [vec![stamp], end].concat() } else { vec![stamp] }
                    }
                };
                Some((futures_util::stream::iter(next.into_iter().map(Ok)), count + 1))
            }
        });
        let events = futures_util::StreamExt::flatten(events);
        Box::pin(async move { Ok(EventStream::new(events)) })
    }
}

/// How long each event of many streams was on its way, sorted.
async fn measure(provider: &dyn Provider, epoch: Instant) -> Vec<Duration> {
    let streams = (0..STREAMS).map(async |_| {
        let request = GenerateRequest::new("mock/m", vec![Message::user("go")]);
        let mut events = provider.stream(request).await.unwrap();
        let mut delays = Vec::new();
        while let Some(event) = events.next().await {
            if let StreamEvent::PartDelta { delta, .. } = event.unwrap() {
                let made = Duration::from_nanos(delta.trim().parse().unwrap());
                delays.push(epoch.elapsed().saturating_sub(made));
            }
        }
        delays.split_off(WARM)
    });
    let mut delays = join_all(streams).await.concat();
    assert_eq!(delays.len(), STREAMS * (EVENTS - WARM));
    delays.sort_unstable();
    delays
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only asks whether this builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let epoch = Instant::now();
    let stamps = Arc::new(Stamps(epoch));
    let ([url, grpc_url], key, _keep) = serve_over(Arc::clone(&stamps)).await;
    let remote = |kind| -> Arc<dyn Provider> {
        let builder = RemoteProvider::builder().server(&url).api_key(&key).transport(kind);
        Arc::new(builder.grpc_server(&grpc_url).build().unwrap())
    };
    let ways: [(&str, Arc<dyn Provider>); 4] = [
        ("in process", stamps),
        ("HTTP", remote(TransportKind::Http)),
        ("WebSocket", remote(TransportKind::WebSocket)),
        ("gRPC", remote(TransportKind::Grpc)),
    ];
    println!("{STREAMS} streams of {EVENTS} events, one every {PACE:?}: delay of an event");
    let mut found: [[Vec<Duration>; 2]; 4] = Default::default();
    for _ in 0..ROUNDS {
        for ((_, provider), [p50, p99]) in ways.iter().zip(&mut found) {
            let delays = measure(provider.as_ref(), epoch).await;
            let at = |percent: usize| delays.get(delays.len() * percent / 100).copied().unwrap();
            p50.push(at(50));
            p99.push(at(99));
        }
    }
    for ((name, _), [p50, p99]) in ways.iter().zip(found) {
        let (p50, p99) = (median(p50).as_micros(), median(p99).as_micros());
        println!("{name:>12}: p50 {p50:>7} us, p99 {p99:>7} us");
    }
}

fn median(mut rounds: Vec<Duration>) -> Duration {
    rounds.sort_unstable();
    rounds.get(rounds.len() / 2).copied().unwrap()
}

/// A server over a provider: its addresses, for gRPC the second, a key, and what keeps it running.
#[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
async fn serve_over(
    provider: Arc<Stamps>,
) -> ([String; 2], String, (TempDir, oneshot::Sender<()>)) {
    let folder = TempDir::new().unwrap();
    let text = format!(
        "[store]\nurl = \"sqlite:{}\"\n[limits]\nmax_concurrent = 4096\n\
         [[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\n",
        folder.path().join("books.db").display(),
    );
    let config = Config::parse(Path::new("bench.toml"), &text, &Environment::default()).unwrap();
    let catalog = async { Ok(Catalog::of(&config, vec![provider as Arc<dyn Provider>]).await) };
    let app = App::around(&config, catalog).await.unwrap();
    let user = UserRow {
        id: new_id(&SystemClock),
        name: "bench".to_owned(),
        role: Role::Member.as_str().to_owned(),
        time_zone: "UTC".to_owned(),
        permissions: "{}".to_owned(),
        created_ms: SystemClock.now_ms(),
        ..UserRow::default()
    };
    app.front.store.insert_user(&user, &[]).await.unwrap();
    let order = KeyOrder {
        name: "bench".to_owned(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: Vec::new(),
    };
    let key = issue_key(&app.front.store, &SystemClock, &user, order).await.unwrap();
    let listen = || TcpListener::bind("127.0.0.1:0");
    let (http, grpc) = (listen().await.unwrap(), listen().await.unwrap());
    let urls = [&http, &grpc].map(|socket| format!("http://{}", socket.local_addr().unwrap()));
    let (stop, stopped) = oneshot::channel();
    let listeners = Listeners { http, grpc: Some(grpc) };
    tokio::spawn(serve::run(app, listeners, async {
        drop(stopped.await);
    }));
    (urls, key.key.expose().clone(), (folder, stop))
}
