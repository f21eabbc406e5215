//! The background of shared limits: reconnects, and keeps the places of running calls.

use super::{Shared, micros};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// Pause between attempts to reach Redis.
const PAUSE: Duration = Duration::from_secs(1);
/// Places that are kept with one command.
const AT_ONCE: usize = 512;

/// Runs until the server stops. `made` connections were made before.
pub(super) async fn keep(shared: Arc<Shared>, mut made: u64) {
    let tasks = shared.tasks.clone();
    let work = async {
        loop {
            if shared.link.is_up() {
                tokio::select! {
                    () = shared.link.broken() => {}
                    () = sleep(shared.lease / 3) => shared.renew().await,
                }
            } else {
                let before = made;
                made = shared.reach(made).await;
                if made == before {
                    sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = tasks.stopping() => {}
    }
}

impl Shared {
    /// Tries to connect, the `made`th time after 0; says how many times it was done.
    pub(super) async fn reach(&self, made: u64) -> u64 {
        match self.link.connect(made).await {
            Ok(()) => {
                tracing::info!("Redis answers: limits are shared");
                self.renew().await;
                made + 1
            }
            Err(error) if made == 0 => {
                let error = error.category();
                tracing::warn!(error, "Redis does not answer: limits are not shared yet");
                made
            }
            Err(error) => {
                tracing::debug!(error = error.category(), "Redis does not answer yet");
                made
            }
        }
    }

    /// Keeps the places of running calls; takes those again that Redis has lost.
    async fn renew(&self) {
        let held: Vec<(String, String)> = {
            let running = self.running();
            let places = |(call, keys): (&String, &Vec<String>)| {
                keys.iter().map(|key| (call.clone(), key.clone())).collect::<Vec<_>>()
            };
            running.iter().flat_map(places).collect()
        };
        for places in held.chunks(AT_ONCE) {
            let lost = self.renew_places(places, false).await;
            // Only of calls that still run: what ended in the meantime has given its places back.
            let lost: Vec<_> = lost
                .into_iter()
                .filter_map(|number| places.get(number.checked_sub(1)?).cloned())
                .filter(|(call, _)| self.running().contains_key(call))
                .collect();
            if !lost.is_empty() {
                self.renew_places(&lost, true).await;
            }
        }
    }

    /// The numbers, from 1, of the places that are not there.
    async fn renew_places(&self, places: &[(String, String)], take: bool) -> Vec<usize> {
        let mut asked = self.scripts.renew.prepare_invoke();
        asked.arg(micros(self.lease)).arg(u8::from(take));
        for (call, key) in places {
            asked.key(key).arg(call);
        }
        let lost = self.link.ask(async |mut connection| asked.invoke_async(&mut connection).await);
        lost.await.unwrap_or_default()
    }

    /// A call runs no more, and waits no more.
    pub(super) async fn forget(&self, call: &str, keys: Vec<[String; 5]>) {
        let mut commands = redis::pipe();
        for [_, _, running, waiting, seen] in keys {
            for key in [running, waiting, seen] {
                commands.zrem(key, call).ignore();
            }
        }
        let told = async |mut connection| commands.query_async::<()>(&mut connection).await;
        self.link.ask(told).await.unwrap_or_default();
    }
}
