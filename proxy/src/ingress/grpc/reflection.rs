//! Server reflection: clients such as grpcurl learn the methods from the server. The standard
//! service, behind a credential.

use super::status;
use crate::ingress::{front::Front, observe::RequestId};
use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State},
    http::Response,
    middleware::{self, Next},
};
use std::sync::Arc;
use tollgate_types::proto::DESCRIPTORS;
use tonic_reflection::server::Builder;

/// The method, as it is called now.
pub(super) const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// The method, as older clients call it.
pub(super) const V1_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

pub(super) fn routes(front: Arc<Front>) -> Router<Arc<Front>> {
    let builder = || Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
    match (builder().build_v1(), builder().build_v1alpha()) {
        (Ok(v1), Ok(v1_alpha)) => Router::new()
            .route_service(V1, v1)
            .route_service(V1_ALPHA, v1_alpha)
            .route_layer(middleware::from_fn_with_state(front, guard)),
        // The descriptors are part of the program, and a test calls the methods.
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "there is no server reflection");
            Router::new()
        }
    }
}

async fn guard(
    State(front): State<Arc<Front>>,
    Extension(RequestId(id)): Extension<RequestId>,
    request: Request,
    next: Next,
) -> Response<Body> {
    match front.caller(request.headers()).await {
        Ok(_) => next.run(request).await,
        Err(error) => status::refuse(error.into(), &id),
    }
}
