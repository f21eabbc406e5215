//! HTTP as any client speaks it, and server-sent events read by hand.

use super::PATIENCE;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use std::sync::OnceLock;

/// A server's HTTP interface, with a key.
#[derive(Clone, Debug)]
pub struct Api {
    http: Client,
    url: String,
    key: String,
    number: Option<u64>,
    once: Option<String>,
}

/// A streamed answer.
#[derive(Debug)]
pub struct Events {
    response: Response,
    buffer: String,
    /// Tollgate's id of the request.
    pub request_id: String,
}

impl Api {
    pub(super) fn new(url: &str, key: &str) -> Self {
        static CRYPTO: OnceLock<()> = OnceLock::new();
        // Nothing is encrypted here, but a client cannot be made without.
        CRYPTO.get_or_init(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { http, url: url.to_owned(), key: key.to_owned(), number: None, once: None }
    }

    /// The same, with a number on every request, which its entry has as a tag.
    #[must_use]
    pub fn numbered(&self, number: u64) -> Self {
        Self { number: Some(number), ..self.clone() }
    }

    /// The same, with an idempotency key on every request.
    #[must_use]
    pub fn once(&self, key: &str) -> Self {
        Self { once: Some(key.to_owned()), ..self.clone() }
    }

    fn with_key(&self, request: RequestBuilder) -> RequestBuilder {
        let mut request = request.bearer_auth(&self.key);
        if let Some(once) = &self.once {
            request = request.header("idempotency-key", once);
        }
        match self.number {
            Some(number) => request.header("x-tollgate-tag-number", number),
            None => request,
        }
    }

    /// GET; the status and the JSON.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.with_key(self.http.get(format!("{}{path}", self.url)));
        read(request.send().await.unwrap()).await
    }

    /// POST of JSON, without waiting for the body.
    pub async fn send(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        self.with_key(self.http.post(format!("{}{path}", self.url))).json(body).send().await
    }

    /// POST of JSON; the status and the JSON.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        read(self.send(path, body).await.unwrap()).await
    }

    /// One whole answer of a model.
    pub async fn ask(&self, model: &str, text: &str, max_output: u32) -> Value {
        let (status, answer) =
            self.post("/api/v1/generate", &question(model, text, max_output)).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// A native stream; see [`Api::events`].
    pub async fn stream(
        &self,
        model: &str,
        text: &str,
        max_output: u32,
    ) -> Result<Events, Option<u16>> {
        self.events("/api/v1/stream", &question(model, text, max_output)).await
    }

    /// A stream of any dialect. An answer that is not 200 is returned as its status, a connection
    /// that broke before the answer began as none.
    pub async fn events(&self, path: &str, body: &Value) -> Result<Events, Option<u16>> {
        let response = self.send(path, body).await.map_err(|_| None)?;
        if response.status() != 200 {
            return Err(Some(response.status().as_u16()));
        }
        Ok(Events::of(response))
    }
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

/// The body of a native request without chance.
pub fn question(model: &str, text: &str, max_output: u32) -> Value {
    json!({
        "model": model,
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}],
        "sampling": {"temperature": 0.0, "max_output_tokens": max_output},
    })
}

impl Events {
    pub(super) fn of(response: Response) -> Self {
        let id = response.headers().get("x-request-id").unwrap();
        let request_id = id.to_str().unwrap().to_owned();
        Self { response, buffer: String::new(), request_id }
    }

    /// The next event's data; none at the end of the stream, however it ended. `[DONE]` is a text.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let data = data.map(|data| serde_json::from_str(data).unwrap_or(json!(data)));
                self.buffer = rest.to_owned();
                match data {
                    Some(data) => return Some(data),
                    None => continue,
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Reads until so many pieces of the answer came.
    pub async fn deltas(&mut self, count: usize) {
        let mut seen = 0;
        while seen < count {
            let event = self.next().await.unwrap_or_else(|| panic!("only {seen} pieces came"));
            seen += usize::from(event["type"] == "part_delta");
        }
    }

    /// Reads the rest; returns all of it.
    pub async fn rest(mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// All text of a native answer.
pub fn text_of(answer: &Value) -> String {
    let parts = answer["content"].as_array().into_iter().flatten();
    parts.filter_map(|part| part["text"].as_str()).collect()
}
