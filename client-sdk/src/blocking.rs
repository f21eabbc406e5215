//! The client without `async`: for programs that have no runtime and want none.
//!
//! All blocking clients of a process share one background thread, which is started with the first of
//! them and does what happens between calls: it keeps connections, and tells the server of streams
//! that were dropped.
//!
//! ```no_run
//! use tollgate_client::blocking::RemoteProvider;
//! use tollgate_types::{GenerateRequest, Message, StreamEvent};
//!
//! # fn ask() -> tollgate_types::Result<()> {
//! let provider = RemoteProvider::from_env()?;
//! let request = GenerateRequest::new("openai/gpt-4o-mini", vec![Message::user("Hello")]);
//! for event in provider.stream(request)? {
//!     if let StreamEvent::PartDelta { delta, .. } = event? {
//!         print!("{delta}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use crate::{Builder, UsageQuery};
use std::{
    fmt,
    future::Future,
    sync::{Mutex, OnceLock, PoisonError},
};
use tokio::runtime::{Handle, Runtime};
use tollgate_types::{
    BudgetStatus, DelegateRequest, DelegatedKey, EmbedRequest, EmbedResponse, Error, ErrorKind,
    Estimate, EventStream, GenerateRequest, GenerateResponse, ModelInfo, Provider, Result,
    StreamEvent, Usage, UsageReport,
};

/// A Tollgate server, asked by calls that wait. Cheap to clone; clones share their connections.
///
/// Its methods return an `invalid_request` error where they are called within an async runtime,
/// which they would block: use [`crate::RemoteProvider`] there.
#[derive(Clone)]
pub struct RemoteProvider {
    remote: crate::RemoteProvider,
    runtime: &'static Runtime,
}

impl Builder {
    /// As [`Builder::build`], for programs without a runtime.
    ///
    /// # Errors
    /// As [`Builder::build`], and `internal` when no thread can be started.
    pub fn build_blocking(self) -> Result<RemoteProvider> {
        RemoteProvider::over(self.build()?)
    }
}

impl RemoteProvider {
    /// As [`crate::RemoteProvider::from_env`].
    ///
    /// # Errors
    /// As [`Builder::from_env`] and [`Builder::build_blocking`].
    pub fn from_env() -> Result<Self> {
        Builder::from_env()?.build_blocking()
    }

    /// Starts to put a provider together; ends with [`Builder::build_blocking`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The blocking face of a provider.
    ///
    /// # Errors
    /// `internal` when no thread can be started.
    pub fn over(remote: crate::RemoteProvider) -> Result<Self> {
        Ok(Self { remote, runtime: shared()? })
    }

    /// Asks a model and waits for the whole answer.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn generate(&self, request: GenerateRequest) -> Result<GenerateResponse> {
        self.wait(self.remote.generate(request))
    }

    /// Asks a model; the events come as they are asked for. Dropping them cancels the call.
    ///
    /// # Errors
    /// Whatever went wrong before the first event.
    pub fn stream(&self, request: GenerateRequest) -> Result<Events> {
        let events = self.wait(self.remote.stream(request))?;
        Ok(Events { events: Some(events), runtime: self.runtime })
    }

    /// Turns texts into vectors.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn embed(&self, request: EmbedRequest) -> Result<EmbedResponse> {
        self.wait(self.remote.embed(request))
    }

    /// Lists the models that the key may use.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn models(&self) -> Result<Vec<ModelInfo>> {
        self.wait(self.remote.models())
    }

    /// Counts the prompt tokens that a request would use, exactly.
    ///
    /// # Errors
    /// Whatever went wrong; `unsupported` where the provider cannot count.
    pub fn count_tokens(&self, request: GenerateRequest) -> Result<u64> {
        self.wait(self.remote.count_tokens(request))
    }

    /// As [`crate::RemoteProvider::estimate`].
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn estimate(&self, request: GenerateRequest) -> Result<Estimate> {
        self.wait(self.remote.estimate(request))
    }

    /// What the key's owner has used.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn usage(&self, query: UsageQuery) -> Result<UsageReport> {
        self.wait(self.remote.usage(query))
    }

    /// The budgets that the key's calls are charged to, as they are now.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn budgets(&self) -> Result<Vec<BudgetStatus>> {
        self.wait(self.remote.budgets())
    }

    /// As [`crate::RemoteProvider::delegate`].
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn delegate(&self, request: &DelegateRequest) -> Result<DelegatedKey> {
        self.wait(self.remote.delegate(request))
    }

    /// The keys in force that this provider's key delegated to, without their text.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn delegated(&self) -> Result<Vec<DelegatedKey>> {
        self.wait(self.remote.delegated())
    }

    /// As [`crate::RemoteProvider::revoke_delegated`].
    ///
    /// # Errors
    /// Whatever went wrong.
    pub fn revoke_delegated(&self, id: &str) -> Result<()> {
        self.wait(self.remote.revoke_delegated(id))
    }

    /// The same provider with another key: the same server, settings and connections.
    ///
    /// # Errors
    /// `invalid_request` when it is no text that a header can hold.
    pub fn with_api_key(&self, key: impl Into<String>) -> Result<Self> {
        Ok(Self { remote: self.remote.with_api_key(key)?, runtime: self.runtime })
    }

    fn wait<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        wait(self.runtime, call)?
    }
}

impl fmt::Debug for RemoteProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("blocking").field(&self.remote).finish()
    }
}

/// Events of one call, the last of them `finish` or an error. Dropping them cancels the call.
#[derive(Debug)]
pub struct Events {
    events: Option<EventStream>,
    runtime: &'static Runtime,
}

impl Events {
    /// The rest of the events, folded into a whole answer.
    ///
    /// # Errors
    /// As the events, and `stream_interrupted` when they stop without a finish.
    pub fn collect_answer(mut self) -> Result<GenerateResponse> {
        let events = self.events.take().ok_or_else(over)?;
        wait(self.runtime, events.collect())?
    }

    /// Stops the call, and says what it had used by then where the server tells.
    ///
    /// # Errors
    /// `invalid_request` within an async runtime.
    pub fn cancel(mut self) -> Result<Option<Usage>> {
        let events = self.events.take().ok_or_else(over)?;
        wait(self.runtime, async { events.cancel().await })
    }
}

impl Iterator for Events {
    type Item = Result<StreamEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        let events = self.events.as_mut()?;
        match wait(self.runtime, events.next()) {
            Ok(event) => event,
            Err(refused) => {
                self.events = None;
                Some(Err(refused))
            }
        }
    }
}

/// Within the runtime, where the cancellation is sent from.
impl Drop for Events {
    fn drop(&mut self) {
        let _within = self.runtime.enter();
        self.events = None;
    }
}

fn over() -> Error {
    Error::invalid("stream", "the events have ended")
}

/// Waits for an answer on the caller's own thread, which must not be one that others wait for too.
fn wait<T>(runtime: &Runtime, call: impl Future<Output = T>) -> Result<T> {
    if Handle::try_current().is_ok() {
        let message = "a blocking call within an async runtime would stall it: await the calls of \
                       tollgate_client::RemoteProvider instead, or block on a thread of its own";
        return Err(Error::new(ErrorKind::InvalidRequest, message));
    }
    Ok(runtime.block_on(call))
}

/// The one background thread. It is never stopped: a dropped stream is cancelled by it.
fn shared() -> Result<&'static Runtime> {
    static SHARED: OnceLock<Runtime> = OnceLock::new();
    static BUILDING: Mutex<()> = Mutex::new(());
    if let Some(runtime) = SHARED.get() {
        return Ok(runtime);
    }
    let _turn = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = SHARED.get() {
        return Ok(runtime);
    }
    let built = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("tollgate-client")
        .enable_all()
        .build();
    let built = built.map_err(|error| {
        Error::new(ErrorKind::Internal, "no background thread can be started").with_source(error)
    })?;
    Ok(SHARED.get_or_init(|| built))
}
