//! Raw HTTP: requests that no honest client would send, answers taken apart.

use super::{Key, Server, soon};
use reqwest::{
    Client, RequestBuilder, Response,
    header::{HeaderMap, HeaderValue},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::Value;
use std::sync::Arc;

/// A client for plain HTTP.
pub fn client() -> Client {
    let trust = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Client::builder().tls_backend_preconfigured(trust).no_proxy().build().unwrap()
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub text: String,
}

impl Reply {
    /// Sends a request and reads the whole answer.
    pub async fn to(request: RequestBuilder) -> Self {
        let response = soon("the server answers", request.send()).await.unwrap();
        Self::read(response).await
    }

    /// Reads the rest of an answer.
    pub async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = soon("the answer ends", response.text()).await.unwrap();
        Self { status, headers, text }
    }

    /// A header; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// A value within the body; `null` when absent.
    pub fn at(&self, pointer: &str) -> Value {
        self.json().pointer(pointer).cloned().unwrap_or_default()
    }

    /// An error as every dialect writes it: a JSON object `error` with a message, or its text alone
    /// as Ollama writes it, and the id of the request in the header.
    pub fn assert_error(&self, status: u16, case: &str) {
        assert_eq!(self.status, status, "{case}: {}", self.text);
        assert!(self.header("x-request-id").len() == 26, "{case}: no request id");
        assert_eq!(self.header("content-type"), "application/json", "{case}");
        let message = match self.at("/error") {
            text @ Value::String(_) => text,
            _ => self.at("/error/message"),
        };
        let said = message.as_str().is_some_and(|message| !message.is_empty());
        assert!(said, "{case}: no message in {}", self.text);
    }
}

impl Server {
    /// A request with a key.
    pub fn request(&self, method: &str, path: &str, key: &Key) -> RequestBuilder {
        self.stranger(method, path).bearer_auth(&key.text)
    }

    /// A request without a credential.
    pub fn stranger(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.parse().unwrap();
        client().request(method, format!("{}{path}", self.url()))
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, key: &Key, body: &Value) -> Reply {
        Reply::to(self.request("POST", path, key).json(body)).await
    }

    /// Posts bytes as they are.
    pub async fn post_bytes(&self, path: &str, key: &Key, body: impl Into<Vec<u8>>) -> Reply {
        let kind = HeaderValue::from_static("application/json");
        let request = self.request("POST", path, key).header("content-type", kind);
        Reply::to(request.body(body.into())).await
    }

    /// Gets a path.
    pub async fn get(&self, path: &str, key: &Key) -> Reply {
        Reply::to(self.request("GET", path, key)).await
    }
}
