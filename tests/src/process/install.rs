//! A fresh installation in a folder of its own, and commands run in it.

use super::{PATIENCE, Server, program};
use serde_json::Value;
use std::{ffi::OsStr, path::PathBuf, process::Stdio};
use tempfile::TempDir;
use tokio::process::Command;

/// A fresh installation: a configuration file, and a database that the first command makes.
#[derive(Debug)]
pub struct Install {
    folder: TempDir,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it said on standard error.
    pub err: String,
}

/// A key as `tollgate keys create --json` printed it.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its id, which is no secret.
    pub id: String,
    /// The key itself.
    pub text: String,
}

impl Ran {
    /// What was printed, by a command that must have worked.
    #[track_caller]
    pub fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// The JSON that was printed, by a command that must have worked.
    #[track_caller]
    pub fn json(self) -> Value {
        let out = self.printed();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// Asserts that the command failed well: with this code, and one message on standard error
    /// that has these words and no stack.
    #[track_caller]
    pub fn failed_with(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
        for noise in ["panicked", "backtrace", "RUST_BACKTRACE"] {
            assert!(!self.err.contains(noise), "{noise:?} is in: {}", self.err);
        }
    }
}

impl Install {
    /// A folder with this configuration, on a free port.
    pub fn new(configuration: &str) -> Self {
        let install = Self { folder: tempfile::tempdir().unwrap() };
        install.configure(&format!("[server]\nlisten = \"127.0.0.1:0\"\n\n{configuration}"));
        install
    }

    /// As [`Install::new`] on PostgreSQL, where several servers may run. One that is not seen for
    /// three seconds is dead.
    pub fn on_postgres(url: &str, configuration: &str) -> Self {
        Self::new(&format!(
            "[store]\nurl = \"{url}\"\nconnections = 8\n\n[ledger]\nlease_seconds = 3\n\n\
             {configuration}"
        ))
    }

    /// Replaces the whole configuration file.
    pub fn configure(&self, text: &str) {
        std::fs::write(self.path("tollgate.toml"), text).unwrap();
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that starts in the folder, with nothing of the tests' own environment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, mut command: Command) -> Ran {
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{command:?} does not end")).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs `tollgate`.
    pub async fn tollgate(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(program("tollgate"));
        command.args(arguments);
        self.run(command).await
    }

    /// Makes a user.
    pub async fn user(&self, name: &str) {
        self.tollgate(&["users", "create", name]).await.printed();
    }

    /// Makes a key of a user, with further arguments.
    pub async fn key(&self, user: &str, arguments: &[&str]) -> Key {
        let create = ["keys", "create", "--user", user, "--json"];
        let made = self.tollgate(&[&create, arguments].concat()).await.json();
        let text = |field: &str| made.get(field).and_then(Value::as_str).unwrap().to_owned();
        Key { id: text("id"), text: text("key") }
    }

    /// Starts `tollgate serve`; returns when it listens.
    pub async fn serve(&self) -> Server {
        Server::start(self).await
    }

    /// All usage rows, oldest first, as `tollgate usage` tells them.
    pub async fn rows(&self) -> Vec<Value> {
        let report = self.tollgate(&["usage", "--rows", "10000", "--json"]).await.json();
        let rows = report.get("rows").and_then(Value::as_array).cloned();
        rows.unwrap_or_default().into_iter().rev().collect()
    }

    /// All budgets, as `tollgate budgets list` tells them.
    pub async fn budgets(&self) -> Vec<Value> {
        let list = self.tollgate(&["budgets", "list", "--json"]).await.json();
        list.as_array().unwrap().clone()
    }
}
