//! One call of a connection: the same straight line as every other way in, told in frames.

use super::{
    calls::OpenCall,
    connection::Link,
    frames,
    order::{NewCall, Question, What},
};
use crate::{
    access::Caller,
    gateway::{Call, Embedded},
    ids::new_id,
    ingress::{
        native::{self, models},
        problem::Problem,
        reply,
    },
    ledger::Order,
    runs::{Run, RunOptions},
};
use axum::http::HeaderMap;
use bytes::Bytes;
use futures_util::FutureExt;
use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tollgate_types::{
    CallOptions, EmbedRequest, Error, ErrorKind, EventStream, Result as Outcome, Secret,
    StreamEvent,
    wire::{ModelList, TokenCount, header, socket::Cancelled},
};

type Failure = Problem<native::Shape>;

/// How long a client may leave a call without credit: its budgets hold what the call may cost.
const CREDIT_PATIENCE: Duration = Duration::from_secs(60);

/// How a call ended.
enum Ending {
    /// The last event has been told.
    Told,
    /// With this frame.
    Frame(Utf8Bytes),
}

/// Answers a call, and tells its end.
pub(super) async fn run(link: Arc<Link>, order: NewCall, call: Arc<OpenCall>) {
    let started = Instant::now();
    let request_id = new_id(link.front.clock.as_ref());
    let kind = order.what.as_str();
    let (timeout, lasting) = (order.timeout, order.what.lasting(&request_id));
    let credential = order.credential.as_ref().unwrap_or(&link.credential).clone();
    let telling = Telling { link: &link, call: &call, request_id: &request_id, credential };
    let answering = AssertUnwindSafe(telling.answer(order)).catch_unwind();
    let ended = tokio::select! {
        biased;
        error = call.told_to_end() => Err(error.into()),
        () = over(timeout) => {
            call.end_with(late());
            Err(late().into())
        }
        ended = answering => ended.unwrap_or_else(|_| Err(defect(&request_id).into())),
    };
    // Dropping the answer has stopped its upstream by now, unless the run is to outlive it.
    if let Some(run) = lasting.filter(|_| call.is_told_to_end()) {
        telling.cancel(&run).await;
    }
    link.calls.close(call.number);
    let failed = match ended {
        Ok(Ending::Told) => None,
        Ok(Ending::Frame(frame)) => {
            link.send(frame).await;
            None
        }
        Err(failure) => Some(telling.failed(failure).await),
    };
    tracing::info!(
        request_id = %request_id,
        route = "ws",
        kind,
        error = failed.map_or("none", ErrorKind::as_str),
        head_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "call ended"
    );
}

/// Never, without a limit.
async fn over(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "the call took longer than its timeout_ms").with(|body| {
        body.retryable = false;
        body.blame = tollgate_types::Blame::Caller;
    })
}

fn defect(request_id: &str) -> Error {
    tracing::error!(request_id, "a call panicked");
    Error::new(ErrorKind::Internal, "the server has a defect here; it is logged")
}

/// A call while it is answered.
struct Telling<'a> {
    link: &'a Link,
    call: &'a OpenCall,
    request_id: &'a str,
    credential: Secret<String>,
}

impl Telling<'_> {
    /// At every call anew: a credential that has expired or was revoked opens no more of them.
    async fn caller(&self) -> Outcome<Arc<Caller>> {
        let credential = Some(self.credential.expose().as_str());
        self.link.front.caller_or(&HeaderMap::new(), credential).await
    }

    async fn answer(&self, order: NewCall) -> Result<Ending, Failure> {
        let front = &self.link.front;
        let caller = self.caller().await?;
        match order.what {
            What::Answer(question) => {
                let streamed = question.streamed;
                let run = self.begin(&caller, question, order.options).await?;
                if streamed { self.stream(run).await } else { self.whole(run).await }
            }
            What::Embed(body, key) => self.embed(&caller, (&body, key), order.options).await,
            What::CountTokens(body) => {
                let request = native::parse_request(&body)?;
                let input_tokens = front.gateway.count_tokens(&caller, request).await?;
                Ok(self.response(HeaderMap::new(), &TokenCount { input_tokens }))
            }
            What::Models => {
                let list = ModelList { models: models::visible(front, &caller).await };
                Ok(self.response(HeaderMap::new(), &list))
            }
            What::Resume(run, after) => {
                Ok(self.rest(front.runs.attach(&caller, &run, after).await?).await)
            }
            What::Cancel(run) => {
                front.runs.cancel(&caller, &run).await?;
                Ok(self.response(HeaderMap::new(), &Cancelled { cancelled: run }))
            }
        }
    }

    /// Cancels the run of a call that ended before it.
    async fn cancel(&self, run: &str) {
        let Ok(caller) = self.caller().await else { return };
        if let Err(error) = self.link.front.runs.cancel(&caller, run).await {
            // It has ended by itself, or was never begun.
            tracing::debug!(%error, "a run was not cancelled");
        }
    }

    async fn begin(
        &self,
        caller: &Arc<Caller>,
        question: Question,
        options: CallOptions,
    ) -> Result<Run, Failure> {
        let Question { body, streamed, key, resumable } = question;
        let mut request = native::parse_request(&body)?;
        request.options = options;
        let request_id = self.request_id.to_owned();
        let call = Call { request, request_id, dialect: "native", streamed };
        let key = key.map(|key| (key, *blake3::hash(&body).as_bytes()));
        let options = RunOptions { key, resumable };
        Ok(self.link.front.runs.begin(caller, call, options).await?)
    }

    async fn whole(&self, run: Run) -> Result<Ending, Failure> {
        let (mut answer, run_id) = run.into_answer();
        let mut headers = reply::description(&mut answer).await;
        let response = answer.events.collect().await?;
        reply::charge(&mut headers, response.receipt.as_ref());
        reply::put(&mut headers, header::REQUEST_ID, &run_id);
        Ok(self.response(headers, &response))
    }

    async fn stream(&self, run: Run) -> Result<Ending, Failure> {
        let number = run.events.next_number();
        let (mut answer, run_id) = run.into_answer();
        let mut headers = reply::description(&mut answer).await;
        reply::put(&mut headers, header::REQUEST_ID, &run_id);
        self.link.send(frames::head(self.call.number, &headers)).await;
        self.tell(answer.events, number).await;
        Ok(Ending::Told)
    }

    /// The rest of a run. Its next event may be far away, so the head does not wait for it.
    async fn rest(&self, run: Run) -> Ending {
        let mut headers = reply::target(&run.target);
        reply::put(&mut headers, header::REQUEST_ID, &run.id);
        self.link.send(frames::head(self.call.number, &headers)).await;
        let number = run.events.next_number();
        self.tell(run.events.into_events(), number).await;
        Ending::Told
    }

    /// Tells events as long as there is credit for them. Without credit the upstream is not read.
    async fn tell(&self, mut events: EventStream, mut number: u64) {
        loop {
            if timeout(CREDIT_PATIENCE, self.call.credit.wait()).await.is_err() {
                // Whoever runs this call stops here; a run that is resumable waits for its client.
                self.call.leave();
                return std::future::pending().await;
            }
            let Some(item) = events.next().await else { return };
            let event = item.unwrap_or_else(|error| StreamEvent::Error { error });
            let frame = frames::event(self.call.number, number, &event);
            self.call.credit.take(frame.len());
            self.link.send(frame).await;
            number += 1;
        }
    }

    async fn embed(
        &self,
        caller: &Arc<Caller>,
        (body, key): (&Bytes, Option<String>),
        options: CallOptions,
    ) -> Result<Ending, Failure> {
        let request: EmbedRequest = native::parse(body)?;
        let order = Order {
            request_id: self.request_id.to_owned(),
            asked_model: request.model.clone(),
            dialect: "native",
            streamed: false,
            tags: options.tags,
        };
        let key = key.map(|key| (key, *blake3::hash(body).as_bytes()));
        let (embedded, run_id) = self.link.front.runs.embed(caller, order, (request, key)).await?;
        let Embedded { response, rates, .. } = embedded;
        let mut headers = HeaderMap::new();
        reply::put(&mut headers, header::REQUEST_ID, &run_id);
        reply::put_rates(&mut headers, &rates);
        reply::charge(&mut headers, response.receipt.as_ref());
        Ok(self.response(headers, &response))
    }

    fn response(&self, headers: HeaderMap, response: &impl serde::Serialize) -> Ending {
        Ending::Frame(frames::response(self.call.number, &self.identified(headers), response))
    }

    /// A call that joined a run has the id of that run already.
    fn identified(&self, mut headers: HeaderMap) -> HeaderMap {
        if !headers.contains_key(header::REQUEST_ID) {
            reply::put(&mut headers, header::REQUEST_ID, self.request_id);
        }
        headers
    }

    async fn failed(&self, failure: Failure) -> ErrorKind {
        let (error, rates) = failure.into_parts();
        let kind = error.kind();
        let mut headers = HeaderMap::new();
        reply::put_rates(&mut headers, &rates);
        let error = error.with(|body| {
            body.request_id.get_or_insert_with(|| self.request_id.to_owned());
        });
        let frame = frames::error(self.call.number, error, &self.identified(headers));
        self.link.send(frame).await;
        kind
    }
}

impl Link {
    /// Tells the client something. When the connection is gone there is nobody to tell.
    pub(super) fn send(&self, frame: Utf8Bytes) -> impl Future<Output = ()> + Send + '_ {
        let sent = self.outbox.send(Message::Text(frame));
        sent.map(drop)
    }
}
