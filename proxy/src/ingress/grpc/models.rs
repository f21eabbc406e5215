//! `ListModels`: the models that the caller may use.

use super::call::{Asked, Problem, Reply};
use crate::{access::Caller, ingress::native::models::visible};
use std::sync::Arc;
use tollgate_types::proto::v1;

pub(super) async fn list(
    mut asked: Asked,
    caller: Arc<Caller>,
) -> Result<Reply<v1::ListModelsResponse>, Problem> {
    asked.message::<v1::ListModelsRequest>().await?;
    Ok(v1::ListModelsResponse::from(visible(&asked.front, &caller).await).into())
}
