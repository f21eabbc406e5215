//! A client that sends whatever bytes and metadata it is told.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use prost::Message;
use reqwest::{
    Body, Client,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tollgate_types::{Error, proto::metadata::ERROR};
use tonic::{Code, metadata::MetadataMap};

pub struct Raw {
    client: Client,
    server: String,
    headers: HeaderMap,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: HeaderMap,
    pub messages: Vec<Bytes>,
    pub trailers: HeaderMap,
}

impl Raw {
    pub fn new(server: &str, key: &str) -> Self {
        let client = Client::builder().tls_certs_only([]).http2_prior_knowledge();
        let raw = Self {
            client: client.build().unwrap(),
            server: server.to_owned(),
            headers: HeaderMap::new(),
        };
        raw.with("content-type", "application/grpc")
            .with("te", "trailers")
            .with("authorization", &format!("Bearer {key}"))
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Sends bytes as they are.
    pub async fn try_send(
        &self,
        method: &str,
        body: Vec<u8>,
    ) -> reqwest::Result<reqwest::Response> {
        let request = self.client.post(format!("{}{method}", self.server));
        request.headers(self.headers.clone()).body(body).send().await
    }

    pub async fn send(&self, method: &str, body: Vec<u8>) -> Answer {
        let response = self.try_send(method, body).await.unwrap();
        let (status, head) = (response.status().as_u16(), response.headers().clone());
        let whole = Body::from(response).collect().await.unwrap();
        let trailers = whole.trailers().cloned().unwrap_or_default();
        Answer { status, head, messages: frames(whole.to_bytes()), trailers }
    }

    /// Sends one message.
    pub async fn call(&self, method: &str, message: &impl Message) -> Answer {
        self.send(method, framed(&message.encode_to_vec())).await
    }
}

/// A message in its frame.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat()
}

fn frames(mut bytes: Bytes) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(bytes[0], 0, "compressed, unasked");
        let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        messages.push(bytes.slice(5..5 + length));
        bytes = bytes.slice(5 + length..);
    }
    messages
}

/// The messages of what has come so far, which may end within one.
pub fn whole_frames(bytes: &BytesMut) -> usize {
    let (mut at, mut count) = (0, 0);
    while bytes.len() >= at + 5 {
        let length = u32::from_be_bytes(bytes[at + 1..at + 5].try_into().unwrap()) as usize;
        at += 5 + length;
        count += usize::from(bytes.len() >= at);
    }
    count
}

impl Answer {
    /// A piece of metadata, before or behind the messages.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        let value = self.trailers.get(name).or_else(|| self.head.get(name));
        value.map(|value| value.to_str().unwrap())
    }

    pub fn code(&self) -> Code {
        let code = self.metadata("grpc-status").unwrap_or_else(|| panic!("no status: {self:?}"));
        Code::from_i32(code.parse().unwrap())
    }

    /// The whole error.
    pub fn error(&self) -> Error {
        let both = self.head.clone().into_iter().chain(self.trailers.clone());
        let both = both.filter_map(|(name, value)| Some((name?, value)));
        let metadata = MetadataMap::from_headers(both.collect());
        let json = metadata.get_bin(ERROR).unwrap_or_else(|| panic!("no error: {self:?}"));
        serde_json::from_slice(&json.to_bytes().unwrap()).unwrap()
    }

    pub fn message<M: Message + Default>(&self) -> M {
        assert_eq!((self.status, self.code()), (200, Code::Ok), "{self:?}");
        assert_eq!(self.messages.len(), 1, "{self:?}");
        M::decode(self.messages[0].clone()).unwrap()
    }
}
