//! Connections that are one too many: told so at once, before anything is read.

use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

/// As many are told at once.
pub(super) const MOST: usize = 256;
/// How long somebody may take to hear it.
const PATIENCE: Duration = Duration::from_secs(2);
/// As much of a request is thrown away, bytes: a connection that is closed with unread bytes in it is
/// reset, and the peer may never see the answer.
const ENOUGH: usize = 64 * 1024;

/// In the words that clients of every dialect find an error in.
const BODY: &str = r#"{"type":"error","error":{"type":"overloaded","code":"too_many_connections","message":"the server has too many connections, try again"}}"#;

/// Answers 503 and closes.
pub(super) async fn turn(mut socket: TcpStream, _counted: TaskTrackerToken) {
    let told = async {
        socket.write_all(answer().as_bytes()).await?;
        socket.shutdown().await?;
        let mut rest = [0; 2048];
        let mut seen = 0;
        while seen < ENOUGH {
            match socket.read(&mut rest).await? {
                0 => break,
                count => seen += count,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // Whether it was heard is the peer's affair.
    drop(timeout(PATIENCE, told).await);
}

fn answer() -> String {
    let length = BODY.len();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nretry-after: 1\r\nconnection: close\r\n\r\n{BODY}"
    )
}
