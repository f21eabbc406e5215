//! `GET /api/v1/ws`: many calls over one connection; the protocol is in docs/websocket.md.
//!
//! The credential stands in a header or in the subprotocol, which browsers can set, and never in the
//! URL. Cookies are not looked at, so no page can use what it was not given, and pages of every
//! origin are welcome.

mod answer;
mod calls;
mod connection;
mod credit;
mod frames;
mod order;

use super::{
    front::{Front, credential_of},
    native,
    problem::Problem,
    reply,
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Response, StatusCode,
        header::{SEC_WEBSOCKET_PROTOCOL, UPGRADE},
    },
    response::IntoResponse,
    routing::get,
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::server::create_response_with_body,
        protocol::{Role, WebSocketConfig},
    },
};
use tollgate_types::{
    Error, ErrorKind, Result, Secret,
    wire::{
        path,
        socket::{BEARER_PREFIX, ENVELOPE_BYTES, MAX_FRAME, SUBPROTOCOL},
    },
};

/// Room that every connection takes for reading and for writing, bytes.
const BUFFER: usize = 16 * 1024;

pub(super) fn routes() -> Router<Arc<Front>> {
    Router::new().route(path::SOCKET, get(open))
}

async fn open(
    State(front): State<Arc<Front>>,
    mut request: Request,
) -> Result<Response<Body>, Problem<native::Shape>> {
    let offered = Offered::of(request.headers());
    let credential = credential_of(request.headers()).or(offered.bearer).map(str::to_owned);
    front.caller_or(&HeaderMap::new(), credential.as_deref()).await?;
    if !front.readiness.is_open() {
        let message = "the server is shutting down, ask again";
        return Err(Error::new(ErrorKind::Overloaded, message).into());
    }
    if request.uri().query().is_some() {
        let message = "this path takes no query: send the credential in Authorization, or as the subprotocol bearer.<token>";
        return Err(Error::invalid("query", message).into());
    }
    let answer = create_response_with_body(&request, Body::empty);
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Ok(refusal(&error)),
    };
    if let Some(protocol) = offered.chosen()? {
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    reply::put(answer.headers_mut(), MAX_FRAME, &largest_frame(&front).to_string());
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| {
        Error::new(ErrorKind::InvalidRequest, "this connection cannot become a WebSocket")
    })?;
    let credential = Secret::new(credential.unwrap_or_default());
    let tasks = front.gateway.tasks.clone();
    // Counted from now on, so that shutting down waits for it.
    let open = front.readiness.connection();
    tasks.spawn(async move {
        let _open = open;
        match upgrade.await {
            Ok(upgraded) => {
                let config = Some(settings(&front));
                let socket = TokioIo::new(upgraded);
                let socket = WebSocketStream::from_raw_socket(socket, Role::Server, config).await;
                connection::serve(front, credential, socket).await;
            }
            Err(error) => tracing::debug!(%error, "a connection did not become a WebSocket"),
        }
    });
    Ok(answer)
}

/// What a client offers in `Sec-WebSocket-Protocol`.
struct Offered<'h> {
    any: bool,
    ours: bool,
    bearer: Option<&'h str>,
}

impl<'h> Offered<'h> {
    fn of(headers: &'h HeaderMap) -> Self {
        let texts = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let names = texts.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
        let mut offered = Self { any: false, ours: false, bearer: None };
        for name in names.map(str::trim) {
            match name.strip_prefix(BEARER_PREFIX) {
                Some(token) => offered.bearer = offered.bearer.or(Some(token)),
                None => offered.ours |= name == SUBPROTOCOL,
            }
            offered.any = true;
        }
        offered
    }

    /// The protocol that is spoken; a client that offers none gets no name. The token is never said
    /// back.
    fn chosen(&self) -> Result<Option<HeaderValue>> {
        match (self.any, self.ours) {
            (false, _) => Ok(None),
            (true, true) => Ok(Some(HeaderValue::from_static(SUBPROTOCOL))),
            (true, false) => {
                let message = format!("the subprotocol {SUBPROTOCOL} is not among those offered");
                Err(Error::invalid("sec-websocket-protocol", message))
            }
        }
    }
}

/// A request that is no handshake.
fn refusal(error: &tokio_tungstenite::tungstenite::Error) -> Response<Body> {
    let error = Error::new(ErrorKind::InvalidRequest, format!("no WebSocket handshake: {error}"));
    let problem: Problem<native::Shape> = error.into();
    let mut response = problem.with_status(StatusCode::UPGRADE_REQUIRED).into_response();
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert("sec-websocket-version", HeaderValue::from_static("13"));
    response
}

/// A request as large as accepted, and what stands around it.
fn largest_frame(front: &Front) -> usize {
    front.max_body_bytes.saturating_add(ENVELOPE_BYTES)
}

fn settings(front: &Front) -> WebSocketConfig {
    let largest = largest_frame(front);
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest))
}
