//! An upstream that costs next to nothing: one thread, answers written beforehand, streams that tell
//! in each chunk when it was sent. The mock of the tests does what it is told, and is slower.

use super::{
    canned::{self, Dialect, Stream},
    clock,
    framing::Wire,
    request::Pace,
};
use memchr::memmem::find;
use std::{io, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

/// Answers on the socket until it is dropped.
///
/// # Errors
/// When the socket breaks.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => drop(connections.spawn(converse(socket))),
                // Out of descriptors, say: those who leave give some back.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A caller who leaves in the middle of a stream is nobody's trouble.
async fn converse(socket: TcpStream) -> io::Result<()> {
    let mut wire = Wire::new(socket)?;
    let mut body = Vec::new();
    while let Some(asked) = wire.asked().await? {
        body.clear();
        wire.body(asked.body, |piece| body.extend_from_slice(piece)).await?;
        let Some(dialect) = dialect(&asked.path) else {
            wire.write(&elsewhere(&asked.path)).await?;
            continue;
        };
        match Pace::within(&body).filter(|_| says(&body, "stream")) {
            Some(pace) => stream(&mut wire, dialect, pace, &body).await?,
            None => wire.write(&canned::whole(dialect)).await?,
        }
    }
    Ok(())
}

fn dialect(path: &str) -> Option<Dialect> {
    let path = path.split('?').next().unwrap_or_default();
    if path.ends_with("/chat/completions") {
        Some(Dialect::OpenAi)
    } else if path.ends_with("/messages") {
        Some(Dialect::Anthropic)
    } else {
        None
    }
}

fn elsewhere(path: &str) -> Vec<u8> {
    if path.ends_with("/models") {
        canned::models()
    } else {
        canned::message("404 Not Found", "{}")
    }
}

/// Whether a field is true, written as anybody writes it.
fn says(body: &[u8], field: &str) -> bool {
    let tight = find(body, format!("\"{field}\":true").as_bytes());
    tight.or_else(|| find(body, format!("\"{field}\": true").as_bytes())).is_some()
}

async fn stream(wire: &mut Wire, dialect: Dialect, pace: Pace, body: &[u8]) -> io::Result<()> {
    let mut stream = Stream::of(dialect, says(body, "include_usage"));
    let mut due = Instant::now();
    let start = std::mem::take(&mut stream.start);
    // The first chunk leaves with the head, in one packet.
    let mut first = Some(start);
    for _ in 0..pace.chunks {
        tokio::time::sleep_until(due).await;
        let stamp = clock::stamp(clock::now_ns());
        if let Some(place) = stream.chunk.get_mut(stream.place.clone()) {
            place.copy_from_slice(stamp.as_bytes());
        }
        match first.take() {
            Some(mut start) => {
                start.extend_from_slice(&stream.chunk);
                wire.write(&start).await?;
            }
            None => wire.write(&stream.chunk).await?,
        }
        due += pace.gap;
    }
    wire.write(&stream.end).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::{clock::Stamps, framing::Body};

    async fn ask(path: &str, body: &str) -> (u16, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(serve(listener));
        let mut wire = Wire::new(TcpStream::connect(address).await.unwrap()).unwrap();
        let (mut last, mut whole) = (0, Vec::new());
        // Twice, because a connection is used again.
        for _ in 0..2 {
            whole.clear();
            let head = format!("POST {path} HTTP/1.1\r\ncontent-length: {}\r\n\r\n", body.len());
            wire.write((head + body).as_bytes()).await.unwrap();
            let reply = wire.reply().await.unwrap();
            last = reply.status;
            assert_ne!(reply.body, Body::UntilEnd);
            wire.body(reply.body, |piece| whole.extend_from_slice(piece)).await.unwrap();
        }
        (last, whole)
    }

    #[tokio::test]
    async fn a_whole_answer_is_json() {
        for path in ["/v1/chat/completions", "/v1/messages", "/v1/models"] {
            let (status, body) = ask(path, "{\"model\":\"bench\"}").await;
            assert_eq!(status, 200, "{path}");
            serde_json::from_slice::<serde_json::Value>(&body).unwrap();
        }
        assert_eq!(ask("/elsewhere", "").await.0, 404);
    }

    #[tokio::test]
    async fn every_chunk_of_a_stream_tells_when_it_was_sent() {
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let before = clock::now_ns();
            let model = Pace { chunks: 7, gap: Duration::from_micros(100) }.model();
            let body = format!("{{\"model\":\"{model}\",\"stream\": true}}");
            let (status, body) = ask(path, &body).await;
            let mut times = Vec::new();
            Stamps::new().read(&body, |time| times.push(time));
            assert_eq!((status, times.len()), (200, 7), "{path}");
            assert!(times.is_sorted() && times[0] > before);
            assert!(find(&body, b"usage").is_none() || path.ends_with("messages"));
        }
    }
}
