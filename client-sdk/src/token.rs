//! Short-lived tokens: where they come from, and when another one is fetched.
//!
//! One flight fetches for all calls that wait. Nothing runs in the background: a token is fetched on
//! the way of a call, ahead of its end by one call while the others go on with what there is.

use futures_util::{
    FutureExt,
    future::{BoxFuture as Flight, Shared},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tollgate_types::{BoxFuture, Error, ErrorKind, Result, Secret};

/// How long one flight may take.
const FLIGHT: Duration = Duration::from_secs(30);
/// How long a call that could go on with the token at hand waits for the next one.
const AHEAD: Duration = Duration::from_secs(5);
/// After a flight ahead of time that failed, none takes off for so long.
const REST: Duration = Duration::from_secs(10);

/// Where tokens come from, for callers with a scheme of their own: an agent of their cloud, a vault,
/// a file. It is asked when a call is made and there is no token, or its end is near, or the server
/// refused it.
pub trait TokenSource: Send + Sync + 'static {
    /// A token that can be used now.
    ///
    /// # Errors
    /// Why there is none. Calls that need it fail with this error, and are tried again where it
    /// says that this can help.
    fn token(&self) -> BoxFuture<'_, Result<Token>>;
}

impl<S: TokenSource + ?Sized> TokenSource for Arc<S> {
    fn token(&self) -> BoxFuture<'_, Result<Token>> {
        (**self).token()
    }
}

/// What calls are made with for a while. Its text is never shown.
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret<String>,
    lifetime: Option<Duration>,
}

impl Token {
    /// A token that works until the server refuses it.
    pub fn new(text: impl Into<String>) -> Self {
        Self { secret: Secret::new(text.into()), lifetime: None }
    }

    /// How long it works from the moment its source was asked. A span, so that this machine's clock
    /// may be wrong.
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    pub(crate) fn secret(&self) -> &Secret<String> {
        &self.secret
    }
}

/// A token at hand.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) token: Token,
    /// Tells tokens apart: the first one has 1.
    pub(crate) number: u64,
    /// From here on another one is fetched while this one is used; absent: never.
    renew_at: Option<Instant>,
    /// From here on it is of no use.
    ends_at: Option<Instant>,
}

impl Held {
    fn of(token: Token, number: u64, asked: Instant) -> Self {
        let after = |span: Duration| asked.checked_add(span);
        // At 80 % of its life, less up to a tenth of it: clients that began together drift apart.
        let renew_at = token.lifetime.and_then(|life| after(life / 100 * fastrand::u32(70..=80)));
        let ends_at = token.lifetime.and_then(after);
        Self { token, number, renew_at, ends_at }
    }

    fn is_over(&self) -> bool {
        self.ends_at.is_some_and(|end| end <= Instant::now())
    }
}

type Fetching = Shared<Flight<'static, Result<Token>>>;

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// How many there were.
    number: u64,
    /// The flight that is under way, and when it took off.
    flight: Option<(Fetching, Instant)>,
    /// No flight ahead of time before this.
    rest_until: Option<Instant>,
}

/// Tokens of one source, for all calls of a provider.
pub(crate) struct Tokens {
    source: Arc<dyn TokenSource>,
    state: Mutex<State>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    pub(crate) fn new(source: Arc<dyn TokenSource>) -> Self {
        Self { source, state: Mutex::default() }
    }

    /// A token that can be used now.
    pub(crate) async fn get(&self) -> Result<Held> {
        match self.plan() {
            Plan::Use(held) => Ok(held),
            Plan::Renew(held, flight) => {
                // Late or failed: the token at hand is good for some time still.
                let fetched = timeout(AHEAD, self.fetched(flight)).await;
                Ok(fetched.ok().and_then(Result::ok).unwrap_or(held))
            }
            Plan::Wait(flight) => self.fetched(flight).await,
        }
    }

    /// The server refused this token: another one is fetched, unless one was meanwhile.
    pub(crate) fn refused(&self, number: u64) {
        let mut state = self.state();
        if state.held.as_ref().is_some_and(|held| held.number == number) {
            state.held = None;
        }
    }

    fn plan(&self) -> Plan {
        let now = Instant::now();
        let mut state = self.state();
        match state.held.clone().filter(|held| !held.is_over()) {
            None => Plan::Wait(self.take_off(&mut state)),
            Some(held) => {
                let near = held.renew_at.is_some_and(|at| at <= now);
                let rests = state.rest_until.is_some_and(|until| now < until);
                if !near || rests {
                    return Plan::Use(held);
                }
                // One call fetches ahead of time; it says here that the others need not.
                state.rest_until = now.checked_add(REST);
                let flight = self.take_off(&mut state);
                Plan::Renew(held, flight)
            }
        }
    }

    /// The flight that is under way, or a new one.
    fn take_off(&self, state: &mut State) -> (Fetching, Instant) {
        if let Some((flight, asked)) = &state.flight {
            // One that nobody waited for has ended, or was left alone for too long.
            if flight.peek().is_none() && asked.elapsed() < FLIGHT {
                return (flight.clone(), *asked);
            }
        }
        let source = Arc::clone(&self.source);
        let flight = async move {
            let late = || Error::new(ErrorKind::Timeout, "no token came in time");
            timeout(FLIGHT, source.token()).await.unwrap_or_else(|_| Err(late()))
        };
        let flight = (flight.boxed().shared(), Instant::now());
        state.flight = Some(flight.clone());
        flight
    }

    /// What a flight brings, kept by whoever sees it first.
    async fn fetched(&self, (flight, asked): (Fetching, Instant)) -> Result<Held> {
        let brought = flight.clone().await;
        let mut state = self.state();
        let mine = |(other, _): &(Fetching, Instant)| other.ptr_eq(&flight);
        if state.flight.as_ref().is_some_and(mine) {
            state.flight = None;
            if let Ok(token) = &brought {
                state.number += 1;
                state.held = Some(Held::of(token.clone(), state.number, asked));
                state.rest_until = None;
            }
        }
        match (brought, &state.held) {
            (Ok(_), Some(held)) => Ok(held.clone()),
            // Refused between its arrival and now; whoever asks again fetches another.
            (Ok(token), None) => Ok(Held::of(token, state.number, asked)),
            (Err(error), _) => Err(error),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call does for its token.
enum Plan {
    /// Use this one.
    Use(Held),
    /// Fetch another one, and use this one if that fails.
    Renew(Held, (Fetching, Instant)),
    /// Wait for the flight.
    Wait((Fetching, Instant)),
}

#[cfg(test)]
mod tests;
