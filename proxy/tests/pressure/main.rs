//! A server under pressure, over real sockets: peers that are slow or silent, more of everything than
//! it takes on, and small writes that must not wait for each other.
#![cfg(test)]

#[path = "../ollama_ingress/gate.rs"]
#[expect(dead_code, reason = "other tests ask this server for more")]
mod gate;

mod delays;
mod full;
mod slow;
mod upstream;

use gate::Gate;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tollgate_bench::private::Kind;

/// How long tests wait for what must happen soon. Only failing tests wait that long.
const SOON: Duration = Duration::from_secs(30);

async fn gate(settings: &str) -> Gate {
    Gate::on(Kind::Sqlite, Vec::new(), settings).await
}

/// A client that says exactly what it is told to.
struct Peer {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Peer {
    async fn of(gate: &Gate) -> Self {
        let address = gate.url.strip_prefix("http://").unwrap();
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, read: Vec::new() }
    }

    async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until a word has come, and takes everything up to its end.
    async fn hear(&mut self, word: &str) -> String {
        loop {
            let found = self.read.windows(word.len()).position(|some| some == word.as_bytes());
            if let Some(at) = found {
                let rest = self.read.split_off(at + word.len());
                let heard = std::mem::replace(&mut self.read, rest);
                return String::from_utf8(heard).unwrap();
            }
            let before = String::from_utf8_lossy(&self.read).into_owned();
            assert!(self.more().await > 0, "closed after {before:?}");
        }
    }

    async fn more(&mut self) -> usize {
        let read = self.socket.read_buf(&mut self.read);
        timeout(SOON, read).await.expect("nothing came").unwrap_or_default()
    }

    /// Reads to the end of the connection.
    async fn hear_out(mut self) -> String {
        while self.more().await > 0 {}
        String::from_utf8(self.read).unwrap()
    }
}

/// The head of a call of a model.
fn head(gate: &Gate, length: usize) -> String {
    let key = &gate.key;
    format!(
        "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

fn chat(model: &str, text: &str, stream: bool) -> String {
    serde_json::json!({
        "model": model, "stream": stream, "max_tokens": 50,
        "messages": [{"role": "user", "content": text}],
    })
    .to_string()
}
