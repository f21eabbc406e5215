//! A private Redis, which can be stopped, paused and started again, and a part of a shared one.

use super::{REDIS, from_environment, instance::Instance, password, programs, with_database};
use redis::{AsyncConnectionConfig, Client, RedisError, aio::MultiplexedConnection, cmd};
use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tokio::sync::OnceCell;

/// Every test gets a database of its own, by number.
const DATABASES: u64 = 10_000;

/// A shared Redis with fewer would give two tests the same one.
const FEWEST_DATABASES: u64 = 1_000;

/// Where the last number that was given out stands, in database 0.
const COUNTER: &str = "tollgate:test:databases";

/// The server of a process that was given none. Nothing drops it: it ends with the process.
static OWN: OnceCell<Redis> = OnceCell::const_new();

/// A private Redis that keeps nothing on disk; dropping it ends it.
pub struct Redis {
    instance: Instance,
    program: PathBuf,
    password: String,
}

impl Redis {
    /// Starts one.
    ///
    /// # Errors
    /// When Redis is not installed or does not start; the message says why.
    pub async fn start() -> io::Result<Self> {
        let program = programs::redis()?;
        let mut instance = Instance::new("redis", "KILL")?;
        let password = password();
        let settings = format!(
            "bind 127.0.0.1\nrequirepass {password}\nsave \"\"\nappendonly no\n\
             daemonize no\ndatabases {DATABASES}\nmaxclients 4000\n"
        );
        instance.write("redis.conf", &settings)?;
        let command = |instance: &Instance, port| server(instance, &program, port);
        instance.start(command, async |instance| answers(instance, &password).await).await?;
        Ok(Self { instance, program, password })
    }

    /// Its URL, to database 0.
    pub fn url(&self) -> String {
        url(&self.instance, &self.password)
    }

    /// The port on 127.0.0.1; stays the same over stops and starts.
    pub fn port(&self) -> u16 {
        self.instance.port()
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        self.instance.log()
    }

    /// Shuts it down; what it held is lost.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn stop(&mut self) -> io::Result<()> {
        self.instance.stop("TERM").await
    }

    /// Starts it again after [`Self::stop`], empty, on the same port. Returns when it answers.
    ///
    /// # Errors
    /// When it runs already, or does not start.
    pub async fn start_again(&mut self) -> io::Result<()> {
        let command = server(&self.instance, &self.program, self.instance.port())?;
        let password = &self.password;
        self.instance.start_again(command, async |instance| answers(instance, password).await).await
    }

    /// Lets it stand still, as if the network had gone silent: new connections are taken by the
    /// kernel, and nothing is ever answered.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn pause(&mut self) -> io::Result<()> {
        self.instance.pause().await
    }

    /// Goes on after [`Self::pause`]; it then does what it was asked meanwhile.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&mut self) -> io::Result<()> {
        self.instance.resume()
    }
}

impl std::fmt::Debug for Redis {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("port", &self.port()).finish_non_exhaustive()
    }
}

/// The URL of an empty database of the shared Redis, which nobody else is given: on the server that
/// `TOLLGATE_TEST_REDIS` names or, without that, on one that is started for this process.
///
/// # Errors
/// When there is no server, or it has too few databases.
pub async fn redis_url() -> io::Result<String> {
    let server = match from_environment(REDIS) {
        Some(url) => url,
        None => OWN.get_or_try_init(Redis::start).await?.url(),
    };
    let failed = |error| io::Error::other(format!("Redis: {error}; {REDIS} names it"));
    let taken = take_database(&server).await.map_err(failed)?;
    taken.map(|number| with_database(&server, &number.to_string())).ok_or_else(|| {
        let hint = "start it with --databases 10000, or leave that to make test";
        io::Error::other(format!("the Redis of {REDIS} has too few databases: {hint}"))
    })
}

/// The number of the next database, emptied; absent when there are too few.
async fn take_database(server: &str) -> Result<Option<u64>, RedisError> {
    let mut connection = connect(with_database(server, "0")).await?;
    let databases: (String, u64) =
        cmd("CONFIG").arg("GET").arg("databases").query_async(&mut connection).await?;
    if databases.1 < FEWEST_DATABASES {
        return Ok(None);
    }
    let given: u64 = cmd("INCR").arg(COUNTER).query_async(&mut connection).await?;
    let number = given % (databases.1 - 1) + 1;
    let mut connection = connect(with_database(server, &number.to_string())).await?;
    let () = cmd("FLUSHDB").query_async(&mut connection).await?;
    Ok(Some(number))
}

fn server(instance: &Instance, program: &Path, port: u16) -> io::Result<Command> {
    let mut command = instance.command(program)?;
    command.args(["redis.conf", "--port", &port.to_string()]);
    Ok(command)
}

fn url(instance: &Instance, password: &str) -> String {
    format!("redis://:{password}@127.0.0.1:{}/0", instance.port())
}

/// Whether the server is there: another one on its port would want another password.
async fn answers(instance: &Instance, password: &str) -> io::Result<bool> {
    let Ok(mut connection) = connect(url(instance, password)).await else { return Ok(false) };
    let answer: Result<String, RedisError> = cmd("PING").query_async(&mut connection).await;
    Ok(answer.is_ok_and(|answer| answer == "PONG"))
}

async fn connect(url: String) -> Result<MultiplexedConnection, RedisError> {
    let patience = Some(Duration::from_secs(10));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(patience)
        .set_response_timeout(patience);
    Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}
