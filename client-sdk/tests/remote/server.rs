//! An HTTP/1.1 server that plays one scripted reply per connection, byte for byte.

use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::timeout,
};

/// What a connection does when its bytes are sent.
#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Reset,
    Hold,
}

/// One scripted reply.
#[derive(Clone, Debug)]
pub struct Reply {
    head: String,
    pieces: Vec<Vec<u8>>,
    end: End,
}

impl Reply {
    /// A whole body.
    pub fn body(status: u16, body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\nx-request-id: req-1\r\ncontent-length: {}\r\n",
            body.len()
        );
        Self { head, pieces: vec![body.into()], end: End::Close }
    }

    /// A Tollgate error.
    pub fn error(status: u16, kind: &str, retryable: bool) -> Self {
        Self::body(
            status,
            &format!(
                r#"{{"error":{{"kind":"{kind}","message":"said the server","retryable":{retryable},"blame":"us"}}}}"#
            ),
        )
    }

    /// An event stream; every piece is a chunk of its own, so the client sees these cuts.
    pub fn events<P: AsRef<[u8]>>(pieces: &[P]) -> Self {
        let mut reply = Self::open_events(pieces);
        reply.pieces.push(b"0\r\n\r\n".to_vec());
        reply
    }

    /// An event stream without the end of its body.
    pub fn open_events<P: AsRef<[u8]>>(pieces: &[P]) -> Self {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\nx-request-id: req-1\r\n\
             content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n";
        let chunk = |piece: &P| {
            let piece = piece.as_ref();
            [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
        };
        let pieces = pieces.iter().filter(|piece| !piece.as_ref().is_empty()).map(chunk).collect();
        Self { head: head.to_owned(), pieces, end: End::Close }
    }

    /// Nothing at all.
    pub fn silence() -> Self {
        Self { head: String::new(), pieces: Vec::new(), end: End::Hold }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Leaves out the last bytes of the body.
    pub fn short_by(mut self, bytes: usize) -> Self {
        let last = self.pieces.last_mut().unwrap();
        last.truncate(last.len() - bytes);
        self
    }

    /// Resets the connection at the end instead of closing it.
    pub fn reset(self) -> Self {
        Self { end: End::Reset, ..self }
    }

    /// Keeps the connection open at the end, until the client hangs up.
    pub fn hold(self) -> Self {
        Self { end: End::Hold, ..self }
    }
}

/// A request as it came in.
#[derive(Debug)]
pub struct Request {
    pub line: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A running server; it stops when dropped.
pub struct Server {
    pub url: String,
    requests: UnboundedReceiver<Request>,
    hang_ups: UnboundedReceiver<()>,
    _task: JoinSet<()>,
}

impl Server {
    /// Plays one reply per connection, in order, then refuses connections.
    pub async fn play(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, requests) = unbounded_channel();
        let (gone, hang_ups) = unbounded_channel();
        let mut task = JoinSet::new();
        task.spawn(async move {
            for reply in replies {
                let (stream, _) = listener.accept().await.unwrap();
                play(reply, stream, &seen, &gone).await;
            }
        });
        Self { url, requests, hang_ups, _task: task }
    }

    /// The next request that came in.
    pub async fn request(&mut self) -> Request {
        soon(self.requests.recv()).await.expect("no request came")
    }

    /// Waits until the client has closed a connection that was held open.
    pub async fn hang_up(&mut self) {
        soon(self.hang_ups.recv()).await.expect("the client never hung up");
    }
}

async fn soon<T>(wait: impl Future<Output = Option<T>>) -> Option<T> {
    timeout(Duration::from_secs(10), wait).await.ok().flatten()
}

async fn play(
    reply: Reply,
    mut stream: TcpStream,
    seen: &UnboundedSender<Request>,
    gone: &UnboundedSender<()>,
) {
    let request = read(&mut stream).await;
    seen.send(request).unwrap();
    stream.set_nodelay(true).unwrap();
    if !reply.head.is_empty() {
        stream.write_all(format!("{}\r\n", reply.head).as_bytes()).await.unwrap();
    }
    for piece in reply.pieces {
        if stream.write_all(&piece).await.is_err() {
            break;
        }
    }
    match reply.end {
        End::Close => drop(stream.shutdown().await),
        End::Reset => stream.set_zero_linger().unwrap(),
        End::Hold => {
            while stream.read(&mut [0; 256]).await.is_ok_and(|read| read > 0) {}
            gone.send(()).unwrap();
        }
    }
}

async fn read(stream: &mut TcpStream) -> Request {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the request broke off");
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut request = Request { line, headers, body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head_end + 4 + length {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the body broke off");
    }
    request.body = String::from_utf8(bytes[head_end + 4..].to_vec()).unwrap();
    request
}
