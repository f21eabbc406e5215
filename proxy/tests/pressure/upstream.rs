//! An upstream of one connection at a time, of which the test decides every write.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Where it listens.
pub struct Upstream {
    listener: TcpListener,
}

/// A connection whose request has been read.
pub struct Asked {
    socket: TcpStream,
    /// Bytes written.
    pub written: Arc<AtomicUsize>,
}

impl Upstream {
    pub async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// The settings that name it `own`.
    pub fn settings(&self) -> String {
        let address: SocketAddr = self.listener.local_addr().unwrap();
        format!(
            "[[providers]]\nname = \"own\"\nkind = \"openai\"\nbase_url = \"http://{address}/v1\"\n"
        )
    }

    pub async fn accept(&self) -> Asked {
        let (socket, _) = self.listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut asked = Asked { socket, written: Arc::default() };
        assert!(asked.next_request().await, "no request came");
        asked
    }
}

impl Asked {
    /// Reads a whole request; false where the peer has closed.
    pub async fn next_request(&mut self) -> bool {
        let mut read = Vec::new();
        loop {
            if self.socket.read_buf(&mut read).await.unwrap_or_default() == 0 {
                return false;
            }
            let text = String::from_utf8_lossy(&read);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.unwrap().parse::<usize>().unwrap() {
                return true;
            }
        }
    }

    pub async fn write(&mut self, text: &str) -> bool {
        let done = self.socket.write_all(text.as_bytes()).await.is_ok();
        self.written.fetch_add(text.len(), Ordering::SeqCst);
        done
    }

    /// Begins a stream.
    pub async fn begin(&mut self) {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        assert!(self.write(head).await);
    }

    /// A chunk of a stream; false where the peer has closed.
    pub async fn chunk(&mut self, text: &str) -> bool {
        let choice = serde_json::json!({"index": 0, "delta": {"content": text}});
        let chunk = serde_json::json!({"id": "c", "model": "m", "choices": [choice]});
        let event = format!("data: {chunk}\n\n");
        self.write(&format!("{:x}\r\n{event}\r\n", event.len())).await
    }

    /// A whole answer.
    pub async fn answer(&mut self) {
        let body = "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\
                    \"assistant\",\"content\":\"yes\"},\"finish_reason\":\"stop\"}],\"usage\":\
                    {\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}";
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        assert!(self.write(&head).await && self.write(body).await);
    }
}
