//! How a connection opens: an HTTP request that asks to become a WebSocket, over the same client as
//! every other request, so that TLS, proxies and certificates are those of the application.

use crate::{
    address, answer,
    failure::{self, Head},
    http::HttpTransport,
};
use reqwest::{
    Response, StatusCode, Upgraded, Version,
    header::{
        AUTHORIZATION, CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};
use tollgate_types::{
    Error, Result,
    wire::{
        path,
        socket::{MAX_FRAME, SUBPROTOCOL},
    },
};

/// Room that a connection takes for reading and for writing, bytes.
const BUFFER: usize = 16 * 1024;
/// Largest frame of the server: more than vectors of the longest list of texts take.
const LARGEST: usize = 128 << 20;

/// A connection that is open.
pub(super) struct Connected {
    pub(super) socket: WebSocketStream<Upgraded>,
    /// The largest frame that the server takes.
    pub(super) max_frame: usize,
}

/// Opens a connection.
///
/// # Errors
/// `connection` when the server cannot be reached, what the server says when it refuses, `protocol`
/// when what answers is no Tollgate server.
pub(super) async fn connect(
    http: &HttpTransport,
    authorization: &HeaderValue,
) -> Result<Connected> {
    let key = generate_key();
    let url = address::join(&http.server, path::SOCKET, &[]);
    let request = http
        .client
        .get(url)
        .header(AUTHORIZATION, authorization.clone())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .header(SEC_WEBSOCKET_KEY, &key);
    let response = request.send().await.map_err(failure::transport)?;
    let head = Head::of(&response);
    if response.version() > Version::HTTP_11 {
        let message = "the connection speaks HTTP/2, which has no WebSockets here: build the http_client with http1_only()";
        return Err(Error::invalid("http_client", message));
    }
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => {}
        status if status.is_success() => {
            return Err(head.not_tollgate("the server does not open a WebSocket"));
        }
        _ => return Err(answer::refusal(response).await),
    }
    let said = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if said(SEC_WEBSOCKET_ACCEPT) != Some(&derive_accept_key(key.as_bytes()))
        || said(SEC_WEBSOCKET_PROTOCOL) != Some(SUBPROTOCOL)
    {
        return Err(head.not_tollgate("the server opens a WebSocket of another protocol"));
    }
    let max_frame = max_frame(&response);
    let socket = response.upgrade().await.map_err(failure::transport)?;
    let settings = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST));
    let socket = WebSocketStream::from_raw_socket(socket, Role::Client, Some(settings)).await;
    Ok(Connected { socket, max_frame })
}

/// A server that says nothing of it takes what fits.
fn max_frame(response: &Response) -> usize {
    let said = response.headers().get(MAX_FRAME).and_then(|value| value.to_str().ok());
    said.and_then(|text| text.parse().ok()).unwrap_or(LARGEST)
}
