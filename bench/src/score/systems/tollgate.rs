//! Tollgate as an operator runs it: a configuration file, a user, keys with budgets made by its own
//! commands, its log written to a file.

use super::{Doors, Ground, Kind, Started, System, ask, start, version};
use crate::{
    private::{Database, Instance},
    score::{canned::Dialect, request::Wish},
};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Budgets that no measurement uses up. All three kinds, so that every call is held and charged
/// three times, and a rate that counts every call.
const PLENTY: [&str; 8] = [
    "--budget",
    "cost=1000000000usd/month",
    "--budget",
    "tokens=1000000000000000/month",
    "--budget",
    "requests=1000000000000/month",
    "--rate",
    "4000000000/minute",
];

/// Starts it in front of the ground's upstream.
pub(super) async fn start_before(kind: Kind, ground: &Ground) -> io::Result<System> {
    let program = program(kind, ground)?;
    let mut instance = Instance::new("tollgate", "TERM")?;
    let database = match (kind, &ground.postgres) {
        (Kind::Postgres, Some(postgres)) => {
            Some((postgres.id()?, Database::on(&postgres.url()).await?))
        }
        _ => None,
    };
    let url = database.as_ref().map(|(_, database)| database.url());
    let books = kind != Kind::Off;
    let text = configuration(ground.upstream.address, url.as_deref(), books);
    instance.write("tollgate.toml", &text)?;
    let operator = Operator { instance: &instance, program: &program };
    operator.run(&["users", "create", "bench"]).await?;
    let doors = Doors {
        key: operator.key(if books { &PLENTY } else { &[] }).await?,
        exhausted: operator
            .key(if books { &["--budget", "requests=1/month"] } else { &[] })
            .await?,
        openai: "mock/",
        anthropic: "claude/",
        headers: Vec::new(),
    };
    let command = |instance: &Instance, port: u16| {
        let mut command = instance.own_command(&program);
        command.arg("serve").env("TOLLGATE_SERVER__LISTEN", format!("127.0.0.1:{port}"));
        Ok(command)
    };
    let Started { address, after: started_in } = start(&mut instance, command, &doors).await?;
    // The only call that this key can pay for.
    let wish = Wish { dialect: Dialect::OpenAi, prompt: 100, pace: None };
    ask(address, &doors.request(address, wish, &doors.exhausted, Dialect::OpenAi)).await?;
    let version = version(&program, "version");
    Ok(System { kind, version, instance: Some(instance), address, doors, database, started_in })
}

fn program(kind: Kind, ground: &Ground) -> io::Result<PathBuf> {
    let program = match (kind, &ground.programs.other) {
        (Kind::Other, Some(other)) => other,
        (Kind::Other, None) => return Err(io::Error::other("say which build it is, with --other")),
        _ => &ground.programs.tollgate,
    };
    let missing = || {
        let path = program.display();
        io::Error::other(format!("{path} is not there: cargo build --release -p tollgate"))
    };
    program.canonicalize().map_err(|_| missing())
}

fn configuration(upstream: SocketAddr, postgres: Option<&str>, books: bool) -> String {
    let url = postgres.unwrap_or("sqlite:data/tollgate.db");
    format!(
        "[store]
url = \"{url}\"
[ledger]
enabled = {books}
[limits]
max_concurrent = 20000
[[providers]]
name = \"mock\"
kind = \"openai\"
base_url = \"http://{upstream}/v1\"
[[providers]]
name = \"claude\"
kind = \"anthropic\"
base_url = \"http://{upstream}\"
[[prices]]
model = \"mock/*\"
input = \"0.15\"
output = \"0.60\"
[[prices]]
model = \"claude/*\"
input = \"3\"
output = \"15\"
"
    )
}

/// Who types Tollgate's commands.
struct Operator<'a> {
    instance: &'a Instance,
    program: &'a Path,
}

impl Operator<'_> {
    async fn run(&self, words: &[&str]) -> io::Result<String> {
        let mut command = self.instance.own_command(self.program);
        command.args(words);
        let said = tokio::process::Command::from(command).output().await?;
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
        }
        let why = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        Err(io::Error::other(format!("tollgate {}: {why}", words.join(" "))))
    }

    /// A new key's text.
    async fn key(&self, terms: &[&str]) -> io::Result<String> {
        let mut words = vec!["keys", "create", "--user", "bench"];
        words.extend(terms);
        let said = self.run(&words).await?;
        Ok(said.lines().next().unwrap_or_default().trim().to_owned())
    }
}
