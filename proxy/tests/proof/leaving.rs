//! Callers who leave at any moment: the upstream stops, nothing runs on and nothing stays held.

use crate::{
    place::{Place, SOON, eventually, soon},
    transports::{TRANSPORTS, Transport},
    vendor::Vendor,
};
use std::{
    future::poll_fn,
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, time::sleep};
use tollgate_bench::Mock;
use tollgate_client::RemoteProvider;
use tollgate_types::{
    BoxFuture, EmbedRequest, EventStream, GenerateRequest, Message, Provider, Result,
};

/// How soon the upstream must know. The aim is 100 ms; a machine that is busy with other tests is
/// no reason to fail.
const BOUND: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Generate,
    Stream,
    Embed,
}

/// A model that never says a word.
const SILENT: &str = "mock-headers_delay=600000";
/// A model that says a word every few milliseconds, for minutes.
const SLOW: &str = "mock-tokens=9000,delay=5";

fn question(model: &str) -> GenerateRequest {
    let model = format!("{}/{model}", Vendor::Chat.name());
    GenerateRequest::new(model, vec![Message::user("go on")])
}

fn ask(remote: &dyn Provider, ask: Ask) -> BoxFuture<'_, Result<Option<EventStream>>> {
    Box::pin(async move {
        match ask {
            Ask::Generate => remote.generate(question(SILENT)).await.map(|_| None),
            Ask::Stream => remote.stream(question(SILENT)).await.map(Some),
            Ask::Embed => {
                let model = question(SILENT).model;
                remote.embed(EmbedRequest::new(model, ["one"])).await.map(|_| None)
            }
        }
    })
}

/// Polls so many times, each time when woken or after a moment.
async fn poll_times<T>(mut call: Pin<&mut (dyn Future<Output = T> + Send)>, times: usize) {
    for _ in 0..times {
        let mut moment = Box::pin(sleep(Duration::from_millis(3)));
        let mut polled = false;
        let ended = poll_fn(|cx| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(false);
            }
            if call.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            moment.as_mut().poll(cx).map(|()| false)
        });
        if ended.await {
            return;
        }
    }
}

/// Waits until the upstream is at rest; how long that took.
async fn at_rest(mock: &Mock, left: Instant) -> Duration {
    assert!(mock.works(|count| count == 0, SOON).await, "the upstream works on");
    left.elapsed()
}

/// A server, and the clients that leave it.
struct Scene {
    transport: Transport,
    resumable: bool,
    mock: Mock,
    place: Place,
    took: Vec<Duration>,
}

impl Scene {
    async fn new(transport: Transport, resumable: bool) -> Self {
        let mock = Mock::start().await.unwrap();
        let place = Place::over(&mock.url()).await;
        Self { transport, resumable, mock, place, took: Vec::new() }
    }

    /// A client of its own, so that its connections end with it.
    fn remote(&self) -> RemoteProvider {
        self.place.client(self.transport).resumable(self.resumable).build().unwrap()
    }

    /// Drops a call after so many polls.
    async fn leave_after_polls(&mut self, what: Ask, polls: usize) {
        let remote = self.remote();
        let mut call = ask(&remote, what);
        poll_times(call.as_mut(), polls).await;
        let worked = self.mock.working() > 0;
        let left = Instant::now();
        drop(call);
        let took = at_rest(&self.mock, left).await;
        if worked {
            self.took.push(took);
        }
    }

    /// Drops a call that the upstream works on, after a time.
    async fn leave_after_time(&mut self, what: Ask, time: Duration) {
        let remote = self.remote();
        let mut call = ask(&remote, what);
        tokio::select! {
            answer = &mut call => panic!("an answer came: {:?}", answer.map(drop)),
            working = self.mock.works(|count| count > 0, SOON) => assert!(working, "{what:?}"),
        }
        let wait = tokio::time::timeout(time, &mut call).await;
        assert!(wait.is_err(), "an answer came");
        let left = Instant::now();
        drop(call);
        self.took.push(at_rest(&self.mock, left).await);
    }

    /// Drops a stream after so many events, while the next one is awaited.
    async fn leave_after_events(&mut self, events: usize) {
        let remote = self.remote();
        let mut stream = soon("a stream", remote.stream(question(SLOW))).await.unwrap();
        for _ in 0..events {
            soon("an event", stream.next()).await.unwrap().unwrap();
        }
        drop(tokio::time::timeout(Duration::from_micros(500), stream.next()).await);
        assert_eq!(self.mock.working(), 1);
        let left = Instant::now();
        drop(stream);
        self.took.push(at_rest(&self.mock, left).await);
    }

    /// Nothing runs on and nothing stays held; what it took is printed.
    async fn ends(mut self, name: &str, tasks: usize) {
        let metrics = Handle::current().metrics();
        eventually("nothing is held", async || match self.place.held().await {
            0 => Ok(()),
            held => Err(format!("{held} are held")),
        })
        .await;
        eventually("no task is left behind", async || match metrics.num_alive_tasks() {
            count if count <= tasks => Ok(()),
            count => Err(format!("{count} tasks instead of {tasks}")),
        })
        .await;
        self.took.sort_unstable();
        let most = self.took.last().copied().unwrap_or_default();
        let middle = self.took.get(self.took.len() / 2).copied().unwrap_or_default();
        let name = format!("{name} over {}, resumable: {}", self.transport.0, self.resumable);
        println!("{name}: {} left, stopped after {middle:?}, at most {most:?}", self.took.len());
        assert!(most < BOUND, "the upstream stopped after {most:?}");
        assert!(!self.took.is_empty(), "nothing was ever at work");
    }

    /// Tasks that there are while nothing is asked: one call was made and its client is gone.
    async fn tasks_at_rest(&self) -> usize {
        let remote = self.remote();
        soon("an answer", remote.generate(question("mock-echo"))).await.unwrap();
        drop(remote);
        self.place.held().await;
        let metrics = Handle::current().metrics();
        let mut least = metrics.num_alive_tasks();
        // Connections take a moment to end.
        for _ in 0..20 {
            sleep(Duration::from_millis(5)).await;
            least = least.min(metrics.num_alive_tasks());
        }
        least
    }
}

/// Every transport, with calls that outlive their connections and with such that do not.
fn ways() -> impl Iterator<Item = (Transport, bool)> {
    TRANSPORTS.iter().flat_map(|transport| [(*transport, false), (*transport, true)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_dropped_at_any_poll_stops_the_upstream_and_leaves_nothing_behind() {
    for (transport, resumable) in ways() {
        for what in [Ask::Generate, Ask::Stream, Ask::Embed] {
            let mut scene = Scene::new(transport, resumable).await;
            let tasks = scene.tasks_at_rest().await;
            for polls in 0..24 {
                scene.leave_after_polls(what, polls).await;
            }
            for time in [0, 1, 3, 10, 30] {
                scene.leave_after_time(what, Duration::from_millis(time)).await;
            }
            scene.ends(&format!("{what:?}"), tasks).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_dropped_at_any_event_stops_the_upstream_and_leaves_nothing_behind() {
    for (transport, resumable) in ways() {
        let mut scene = Scene::new(transport, resumable).await;
        let tasks = scene.tasks_at_rest().await;
        for events in 0..24 {
            scene.leave_after_events(events).await;
        }
        scene.ends("an open stream", tasks).await;
    }
}
