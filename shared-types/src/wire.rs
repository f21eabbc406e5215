//! Names that server and client must spell alike: paths, headers, and the JSON of errors.

pub mod socket;

use crate::{BudgetStatus, DelegatedKey, Error, ModelInfo, Receipt, Usage, lenient};
use serde::{Deserialize, Serialize};

/// Paths of the native API.
pub mod path {
    /// One answer, whole.
    pub const GENERATE: &str = "/api/v1/generate";
    /// One answer, as server-sent events.
    pub const STREAM: &str = "/api/v1/stream";
    /// Vectors.
    pub const EMBED: &str = "/api/v1/embed";
    /// Prompt tokens of a request.
    pub const COUNT_TOKENS: &str = "/api/v1/count_tokens";
    /// What a request would cost at most, and likely, without running it.
    pub const ESTIMATE: &str = "/api/v1/estimate";
    /// Models that the caller may use.
    pub const MODELS: &str = "/api/v1/models";
    /// Many calls over one connection: see [`super::socket`].
    pub const SOCKET: &str = "/api/v1/ws";
    /// Usage that the caller may see.
    pub const USAGE: &str = "/api/v1/usage";
    /// The same, one request a line, all of them.
    pub const USAGE_EXPORT: &str = "/api/v1/usage/export";
    /// Calls that can be joined again or cancelled; one of them stands below, by its id or as
    /// `key:<idempotency key>`, and below that its `events`.
    pub const RUNS: &str = "/api/v1/runs";
    /// Budgets that the caller is charged to.
    pub const BUDGETS: &str = "/api/v1/budgets";
    /// A short-lived token for the caller's key.
    pub const TOKEN: &str = "/api/v1/auth/token";
    /// Keys that the caller's key delegated to; one of them stands below, by its id.
    pub const DELEGATE: &str = "/api/v1/auth/delegate";
}

/// Headers beyond the standard ones.
pub mod header {
    /// Tollgate's id of the request, on every answer.
    pub const REQUEST_ID: &str = "x-request-id";
    /// One key per logical call.
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
    /// `true`: the call outlives its connection for a while, and can be joined again.
    pub const RESUMABLE: &str = "x-tollgate-resumable";
    /// How often the call was tried before.
    pub const RETRY_COUNT: &str = "x-tollgate-retry-count";
    /// Followed by a tag's name: a free label for metering.
    pub const TAG_PREFIX: &str = "x-tollgate-tag-";
    /// Provider that answers.
    pub const PROVIDER: &str = "x-tollgate-provider";
    /// Model that answers.
    pub const MODEL: &str = "x-tollgate-model";
    /// Exact cost, on answers that are not streamed.
    pub const COST: &str = "x-tollgate-cost-nano-usd";
    /// The output limit that a budget imposed.
    pub const MAX_OUTPUT: &str = "x-tollgate-max-output";
    /// What happens to an option that no permitted provider can honour: `fail` (the default) or
    /// `warn`. For callers whose dialect has no field for it.
    pub const ON_UNSUPPORTED: &str = "x-tollgate-on-unsupported";
    /// What is not honoured as asked, a line each: `code (field): sentence`.
    pub const WARNING: &str = "x-tollgate-warning";
    /// Milliseconds to wait before a retry; finer than `retry-after`.
    pub const RETRY_AFTER_MS: &str = "retry-after-ms";
}

/// Body of an unsuccessful native answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorEnvelope {
    /// What went wrong.
    pub error: Error,
}

/// Answer of [`path::MODELS`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModelList {
    /// The models, sorted by id.
    pub models: Vec<ModelInfo>,
}

/// Answer of [`path::BUDGETS`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BudgetList {
    /// The budgets, the user's before the key's.
    #[serde(deserialize_with = "lenient::readable")]
    pub budgets: Vec<BudgetStatus>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunState {
    /// It has not ended.
    #[default]
    Running,
    /// It ended with a whole answer.
    Finished,
    /// The provider or the server broke it off.
    Failed,
    /// A caller cancelled it, or left it for too long.
    Cancelled,
    /// A state that a newer server knows.
    #[serde(other)]
    Other,
}

/// Answer of a GET below [`path::RUNS`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunStatus {
    /// Id of the run: of the request that began it.
    pub id: String,
    /// How it stands.
    pub state: RunState,
    /// Whether it outlives its connections.
    pub resumable: bool,
    /// Number of the first event that can be read again.
    pub first_event: u64,
    /// Number of the next event that comes, which is how many there were. 0 where another server
    /// has them.
    pub next_event: u64,
    /// When it began, milliseconds since 1970 UTC.
    pub started_ms: i64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_ms: Option<i64>,
    /// What it used, once it has finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What was charged, once it has finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// What ended it, if that was no whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// Answer of [`path::COUNT_TOKENS`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TokenCount {
    /// Prompt tokens.
    pub input_tokens: u64,
}

/// Answer of a GET of [`path::DELEGATE`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DelegatedKeyList {
    /// The keys that are in force, the newest first, without their secrets.
    pub keys: Vec<DelegatedKey>,
}

/// Answer of a DELETE below [`path::DELEGATE`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Id of the key that works no more, and with it every key below it.
    pub revoked: String,
}
