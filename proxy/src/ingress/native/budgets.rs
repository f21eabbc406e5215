//! `GET /api/v1/budgets`: the budgets that the caller is charged to; an administrator sees all.

use super::Problem;
use crate::{
    access::Role,
    ingress::{front::Front, problem, reply},
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Response, StatusCode},
};
use std::sync::Arc;
use tollgate_types::wire::BudgetList;

pub(crate) async fn budgets(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(&headers).await?;
    let ledger = &front.gateway.ledger;
    let budgets = match caller.role() {
        Role::Admin => ledger.budgets().await,
        Role::Member => ledger.budgets_of(&caller).await,
    };
    let budgets = budgets.map_err(problem::of_store)?;
    Ok(reply::json(StatusCode::OK, &BudgetList { budgets }))
}
