//! As much of HTTP/1.1 as the tests need, down to the bytes.

use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tollgate_bench::{Mock, MockOptions};

/// How long tests wait for what must happen. Only failing tests wait that long.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    /// The body without its transfer coding.
    pub(crate) body: String,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
}

/// A mock for one test.
pub(crate) async fn mock() -> Mock {
    Mock::start().await.unwrap()
}

/// A mock that wants this key.
pub(crate) async fn locked(key: &str) -> Mock {
    let require_key = Some(key.to_owned());
    Mock::with(MockOptions { require_key, ..MockOptions::default() }).await.unwrap()
}

/// Posts JSON.
pub(crate) async fn post(mock: &Mock, path: &str, body: &Value) -> Answer {
    send(mock, "POST", path, &[], body.to_string().as_bytes()).await
}

/// Gets a path with some headers.
pub(crate) async fn get(mock: &Mock, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(mock, "GET", path, headers, b"").await
}

/// Sends a request and reads all that comes.
pub(crate) async fn send(
    mock: &Mock,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut socket = open(mock, method, path, headers, body).await;
    let mut bytes = Vec::new();
    // A broken connection shows in what was read.
    let read = tokio::time::timeout(SOON, socket.read_to_end(&mut bytes)).await.unwrap();
    Answer::of(&bytes, read.is_ok())
}

/// Sends a request and leaves the answer to the test.
pub(crate) async fn open(
    mock: &Mock,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> TcpStream {
    let mut socket = TcpStream::connect(mock.addr()).await.unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body).await.unwrap();
    socket
}

impl Answer {
    fn of(bytes: &[u8], clean: bool) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, rest) = text.split_once("\r\n\r\n").expect("no head came");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let head = head.to_lowercase();
        let (body, ended) = if head.contains("transfer-encoding: chunked") {
            chunks(rest)
        } else {
            (rest.to_owned(), true)
        };
        Self { status, head, body, whole: clean && ended }
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        let json = serde_json::from_str(&self.body);
        json.unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }

    /// The data of server-sent events that end with this mark, in order.
    pub(crate) fn data(&self, mark: &str) -> Vec<&str> {
        assert!(self.body.ends_with(mark), "the last event does not end: {}", self.body);
        let events = self.body.split(mark).filter(|event| !event.is_empty());
        events.map(|event| event.rsplit_once("data: ").unwrap().1).collect()
    }

    /// The named events; each name is that of its data.
    pub(crate) fn events(&self) -> Vec<Value> {
        let blocks = self.body.split("\n\n").filter(|block| !block.is_empty());
        blocks
            .map(|block| {
                let (name, data) = block.split_once('\n').unwrap();
                let json: Value =
                    serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                assert_eq!(name.strip_prefix("event: ").unwrap(), json["type"], "{block}");
                json
            })
            .collect()
    }

    /// The lines of JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        assert!(self.body.ends_with('\n'), "the last line does not end: {}", self.body);
        self.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The body within its chunks, and whether the last chunk came.
fn chunks(mut rest: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let Some(chunk) = more.get(..size) else { break };
        body.push_str(chunk);
        rest = more.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}

/// Joins the texts at a place of many values.
pub(crate) fn joined<'a>(values: impl IntoIterator<Item = &'a Value>, place: &str) -> String {
    values.into_iter().filter_map(|value| value.pointer(place)?.as_str()).collect()
}

/// The schema of a tool's arguments, which the mock says back as arguments.
pub(crate) fn schema() -> Value {
    json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
}
