//! The connection to Redis, and the circuit: while there is no connection nobody waits for one.
//!
//! The first call that Redis does not answer in time drops the connection. Only the background task
//! makes a new one, so an outage costs a caller the wait at most once, and recovery costs none.

use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, RedisError, RedisResult,
    aio::MultiplexedConnection, io::tcp::TcpSettings,
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::timeout};

/// How long connecting may take: nobody waits for it but the background task.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// A connection, and which one of them it is.
type Numbered = (u64, MultiplexedConnection);

/// The connection to Redis.
pub(super) struct Link {
    client: Client,
    patience: Duration,
    /// Absent while Redis does not answer.
    current: Mutex<Option<Numbered>>,
    broken: Notify,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Link {
    /// Not connected yet.
    ///
    /// # Errors
    /// When the client's address is not right.
    pub(super) fn new(client: &Client, patience: Duration) -> RedisResult<Self> {
        // Nagle's algorithm would hold a call back until the one before is answered.
        let settings = TcpSettings::default().set_nodelay(true);
        let info = client.get_connection_info().clone().set_tcp_settings(settings);
        let client = Client::open(info.into_connection_info()?)?;
        Ok(Self { client, patience, current: Mutex::new(None), broken: Notify::new() })
    }

    fn current(&self) -> MutexGuard<'_, Option<Numbered>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_up(&self) -> bool {
        self.current().is_some()
    }

    /// Asks Redis; `None` when it does not answer in time, or there is no connection.
    pub(super) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> Option<T> {
        let (number, connection) = self.current().clone()?;
        let answer = timeout(self.patience, question(connection)).await;
        let error = match answer {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.category().to_owned(),
            Err(_) => format!("no answer within {} ms", self.patience.as_millis()),
        };
        self.drop_connection(number, &error);
        None
    }

    /// Unless it has been replaced already.
    fn drop_connection(&self, number: u64, error: &str) {
        let dropped = self.current().take_if(|(current, _)| *current == number);
        if dropped.is_some() {
            tracing::warn!(error, "Redis does not answer: limits are not shared now");
            self.broken.notify_one();
        }
    }

    /// Resolves when a connection was dropped.
    pub(super) async fn broken(&self) {
        self.broken.notified().await;
    }

    /// Connects, the `number`th time, and sees whether Redis answers.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn connect(&self, number: u64) -> RedisResult<()> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_PATIENCE))
            .set_response_timeout(None);
        let connecting = async {
            let mut connection =
                self.client.get_multiplexed_async_connection_with_config(&config).await?;
            redis::cmd("PING").query_async::<()>(&mut connection).await?;
            RedisResult::Ok(connection)
        };
        let silent = |_| RedisError::from((ErrorKind::Io, "no answer"));
        let connection = timeout(CONNECT_PATIENCE, connecting).await.map_err(silent)??;
        *self.current() = Some((number, connection));
        Ok(())
    }
}
