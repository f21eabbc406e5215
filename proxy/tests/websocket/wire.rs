//! A client of frames: it sends what it is told, as honest or hostile as the test wants it.

use crate::gate::{Gate, SOON};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Message, Utf8Bytes,
        client::IntoClientRequest,
        handshake::client::{Request, Response},
        protocol::frame::coding::CloseCode,
    },
};

/// A connection of a client.
pub struct Wire(pub WebSocketStream<TcpStream>);

/// What the end of a connection says.
pub type Closed = Option<(CloseCode, Utf8Bytes)>;

/// A handshake without a credential.
pub fn handshake(gate: &Gate, path: &str) -> Request {
    format!("ws://{}{path}", gate.addr).into_client_request().unwrap()
}

/// A handshake with the key.
pub fn greeting(gate: &Gate) -> Request {
    let mut request = handshake(gate, "/api/v1/ws");
    let bearer = format!("Bearer {}", gate.key).parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    request
}

/// A connection that is let in, and the answer to its handshake.
pub async fn shake(gate: &Gate, request: Request) -> (Wire, Response) {
    let socket = TcpStream::connect(gate.addr).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (socket, response) = client_async(request, socket).await.unwrap();
    (Wire(socket), response)
}

/// A streamed question.
pub fn question(call: u64, model: &str) -> Value {
    let messages = json!([{"role": "user", "content": [{"type": "text", "text": "one two"}]}]);
    let request = json!({"model": format!("openai/mock-{model}"), "messages": messages});
    json!({"call": call, "type": "stream", "request": request})
}

/// The same with more fields.
pub fn question_with(call: u64, model: &str, more: Value) -> Value {
    let mut frame = question(call, model);
    frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    frame
}

impl Wire {
    pub async fn open(gate: &Gate) -> Self {
        shake(gate, greeting(gate)).await.0
    }

    pub async fn send(&mut self, frame: &Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next frame, or how the connection was closed.
    pub async fn next(&mut self) -> Result<Value, Closed> {
        tokio::time::timeout(SOON, self.next_soon()).await.expect("a frame comes")
    }

    async fn next_soon(&mut self) -> Result<Value, Closed> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map(|frame| (frame.code, frame.reason)));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The next frame of a connection that must be open.
    pub async fn frame(&mut self) -> Value {
        self.next().await.unwrap()
    }

    /// The frames of one call to its end, while no other one is open.
    pub async fn whole(&mut self, call: u64) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await;
            assert_eq!(frame["call"], call, "{frame}");
            let last = is_last(&frame);
            frames.push(frame);
            if last {
                return frames;
            }
        }
    }

    /// The error that ends a call which tells nothing else.
    pub async fn refusal(&mut self, call: u64) -> Value {
        let frames = self.whole(call).await;
        assert_eq!(frames.len(), 1, "{frames:?}");
        let id = frames[0]["error"]["request_id"].as_str();
        assert_eq!(id.map(str::len), Some(26), "{frames:?}");
        frames[0]["error"].clone()
    }

    /// How the connection ends, whatever it tells before.
    pub async fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.next().await {
                return closed;
            }
        }
    }

    /// Asks for a short answer and reads it: the connection works.
    pub async fn works(&mut self, call: u64) {
        self.send(&question(call, "tokens=2")).await;
        assert_eq!(said(&self.whole(call).await), "w0 w1");
    }
}

/// Whether a frame is the last one of its call.
pub fn is_last(frame: &Value) -> bool {
    frame["type"] == "finish" || !frame["error"].is_null() || !frame["response"].is_null()
}

/// The text that frames tell.
pub fn said(frames: &[Value]) -> String {
    let texts = frames
        .iter()
        .filter_map(|frame| frame["delta"].as_str().or_else(|| frame["part"]["text"].as_str()));
    texts.collect::<String>().trim().to_owned()
}

/// Reads a connection that may have been reset to its end.
pub async fn drained(socket: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    drop(tokio::time::timeout(SOON, socket.read_to_end(&mut rest)).await.expect("it is closed"));
    rest
}
