//! Spans of calls: the names of the conventions, and nothing of what was said.

use crate::{
    ANSWER, KEY, builder,
    server::{Reply, Server},
};
use serde_json::Value;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};
use tollgate_client::RemoteProvider;
use tollgate_types::{
    CallOptions, EmbedRequest, GenerateRequest, Message, Provider, Sampling, Secret,
};
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

const PROMPT: &str = "the planted prompt";

/// What was logged, whatever its level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Everything that is logged on this thread from now on.
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The fields of each span of this client as it was closed. Nothing secret is in any line.
    fn spans(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        for secret in
            [PROMPT, "sup3rs3cr3t", "tg_own", "planted answer", "planted tag", "planted source"]
        {
            assert!(!text.contains(secret), "{secret:?} is in {text}");
        }
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let closed = lines.filter(|line| {
            line["fields"]["message"] == "close" && line["target"] == "tollgate_client"
        });
        closed.map(|line| line["span"].clone()).collect()
    }
}

fn asked() -> GenerateRequest {
    let mut options = CallOptions::default().max_retries(0).tag("note", "planted tag");
    options.credential = Some(Secret::from("tg_own"));
    let sampling = Sampling {
        max_output_tokens: Some(64),
        temperature: Some(0.5),
        stop: vec!["planted source".to_owned()],
        ..Sampling::default()
    };
    GenerateRequest::new("", vec![Message::user(PROMPT)]).sampling(sampling).options(options)
}

fn provider(server: &Server) -> RemoteProvider {
    builder(&server.url).tag("note", "planted tag").build().unwrap()
}

#[tokio::test]
async fn an_answer_is_told_by_the_names_of_the_conventions() {
    let answer = ANSWER.replace("\"hi\"", "\"planted answer\"");
    let vectors = r#"{"vectors": [[0.5]], "usage": {"input": 7, "output": 0}, "model": "small"}"#;
    let server = Server::play(vec![Reply::body(200, &answer), Reply::body(200, vectors)]).await;
    let (log, _guard) = Log::listen();
    provider(&server).generate(asked()).await.unwrap();
    provider(&server).embed(EmbedRequest::new("mock/e", [PROMPT])).await.unwrap();
    let spans = log.spans();
    assert_eq!(spans.len(), 2, "{spans:?}");
    let port: u64 = server.url.rsplit(':').next().unwrap().parse().unwrap();
    for (name, value) in [
        ("otel.name", Value::from("chat mock/echo")),
        ("otel.kind", "client".into()),
        ("gen_ai.operation.name", "chat".into()),
        ("gen_ai.provider.name", "tollgate".into()),
        ("gen_ai.request.model", "mock/echo".into()),
        ("gen_ai.request.stream", false.into()),
        ("gen_ai.request.max_tokens", 64.into()),
        ("gen_ai.request.temperature", 0.5.into()),
        ("gen_ai.response.model", "echo".into()),
        ("gen_ai.response.finish_reasons", "[\"stop\"]".into()),
        ("gen_ai.usage.input_tokens", 3.into()),
        ("gen_ai.usage.output_tokens", 1.into()),
        ("server.address", "127.0.0.1".into()),
        ("server.port", port.into()),
        ("tollgate.request_id", "req-1".into()),
        ("tollgate.cost_nano_usd", 42.into()),
        ("tollgate.provider", "mock".into()),
    ] {
        assert_eq!(spans[0][name], value, "{name}");
    }
    assert_eq!(spans[0]["error.type"], Value::Null);
    assert_eq!(spans[1]["otel.name"], "embeddings mock/e");
    assert_eq!(spans[1]["gen_ai.usage.input_tokens"], 7);
}

#[tokio::test]
async fn a_stream_is_one_span_until_its_end() {
    let body = concat!(
        "data: {\"type\":\"start\",\"origin\":{\"api\":\"a\",\"provider\":\"p\",\"model\":\"m\"},\"request_id\":\"req-1\"}\n\n",
        "data: {\"type\":\"part_start\",\"index\":0,\"part\":{\"type\":\"text\",\"text\":\"planted answer\"}}\n\n",
        "data: {\"type\":\"finish\",\"finish\":{\"reason\":\"length\"},\"usage\":{\"input\":9,\"output\":4,\"cache_read\":2}}\n\n",
    );
    let server =
        Server::play(vec![Reply::events(&[body]), Reply::open_events(&[&body[..80]])]).await;
    let (log, _guard) = Log::listen();
    let stream = provider(&server).stream(asked()).await.unwrap();
    assert!(log.spans().is_empty(), "the span lasts as long as the stream");
    stream.collect().await.unwrap();
    provider(&server).stream(asked()).await.unwrap().collect().await.unwrap_err();
    let spans = log.spans();
    assert_eq!(spans[0]["gen_ai.request.stream"], true);
    assert_eq!(spans[0]["gen_ai.response.finish_reasons"], "[\"length\"]");
    assert_eq!(spans[0]["gen_ai.usage.input_tokens"], 11);
    assert_eq!(spans[0]["gen_ai.usage.cache_read.input_tokens"], 2);
    assert_eq!(spans[0]["tollgate.request_id"], "req-1");
    assert_eq!(spans[1]["error.type"], "stream_interrupted");
    assert_eq!(spans[1]["otel.status_code"], "ERROR");
}

#[tokio::test]
async fn a_failure_is_told_by_its_kind() {
    let echo = format!("you said {PROMPT} with {KEY}");
    let replies = vec![Reply::error(401, "authentication", false), Reply::body(500, &echo)];
    let server = Server::play(replies).await;
    let (log, _guard) = Log::listen();
    for _ in 0..2 {
        provider(&server).generate(asked()).await.unwrap_err();
    }
    let spans = log.spans();
    assert_eq!(
        (&spans[0]["error.type"], &spans[1]["error.type"]),
        (&"authentication".into(), &"upstream".into())
    );
    assert_eq!(spans[0]["http.response.status_code"], 401);
    assert_eq!(spans[0]["tollgate.request_id"], "req-1");
}
