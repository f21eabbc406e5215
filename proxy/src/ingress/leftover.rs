//! What a refused request still has to send is read and thrown away: a connection with an unread
//! rest is closed, and a client that puts its next request on it sees it break.

use axum::{
    body::{Body, BodyDataStream},
    extract::Request,
    http::{HeaderMap, Response, header},
    middleware::Next,
};
use futures_util::{
    StreamExt,
    stream::{self, Fuse},
};
use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Whoever has more to send than this, bytes, loses the connection.
const ENOUGH: usize = 256 * 1024;
/// And whoever takes longer.
const PATIENCE: Duration = Duration::from_millis(500);

/// A body that its reader may leave.
type Shared = Arc<Mutex<Fuse<BodyDataStream>>>;

pub(super) async fn discard(request: Request, next: Next) -> Response<Body> {
    discard_after(request, |request| next.run(request)).await
}

/// As [`discard`], around any answer.
pub(super) async fn discard_after<A: Future<Output = Response<Body>>>(
    request: Request,
    answer: impl FnOnce(Request) -> A,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if !is_small(&parts.headers) {
        return answer(Request::from_parts(parts, body)).await;
    }
    let body: Shared = Arc::new(Mutex::new(body.into_data_stream().fuse()));
    let reader = Arc::clone(&body);
    let read = stream::poll_fn(move |context| open(&reader).poll_next_unpin(context));
    let response = answer(Request::from_parts(parts, Body::from_stream(read))).await;
    let refused = response.status().is_client_error() || response.status().is_server_error();
    if refused {
        // Whatever comes of it, the answer stands.
        drop(tokio::time::timeout(PATIENCE, read_rest(&body)).await);
    }
    response
}

/// A body of a known size that is sent without being asked for again.
fn is_small(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|length| length.parse::<usize>().ok());
    length.is_some_and(|length| (1..=ENOUGH).contains(&length))
        && !headers.contains_key(header::EXPECT)
}

async fn read_rest(body: &Shared) {
    let mut rest = stream::poll_fn(|context| open(body).poll_next_unpin(context));
    while let Some(Ok(_)) = rest.next().await {}
}

fn open(body: &Shared) -> MutexGuard<'_, Fuse<BodyDataStream>> {
    body.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, http::StatusCode, middleware, routing::post};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    async fn connect() -> TcpStream {
        let router = Router::new()
            .route("/refused", post(async || StatusCode::UNAUTHORIZED))
            .route("/echo", post(async |body: String| body))
            .layer(middleware::from_fn(discard));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        TcpStream::connect(address).await.unwrap()
    }

    /// Reads until the text has come, which a closed connection never brings.
    async fn await_text(connection: &mut TcpStream, text: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(text) {
            let mut more = [0; 1024];
            let count = connection.read(&mut more).await.unwrap();
            assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&more[..count]);
        }
        String::from_utf8(read).unwrap()
    }

    #[tokio::test]
    async fn a_connection_outlives_a_refusal() {
        let mut connection = connect().await;
        for round in 0..3 {
            // The head alone: the refusal is known before the body comes.
            let head = "POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n";
            connection.write_all(head.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
            connection.write_all(b"abcde").await.unwrap();
            let answer = await_text(&mut connection, "\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
            let said = format!("round {round}");
            let next = format!(
                "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{said}",
                said.len()
            );
            connection.write_all(next.as_bytes()).await.unwrap();
            assert!(await_text(&mut connection, &said).await.starts_with("HTTP/1.1 200"));
        }
    }

    #[tokio::test]
    async fn who_does_not_send_the_rest_is_answered_all_the_same() {
        let mut connection = connect().await;
        let head = "POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab";
        connection.write_all(head.as_bytes()).await.unwrap();
        let answer = await_text(&mut connection, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert_eq!(connection.read(&mut [0; 8]).await.unwrap(), 0, "the rest can still come");
    }
}
