//! A running `tollgate serve`.

use super::{Api, Install, Key, PATIENCE, program, until};
use std::{path::PathBuf, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

/// A running server; dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    url: String,
    log: PathBuf,
    /// Kept open: a server whose reader left would not be what an operator runs.
    _out: Lines<BufReader<ChildStdout>>,
}

impl Server {
    pub(super) async fn start(install: &Install) -> Self {
        let log = install.path("serve.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = install.command(program("tollgate"));
        command.arg("serve").stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, out.next_line()).await;
        let line = line.ok().and_then(Result::unwrap).unwrap_or_default();
        let url = line.strip_prefix("tollgate is listening on ");
        let told = || std::fs::read_to_string(&log).unwrap_or_default();
        let url = url.unwrap_or_else(|| panic!("no server: {line}\n{}", told())).to_owned();
        assert!(!url.ends_with(":0"), "the bound port is not told: {url}");
        Self { child, url, log, _out: out }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it logged so far, with what earlier servers of the installation logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Its HTTP interface, with a key.
    pub fn api(&self, key: &Key) -> Api {
        Api::new(&self.url, &key.text)
    }

    /// Whether it takes connections.
    pub async fn listens(&self) -> bool {
        let address = self.url.trim_start_matches("http://");
        tokio::net::TcpStream::connect(address).await.is_ok()
    }

    /// kill -9; returns when the process is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends a signal: `STOP`, `CONT`.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let kill = ["-c", "kill -s $0 $1", name, &id];
        let sent = tokio::process::Command::new("sh").args(kill).status();
        assert!(sent.await.unwrap().success());
    }

    /// Sends SIGTERM; returns when the server takes no more connections.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
        until("no new connections", PATIENCE, async || !self.listens().await).await;
    }

    /// Waits for its end; returns the exit code.
    pub async fn ended(mut self) -> Option<i32> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("the server does not end: {}", self.log()));
        ended.unwrap().code()
    }
}
