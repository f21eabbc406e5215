//! The systems that are compared: each is a process of its own, on a private port and in a private
//! folder, and ends with the one who measures.

mod direct;
mod haproxy;
mod nginx;
mod peers;
mod tollgate;

use super::{
    accounting,
    canned::Dialect,
    framing::Wire,
    request::{Recipient, Wish},
    scenario::{Key, Scenario},
};
use crate::private::{Database, Durability, Instance, Postgres};
use std::{
    cell::Cell,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// Nothing that starts is asked for longer than this before it has answered.
const PATIENCE: Duration = Duration::from_secs(180);

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The upstream itself.
    Direct,
    /// nginx, two workers.
    Nginx,
    /// HAProxy, two threads.
    Haproxy,
    /// Tollgate with its ledger off.
    Off,
    /// Tollgate as it is: everything on, SQLite.
    Sqlite,
    /// Tollgate with a PostgreSQL on this machine.
    Postgres,
    /// Another build of Tollgate, on SQLite.
    Other,
    /// LiteLLM's proxy.
    Litellm,
    /// Portkey's gateway.
    Portkey,
}

impl Kind {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 9] = [
        Self::Direct,
        Self::Nginx,
        Self::Haproxy,
        Self::Off,
        Self::Sqlite,
        Self::Postgres,
        Self::Other,
        Self::Litellm,
        Self::Portkey,
    ];

    /// What it is called on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Off => "tollgate-off",
            Self::Sqlite => "tollgate",
            Self::Postgres => "tollgate-postgres",
            Self::Other => "tollgate-other",
            Self::Litellm => "litellm",
            Self::Portkey => "portkey",
        }
    }

    /// Whether it is another gateway for AI, which only some machines have.
    pub fn is_peer(self) -> bool {
        matches!(self, Self::Litellm | Self::Portkey)
    }

    fn is_tollgate(self) -> bool {
        matches!(self, Self::Off | Self::Sqlite | Self::Postgres | Self::Other)
    }

    /// Whether this kind of system can do what a scenario asks for.
    pub(super) fn can(self, scenario: &Scenario) -> bool {
        let unfit = match self {
            Self::Direct => scenario.fresh,
            _ => self.is_peer() && !scenario.is_for_peers(),
        };
        if unfit {
            return false;
        }
        match scenario.key {
            Key::Exhausted => self.is_tollgate() && self != Self::Off,
            Key::Valid | Key::Invalid => self.is_tollgate() || !scenario.is_for_gateways(),
        }
    }
}

/// Where the programs are that this workspace builds.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Serves the fast upstream when it is called `upstream --port N`.
    pub scoreboard: PathBuf,
    /// The server.
    pub tollgate: PathBuf,
    /// Another build of it.
    pub other: Option<PathBuf>,
    /// Where `scripts/peers.sh` has installed other gateways.
    pub peers: Option<PathBuf>,
}

/// What all systems stand on.
pub(super) struct Ground {
    programs: Programs,
    upstream: System,
    postgres: Option<Postgres>,
}

/// One system that runs.
pub(super) struct System {
    pub(super) kind: Kind,
    pub(super) version: String,
    instance: Option<Instance>,
    address: SocketAddr,
    doors: Doors,
    /// The process of its database, and the database itself.
    database: Option<(u32, Database)>,
    /// From the start of the program to the end of its first answer.
    pub(super) started_in: Duration,
}

/// A program that has answered.
struct Started {
    address: SocketAddr,
    after: Duration,
}

/// How a system wants to be asked.
#[derive(Clone, Debug, Default)]
struct Doors {
    key: String,
    exhausted: String,
    /// What stands before the names of models of upstreams that speak this.
    openai: &'static str,
    anthropic: &'static str,
    headers: Vec<(String, String)>,
}

impl Ground {
    /// Starts what these kinds need.
    pub(super) async fn prepare(kinds: &[Kind], programs: Programs) -> io::Result<Self> {
        let upstream = direct::start_upstream(&programs.scoreboard).await?;
        let postgres = match kinds.contains(&Kind::Postgres) {
            true => Some(Postgres::start(Durability::Disk).await?),
            false => None,
        };
        Ok(Self { programs, upstream, postgres })
    }

    /// Starts a system.
    pub(super) async fn start(&self, kind: Kind) -> io::Result<System> {
        let system = match kind {
            Kind::Direct => direct::again(&self.upstream),
            Kind::Nginx => nginx::start_before(self.upstream.address).await,
            Kind::Haproxy => haproxy::start_before(self.upstream.address).await,
            Kind::Litellm => peers::start_litellm(self).await,
            Kind::Portkey => peers::start_portkey(self).await,
            Kind::Off | Kind::Sqlite | Kind::Postgres | Kind::Other => {
                tollgate::start_before(kind, self).await
            }
        };
        system.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", kind.name())))
    }

    /// The upstream's processes.
    pub(super) fn upstream(&self) -> Vec<u32> {
        self.upstream.processes()
    }
}

impl System {
    /// The processes that do the work of this system, but for its database.
    pub(super) fn processes(&self) -> Vec<u32> {
        let own = self.instance.as_ref().and_then(|instance| instance.id().ok());
        own.map(accounting::family).unwrap_or_default()
    }

    /// The processes of its database.
    pub(super) fn database(&self) -> Vec<u32> {
        self.database.as_ref().map(|(pid, _)| accounting::family(*pid)).unwrap_or_default()
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Head and body of a request.
    pub(super) fn request(&self, wish: Wish, scenario: &Scenario) -> Vec<u8> {
        let key = match scenario.key {
            Key::Valid => &self.doors.key,
            Key::Exhausted => &self.doors.exhausted,
            Key::Invalid => "tg_0000000000000000000000000000000000000000000000",
        };
        self.doors.request(self.address, wish, key, scenario.to)
    }
}

impl Doors {
    fn request(&self, address: SocketAddr, wish: Wish, key: &str, to: Dialect) -> Vec<u8> {
        let prefix = match to {
            Dialect::OpenAi => self.openai,
            Dialect::Anthropic => self.anthropic,
        };
        wish.bytes(&Recipient { address, key, prefix, headers: &self.headers })
    }
}

/// Starts a program on a free port, and waits until it has answered a call.
async fn start(
    instance: &mut Instance,
    command: impl Fn(&Instance, u16) -> io::Result<Command>,
    doors: &Doors,
) -> io::Result<Started> {
    let (begun, after) = (Cell::new(Instant::now()), Cell::new(Duration::ZERO));
    let answers = async |instance: &Instance| {
        let wish = Wish { dialect: Dialect::OpenAi, prompt: 100, pace: None };
        let address = local(instance.port());
        let request = doors.request(address, wish, &doors.key, Dialect::OpenAi);
        // Finer than whoever asks this looks again, and for longer: Python takes a minute to begin
        // on a busy machine. What has ended has no memory any more, and he sees that too.
        let process = instance.id()?;
        let deadline = Instant::now() + PATIENCE;
        while accounting::resident(&[process]) > 0 && Instant::now() < deadline {
            if ask(address, &request).await.is_ok_and(|status| status == 200) {
                after.set(begun.get().elapsed());
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(false)
    };
    let command = |instance: &Instance, port| {
        let command = command(instance, port)?;
        begun.set(Instant::now());
        Ok(command)
    };
    instance.start(command, answers).await?;
    Ok(Started { address: local(instance.port()), after: after.get() })
}

/// One call, on a connection of its own.
async fn ask(address: SocketAddr, request: &[u8]) -> io::Result<u16> {
    let asking = async {
        let mut wire = Wire::new(TcpStream::connect(address).await?)?;
        wire.write(request).await?;
        let reply = wire.reply().await?;
        wire.body(reply.body, |_| ()).await?;
        Ok(reply.status)
    };
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(late)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// What a program says about its version, on whatever it says it.
fn version(program: &std::path::Path, argument: &str) -> String {
    let said = Command::new(program).arg(argument).output();
    let text = said.map(|said| [said.stdout, said.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().trim().to_owned()
}
