//! The programs `mock-upstream` and `tollgate`, as they are installed.

use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// A mock of all vendors, a server before it, and a key. Dropping it stops them.
pub(crate) struct House {
    pub(crate) url: String,
    pub(crate) key: String,
    programs: Vec<Child>,
    _folder: TempDir,
}

/// Where the programs are: `TOLLGATE_PROGRAMS`, or cargo's own folder for them.
fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("TOLLGATE_PROGRAMS").map(PathBuf::from);
    let built = || {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        target.unwrap_or_else(|| "../../target".into()).join("debug")
    };
    let path = folder.unwrap_or_else(built).join(name);
    assert!(
        path.exists(),
        "{} is missing: cargo build -p tollgate -p tollgate-bench",
        path.display()
    );
    path
}

/// Starts a program, and reads the first line that it prints.
fn start(mut command: Command) -> (Child, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().to_owned())
}

impl House {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mock = Command::new(program("mock-upstream"));
        mock.args(["--port", "0"]);
        let (mock, base) = start(mock);
        let root = base.strip_suffix("/v1").unwrap();
        let entries = [
            ("openai", "kind = \"openai\"\napi = \"chat\"", base.as_str()),
            ("responses", "kind = \"openai\"\napi = \"responses\"", base.as_str()),
            ("anthropic", "kind = \"anthropic\"", root),
            ("google", "kind = \"google\"", root),
            ("ollama", "kind = \"ollama\"", root),
        ];
        let entries = entries.map(|(name, kind, url)| {
            format!("[[providers]]\nname = \"{name}\"\n{kind}\nbase_url = \"{url}\"\n\n")
        });
        let text = format!("[server]\nlisten = \"127.0.0.1:0\"\n\n{}", entries.concat());
        std::fs::write(folder.path().join("tollgate.toml"), text).unwrap();

        let tollgate = |arguments: &[&str]| {
            let mut command = Command::new(program("tollgate"));
            command.current_dir(folder.path()).args(arguments);
            command
        };
        let ran = tollgate(&["users", "create", "alice"]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let made = tollgate(&["keys", "create", "--user", "alice", "--json"]).output().unwrap();
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let key = made["key"].as_str().unwrap().to_owned();
        let (server, line) = start(tollgate(&["serve"]));
        let url = line.strip_prefix("tollgate is listening on ").unwrap().to_owned();
        Self { url, key, programs: vec![server, mock], _folder: folder }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for program in &mut self.programs {
            drop(program.kill());
            drop(program.wait());
        }
    }
}
