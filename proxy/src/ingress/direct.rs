//! The way in of model calls: straight to the function that answers, past the router.
//!
//! Nearly all requests are such calls. The router's layers cost each of them more than to find the
//! caller and to check every limit, so the few paths that matter are looked up here first. Whatever is
//! not among them, another method above all, goes through the router, which serves these paths too.

use super::{anthropic, front::Front, leftover, observe, observe::RequestId, ollama, openai};
use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    http::{Method, Response},
    response::IntoResponse,
};
use hyper::{body::Incoming, service::Service};
use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
};
use tower_service::Service as _;

type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// What serves a connection's requests.
#[derive(Clone, Debug)]
pub struct Entry {
    front: Arc<Front>,
    router: Router,
}

impl Entry {
    /// Serves every route.
    pub fn new(front: Arc<Front>) -> Self {
        let router = super::router(Arc::clone(&front));
        Self { front, router }
    }

    /// The floors below.
    pub fn front(&self) -> &Arc<Front> {
        &self.front
    }
}

impl Service<hyper::Request<Incoming>> for Entry {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answered;

    fn call(&self, request: hyper::Request<Incoming>) -> Answered {
        let request = request.map(Body::new);
        match Direct::of(&request) {
            Some(path) => path.answer(Arc::clone(&self.front), request),
            None => Box::pin(self.router.clone().call(request)),
        }
    }
}

/// A path that is served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direct {
    Chat(&'static str),
    Responses(&'static str),
    Messages(&'static str),
    OllamaChat(&'static str),
}

type Named = fn(&'static str) -> Direct;

/// The paths, which are routes too.
const PATHS: [(&str, Named); 8] = [
    ("/openai/v1/chat/completions", Direct::Chat),
    ("/v1/chat/completions", Direct::Chat),
    ("/openai/v1/responses", Direct::Responses),
    ("/v1/responses", Direct::Responses),
    ("/anthropic/v1/messages", Direct::Messages),
    ("/v1/messages", Direct::Messages),
    ("/ollama/api/chat", Direct::OllamaChat),
    ("/api/chat", Direct::OllamaChat),
];

impl Direct {
    fn of<B>(request: &hyper::Request<B>) -> Option<Self> {
        if request.method() != Method::POST {
            return None;
        }
        let asked = request.uri().path();
        let (path, direct) = PATHS.iter().find(|(path, _)| *path == asked)?;
        Some(direct(path))
    }

    fn answer(self, front: Arc<Front>, request: Request) -> Answered {
        match self {
            Self::Chat(path) => Box::pin(answered(path, request, |id, request| {
                openai::chat(State(front), id, request)
            })),
            Self::Responses(path) => Box::pin(answered(path, request, |id, request| {
                openai::responses(State(front), id, request)
            })),
            Self::Messages(path) => Box::pin(answered(path, request, |id, request| {
                anthropic::messages(State(front), id, request)
            })),
            Self::OllamaChat(path) => Box::pin(answered(path, request, |id, request| {
                ollama::chat(State(front), id, request)
            })),
        }
    }
}

/// What the router's layers do.
async fn answered<F, A>(
    path: &'static str,
    request: Request,
    answer: F,
) -> Result<Response<Body>, Infallible>
where
    F: FnOnce(Extension<RequestId>, Request) -> A,
    A: Future<Output: IntoResponse>,
{
    let sight = observe::Sight::of(&request);
    let id = Extension(sight.id());
    let answering = leftover::discard_after(request, |request| async {
        answer(id, request).await.into_response()
    });
    Ok(sight.watch(Some(path), pin!(answering)).await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingress::GUARDED_PATHS;

    #[test]
    fn every_direct_path_is_a_guarded_route() {
        for (path, _) in PATHS {
            assert!(GUARDED_PATHS.contains(&("POST", path)), "{path}");
        }
    }

    #[test]
    fn only_these_calls_go_past_the_router() {
        let direct = |method: Method, path: &str| {
            let request = hyper::Request::builder().method(method).uri(path).body(()).unwrap();
            Direct::of(&request)
        };
        let path = "/v1/messages";
        assert_eq!(direct(Method::POST, path), Some(Direct::Messages(path)));
        assert_eq!(direct(Method::POST, "/v1/messages?beta=true"), Some(Direct::Messages(path)));
        assert_eq!(direct(Method::GET, path), None);
        for other in ["/v1/messages/", "/v1/messages/count_tokens", "/v1//messages", "/"] {
            assert_eq!(direct(Method::POST, other), None, "{other}");
        }
    }
}
