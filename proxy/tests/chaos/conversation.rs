//! One conversation over a network of its own that fails.

use crate::{LIMIT, transports::TRANSPORTS, world::World};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tollgate_bench::faults::Faults;
use tollgate_client::{RemoteProvider, RetryPolicy};
use tollgate_types::{
    CallOptions, Error, ErrorKind, GenerateRequest, GenerateResponse, Message, Provider, Result,
    testing::{Heard, Scene},
};

/// Connections of a conversation that something befalls.
const HARMED: u64 = 4;

/// How much later than its limit a call may end, on a busy machine.
const SLACK: Duration = Duration::from_secs(6);

/// What a call may fail with, when the network fails or the server dies.
const TYPED: [ErrorKind; 7] = [
    ErrorKind::Connection,
    ErrorKind::Timeout,
    ErrorKind::StreamInterrupted,
    ErrorKind::Overloaded,
    ErrorKind::Conflict,
    ErrorKind::Cancelled,
    ErrorKind::Upstream,
];

/// A logical call, and how it ended.
#[derive(Debug)]
pub struct Called {
    /// The model's name, which no other call has.
    pub model: String,
    /// Absent when it was answered as it should be.
    pub error: Option<Error>,
    /// The request that the answer's receipt names.
    pub request_id: Option<String>,
    /// The transport that it went over.
    pub way: &'static str,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// How long it took.
    pub took: Duration,
}

/// What became of a conversation in which nothing was wrong.
#[derive(Debug)]
pub struct Told {
    pub calls: Vec<Called>,
    /// Connections that were made.
    pub connections: u64,
}

/// A conversation to be.
pub struct Conversation {
    seed: u64,
    random: fastrand::Rng,
    network: Faults,
    grpc_network: Faults,
    way: &'static str,
    remote: Arc<dyn Provider>,
    calls: Vec<Called>,
}

impl Conversation {
    pub async fn of(world: &World, seed: u64) -> Self {
        let network = Faults::seeded(world.addr, seed, HARMED).await.unwrap();
        let grpc_network = Faults::seeded(world.grpc, seed, HARMED).await.unwrap();
        let retry = RetryPolicy {
            // Enough for the time that a server takes to end in good order and to come back.
            max_retries: 40,
            initial_wait: Duration::from_millis(20),
            max_wait: Duration::from_millis(300),
            ..RetryPolicy::default()
        };
        let remote = RemoteProvider::builder()
            .server(network.url())
            .api_key(&world.key)
            .retry(retry)
            .resumable(true)
            .connect_timeout(Duration::from_secs(2))
            .idle_timeout(Duration::from_millis(700));
        let ways = u64::try_from(TRANSPORTS.len()).unwrap();
        let (way, transport) = TRANSPORTS[usize::try_from(seed / 3 % ways).unwrap()];
        let remote = Arc::new(transport(remote, &grpc_network.url()).build().unwrap());
        let random = fastrand::Rng::with_seed(seed);
        Self { seed, random, network, grpc_network, way, remote, calls: Vec::new() }
    }

    /// Makes it; what was wrong, if something was.
    pub async fn run(mut self) -> std::result::Result<Told, String> {
        match self.seed % 3 {
            0 => self.chat(false).await?,
            1 => self.chat(true).await?,
            _ => self.tool_loop().await?,
        }
        let connections = self.network.connections() + self.grpc_network.connections();
        Ok(Told { connections, calls: self.calls })
    }

    fn model(&self, script: &str) -> String {
        // A word that means nothing to the mock tells the calls apart.
        format!("mock/mock-{script},call={}.{}", self.seed, self.calls.len())
    }

    fn words(&mut self) -> String {
        let count = self.random.usize(3..40);
        let words: Vec<String> = (0..count).map(|n| format!("{}-{n}", self.seed)).collect();
        words.join(" ")
    }

    /// One call: what it says must be this text.
    async fn chat(&mut self, streamed: bool) -> std::result::Result<(), String> {
        let text = self.words();
        let script = format!("delay={}", self.random.u64(0..6));
        let model = self.model(&script);
        let request = GenerateRequest::new(model, vec![Message::user(&text)]);
        match self.ask(request, streamed).await? {
            Some(answer) if answer.text() != text => {
                Err(format!("{:?} instead of {text:?}", answer.text()))
            }
            _ => Ok(()),
        }
    }

    /// Two calls: the model calls a tool, and says its result.
    async fn tool_loop(&mut self) -> std::result::Result<(), String> {
        let streamed = self.random.bool();
        let script = format!("tool,once,fill,preface=2,delay={}", self.random.u64(0..6));
        let ask = vec![Message::user("add")];
        let mut request = GenerateRequest::new(self.model(&script), ask).tools(vec![Scene::tool()]);
        let Some(answer) = self.ask(request.clone(), streamed).await? else { return Ok(()) };
        let calls: Vec<_> = answer.tool_calls().cloned().collect();
        let [call] = calls.as_slice() else { return Err(format!("not one call: {answer:?}")) };
        if call.arguments != r#"{"a":1,"b":"w0"}"# {
            return Err(format!("other arguments: {call:?}"));
        }
        let result = self.words();
        request.messages.push(answer.into_message());
        request.messages.push(Message::tool_result(call, &result));
        request.model = self.model(&script);
        match self.ask(request, !streamed).await? {
            Some(answer) if answer.text() != result => {
                Err(format!("{:?} instead of {result:?}", answer.text()))
            }
            _ => Ok(()),
        }
    }

    /// Makes a call; its answer, unless it failed as it may.
    async fn ask(
        &mut self,
        request: GenerateRequest,
        streamed: bool,
    ) -> std::result::Result<Option<GenerateResponse>, String> {
        let model = request.model.clone();
        let request = request.options(CallOptions::default().timeout(LIMIT));
        let started = Instant::now();
        let call = async {
            if streamed {
                self.stream(request).await
            } else {
                Ok(self.remote.generate(request).await)
            }
        };
        let limit = LIMIT + SLACK;
        let Ok(ended) = tokio::time::timeout(limit, call).await else {
            return Err(format!("{model} has not ended after {limit:?}"));
        };
        let answer = ended.map_err(|why| format!("{model}: {why}"))?;
        let request_id = answer
            .as_ref()
            .ok()
            .and_then(|answer| answer.receipt.as_ref().map(|receipt| receipt.request_id.clone()));
        let error = answer.as_ref().err().cloned();
        if let Some(error) = &error
            && (!TYPED.contains(&error.kind()) || error.message().is_empty())
        {
            return Err(format!("{model}: {error:?}"));
        }
        if error.is_none() && request_id.is_none() {
            return Err(format!("{model}: an answer without a receipt"));
        }
        let took = started.elapsed();
        let way = self.way;
        self.calls.push(Called { model, error, request_id, way, streamed, took });
        Ok(answer.ok())
    }

    /// A stream in good order, or why it is not.
    async fn stream(
        &self,
        request: GenerateRequest,
    ) -> std::result::Result<Result<GenerateResponse>, String> {
        match self.remote.stream(request).await {
            Ok(stream) => Ok(Heard::of(stream).await?.answer()),
            Err(error) => Ok(Err(error)),
        }
    }
}
