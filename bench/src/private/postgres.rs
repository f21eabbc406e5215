//! A private PostgreSQL, which can be stopped, killed, paused and started again.

use super::{instance::Instance, password, programs};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What a commit is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is on the disk, as in production: benchmarks need this.
    Disk,
    /// The operating system has it: survives [`Postgres::kill`], and is much faster.
    #[default]
    System,
}

/// How a PostgreSQL shall be.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// What a commit is worth.
    pub durability: Durability,
    /// As many connections are taken, those reserved for superusers (three) included.
    pub max_connections: u16,
    /// More settings, name and value, as in `postgresql.conf`.
    pub settings: Vec<(String, String)>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { durability: Durability::default(), max_connections: 300, settings: Vec::new() }
    }
}

/// A private PostgreSQL; dropping it ends it and removes everything.
pub struct Postgres {
    instance: Instance,
    programs: PathBuf,
    options: PostgresOptions,
    password: String,
}

impl Postgres {
    /// Starts one; 300 connections.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start; the message says why.
    pub async fn start(durability: Durability) -> io::Result<Self> {
        Self::with(PostgresOptions { durability, ..PostgresOptions::default() }).await
    }

    /// Starts one as it is told.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start; the message says why.
    pub async fn with(options: PostgresOptions) -> io::Result<Self> {
        let programs = programs::postgres()?;
        // QUIT is its immediate shutdown, which also removes its shared memory.
        let mut instance = Instance::new("postgres", "QUIT")?;
        let password = password();
        init(&instance, &programs, &password).await?;
        let command =
            |instance: &Instance, port| server(instance, &programs, &options).map(|c| on(c, port));
        instance.start(command, async |instance| is_ready(instance)).await?;
        Ok(Self { instance, programs, options, password })
    }

    /// The URL of its superuser, to the database `postgres`.
    pub fn url(&self) -> String {
        let port = self.port();
        format!("postgres://postgres:{}@127.0.0.1:{port}/postgres", self.password)
    }

    /// The port on 127.0.0.1; stays the same over stops and starts.
    pub fn port(&self) -> u16 {
        self.instance.port()
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        self.instance.log()
    }

    /// Shuts it down as an operator would (PostgreSQL's "fast"): connections end, what is committed
    /// stays.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn stop(&mut self) -> io::Result<()> {
        self.instance.stop("INT").await
    }

    /// kill -9, for all of its processes at once.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.instance.kill().await?;
        self.free_shared_memory()
    }

    /// Starts it again after [`Self::stop`] or [`Self::kill`], with what it had, on the same port.
    /// Returns when it takes connections.
    ///
    /// # Errors
    /// When it runs already, or does not start.
    pub async fn start_again(&mut self) -> io::Result<()> {
        let command = server(&self.instance, &self.programs, &self.options)?;
        let command = on(command, self.instance.port());
        self.instance.start_again(command, async |instance| is_ready(instance)).await
    }

    /// The postmaster's process; those that serve connections are its children.
    ///
    /// # Errors
    /// When it does not run.
    pub fn id(&self) -> io::Result<u32> {
        self.instance.id()
    }

    /// Lets all of its processes stand still, as if the network had gone silent: new connections
    /// are taken by the kernel, and nothing is ever answered.
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

    /// Whoever is killed leaves a segment of System V shared memory behind. A start would find and
    /// remove it, but perhaps there is none.
    fn free_shared_memory(&self) -> io::Result<()> {
        let status = fs::read_to_string(self.instance.folder().join("data/postmaster.pid"))?;
        let segment = status.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
        if let Some(segment) = segment {
            let mut remove = Command::new("ipcrm");
            remove.args(["-m", segment]).stdout(Stdio::null()).stderr(Stdio::null());
            // It has gone already, or stays: 56 bytes.
            drop(remove.status());
        }
        Ok(())
    }
}

impl std::fmt::Debug for Postgres {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let port = self.port();
        f.debug_struct("Postgres")
            .field("port", &port)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

async fn init(instance: &Instance, programs: &Path, password: &str) -> io::Result<()> {
    let password = instance.write("password", password)?;
    let mut command = instance.command(&programs.join("initdb"))?;
    command.args(["--pgdata=data", "--username=postgres", "--auth=scram-sha-256", "--no-sync"]);
    command.args(["--encoding=UTF8", "--locale=C"]).arg("--pwfile").arg(&password);
    let output = tokio::process::Command::from(command).kill_on_drop(true).output().await;
    let output = output.map_err(|error| instance.explain(&error))?;
    fs::remove_file(password)?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(instance.explain(&io::Error::other(format!("initdb failed: {}", told.trim_end()))))
}

fn server(instance: &Instance, programs: &Path, options: &PostgresOptions) -> io::Result<Command> {
    let mut command = instance.command(&programs.join("postgres"))?;
    command.args(["-D", "data", "-c", "listen_addresses=127.0.0.1"]);
    // No socket: its path may not be long, and the folder's may be. Shared memory lies in the
    // folder, so that it goes with it.
    command.args(["-c", "unix_socket_directories=", "-c", "dynamic_shared_memory_type=mmap"]);
    command.args(["-c", "cluster_name=tollgate-private", "-c", "shared_buffers=64MB"]);
    command.args(["-c", "timezone=UTC", "-c", "log_timezone=UTC"]);
    command.args(["-c".to_owned(), format!("max_connections={}", options.max_connections)]);
    if options.durability == Durability::System {
        command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
    }
    for (name, value) in &options.settings {
        command.args(["-c".to_owned(), format!("{name}={value}")]);
    }
    Ok(command)
}

fn on(mut command: Command, port: u16) -> Command {
    command.args(["-p".to_owned(), port.to_string()]);
    command
}

/// Asks where `pg_ctl --wait` does: the first line is the process, the eighth its state.
fn is_ready(instance: &Instance) -> io::Result<bool> {
    let status = fs::read_to_string(instance.folder().join("data/postmaster.pid"));
    let status = status.unwrap_or_default();
    let mut lines = status.lines();
    let is_own = lines.next() == Some(instance.id()?.to_string().as_str());
    Ok(is_own && lines.nth(6).is_some_and(|state| state.trim() == "ready"))
}
