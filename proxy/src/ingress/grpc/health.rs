//! The health service of gRPC: no credential, no detail.

use super::{
    call::{self, Asked},
    message, status,
};
use crate::ingress::{front::Front, observe::RequestId};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Response},
};
use futures_util::stream;
use http_body::Frame;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::timeout;
use tollgate_types::{
    Error, ErrorKind, Result,
    proto::health::{
        HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    },
};

/// How often the database is asked for those who watch.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Names that can be asked about; the empty one is the whole server.
const SERVICES: [&str; 3] = ["", "tollgate.v1.Tollgate", "grpc.health.v1.Health"];

pub(super) async fn check(
    State(front): State<Arc<Front>>,
    Extension(RequestId(id)): Extension<RequestId>,
    request: Request,
) -> Response<Body> {
    match service(&front, id.clone(), request).await {
        Ok(service) if SERVICES.contains(&service.as_str()) => {
            let body = message::whole(&told(now(&front).await));
            call::respond(body, HeaderMap::new())
        }
        Ok(_) => {
            let error = Error::new(ErrorKind::NotFound, "there is no such service");
            status::refuse(error.into(), &id)
        }
        Err(error) => status::refuse(error.into(), &id),
    }
}

pub(super) async fn watch(
    State(front): State<Arc<Front>>,
    Extension(RequestId(id)): Extension<RequestId>,
    request: Request,
) -> Response<Body> {
    let service = match service(&front, id.clone(), request).await {
        Ok(service) => service,
        Err(error) => return status::refuse(error.into(), &id),
    };
    let watcher = Watcher { front, known: SERVICES.contains(&service.as_str()), last: None };
    let frames = stream::unfold(Some(watcher), |watcher| async {
        let (frame, watcher) = watcher?.next().await;
        Some((Ok::<_, Infallible>(frame), watcher))
    });
    call::respond(message::body(frames), HeaderMap::new())
}

/// The service that is asked about.
async fn service(front: &Arc<Front>, id: String, request: Request) -> Result<String> {
    let mut asked = Asked::of(Arc::clone(front), id, request)?;
    let HealthCheckRequest { service } = asked.message().await?;
    Ok(service)
}

/// One who is told of every change.
struct Watcher {
    front: Arc<Front>,
    known: bool,
    last: Option<ServingStatus>,
}

impl Watcher {
    async fn next(mut self) -> (Frame<bytes::Bytes>, Option<Self>) {
        // Who was told that the server is drained shall not hold up its end.
        if self.last == Some(ServingStatus::NotServing) && !self.front.readiness.is_open() {
            return (Frame::trailers(message::ok()), None);
        }
        let mut state = self.state().await;
        while self.last == Some(state) {
            self.pause().await;
            state = self.state().await;
        }
        self.last = Some(state);
        (Frame::data(message::frame(&told(state))), Some(self))
    }

    /// Waits until it is time to ask the database again, or until the server is drained.
    async fn pause(&self) {
        // Either way it is looked again.
        drop(timeout(ASK_EVERY, self.front.readiness.closed()).await);
    }

    async fn state(&self) -> ServingStatus {
        if self.known { now(&self.front).await } else { ServingStatus::ServiceUnknown }
    }
}

/// The database answers and the server is not shutting down.
async fn now(front: &Front) -> ServingStatus {
    if front.readiness.is_open() && front.store.ping().await.is_ok() {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
