//! The mock upstream, and a real server process before it that dies and comes back.

use serde_json::Value;
use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    sync::Mutex,
};
use tollgate_bench::{Mock, MockOptions};

/// No step takes longer than this, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is there while conversations go on.
pub struct World {
    pub mock: Mock,
    pub addr: SocketAddr,
    pub grpc: SocketAddr,
    pub key: String,
    folder: TempDir,
    server: Mutex<Option<Running>>,
}

/// The server's process. Its output is kept open, as an operator would.
struct Running {
    child: Child,
    _out: tokio::io::Lines<BufReader<ChildStdout>>,
}

/// Two addresses that are free now, and stay so until the server takes them.
fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

impl World {
    /// A mock, and an installation with a key.
    pub async fn start() -> Self {
        let remember = 100_000;
        let mock = Mock::with(MockOptions { remember, ..MockOptions::default() }).await.unwrap();
        let [addr, grpc] = free_addresses();
        let grpc_listener = if cfg!(feature = "grpc") {
            format!("[grpc]\nlisten = \"{grpc}\"\n")
        } else {
            String::new()
        };
        let folder = TempDir::new().unwrap();
        let configuration = format!(
            "[server]\nlisten = \"{addr}\"\ndrain_seconds = 2\n{grpc_listener}\
             [[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"{}\"\n\
             [[prices]]\nmodel = \"mock/*\"\ninput = \"1\"\noutput = \"2\"\n",
            mock.base_url()
        );
        std::fs::write(folder.path().join("tollgate.toml"), configuration).unwrap();
        let mut world =
            Self { mock, addr, grpc, key: String::new(), folder, server: Mutex::new(None) };
        world.ran(&["users", "create", "alice"]).await;
        let budgets = ["--budget", "tokens=1000000000/month", "--budget", "cost=1000usd/month"];
        let create = ["keys", "create", "--user", "alice", "--json"];
        let made: Value = serde_json::from_str(&world.ran(&[&create[..], &budgets].concat()).await)
            .expect("the key in JSON");
        world.key = made["key"].as_str().unwrap().to_owned();
        world
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("serve.log")
    }

    /// The end of what the server logged.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// What a command printed that must have worked.
    pub async fn ran(&self, arguments: &[&str]) -> String {
        let ran = self.command().args(arguments).output();
        let Output { status, stdout, stderr } =
            tokio::time::timeout(PATIENCE, ran).await.expect("the command ends").unwrap();
        assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    /// Starts the server; returns when it listens.
    pub async fn serve(&self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file());
        let mut command = self.command();
        command.arg("serve").stdout(Stdio::piped()).stderr(log.unwrap());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, out.next_line()).await;
        let line = line.ok().and_then(Result::unwrap).unwrap_or_default();
        assert!(line.contains("is listening on"), "no server: {line}\n{}", self.log());
        *self.server.lock().await = Some(Running { child, _out: out });
    }

    async fn running(&self) -> Running {
        self.server.lock().await.take().expect("a server runs")
    }

    /// kill -9.
    pub async fn kill(&self) {
        self.running().await.child.kill().await.unwrap();
    }

    /// Asks the server to end, and waits for that.
    pub async fn terminate(&self) {
        let mut running = self.running().await;
        let id = running.child.id().unwrap().to_string();
        let sent = Command::new("sh").args(["-c", "kill -s TERM $0", &id]).status().await;
        assert!(sent.unwrap().success());
        let ended = tokio::time::timeout(PATIENCE, running.child.wait()).await;
        assert!(ended.expect("the server ends").unwrap().success(), "{}", self.log());
    }
}
