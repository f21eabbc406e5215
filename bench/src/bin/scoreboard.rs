//! Measures Tollgate beside other proxies: `scoreboard --only nginx,tollgate --scenario unary-1k-64`.

use clap::{Parser, Subcommand};
use std::{
    io::{self, Write},
    net::Ipv4Addr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use tokio::net::TcpListener;
use tollgate_bench::score::{self, Board, Kind, Outcome, Plan, Programs, Scenario, Soak};

const MORE: &str = "\
Every system is a process of its own in front of the same fast upstream. CPU is what the kernel has
counted for these processes; ratios are medians of the ratios to nginx in the same round.

Examples:
  cargo build --release -p tollgate --no-default-features
  cargo run --release -p tollgate-bench --bin scoreboard -- --only nginx,tollgate --scenario unary-1k-64 --rounds 3
  scoreboard --only direct,nginx,tollgate,tollgate-other --other ../before/tollgate --scenario unary,streams-200
  scoreboard --list";

/// Measures Tollgate beside other proxies.
#[derive(Parser)]
#[command(name = "scoreboard", version, after_help = MORE)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Systems; if none is named, all that these arguments allow.
    #[arg(long, value_delimiter = ',', value_name = "SYSTEM")]
    only: Vec<String>,
    /// Scenarios, by what their names begin with; all of them if none is named.
    #[arg(long, value_delimiter = ',', value_name = "SCENARIO")]
    scenario: Vec<String>,
    /// Rounds that count.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long calls are made in each round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The server; without it, the one beside this program.
    #[arg(long, value_name = "PROGRAM")]
    tollgate: Option<PathBuf>,
    /// Another build of the server, to compare with: the system tollgate-other.
    #[arg(long, value_name = "PROGRAM")]
    other: Option<PathBuf>,
    /// Where scripts/peers.sh has installed LiteLLM and Portkey: they are measured too.
    #[arg(long, value_name = "FOLDER")]
    peers: Option<PathBuf>,
    /// Write scoreboard.md and scoreboard.svg into this folder too.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Name systems and scenarios, and measure nothing.
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, Subcommand)]
enum Role {
    /// Serve the fast upstream until the process is ended.
    Upstream {
        /// The port on 127.0.0.1.
        #[arg(long)]
        port: u16,
    },
    /// Load Tollgate for long, and fail when its memory grows or a call fails.
    Soak {
        /// How long.
        #[arg(long, default_value_t = 30)]
        minutes: u32,
        /// How much of what it can do.
        #[arg(long, default_value_t = 70)]
        percent: u32,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when this fails.
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> io::Result<()> {
    match arguments.role {
        Some(Role::Upstream { port }) => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            score::serve_upstream(listener).await
        }
        Some(Role::Soak { minutes, percent }) => {
            let lasting = Duration::from_secs(60) * minutes;
            soak(Soak { lasting, percent, programs: programs(&arguments)? }).await
        }
        None if arguments.list => list(),
        None => measure(arguments).await,
    }
}

/// Memory may grow by less than this.
const MOST_GROWTH_PERCENT: f64 = 5.0;

async fn soak(soak: Soak) -> io::Result<()> {
    let told = |seconds, memory: u64| {
        drop(writeln!(io::stdout(), "after {seconds:>5} s: {} KiB", memory / 1024));
    };
    let soaked = soak.run(told).await?;
    let growth = soaked.growth_percent();
    writeln!(
        io::stdout(),
        "{:.0} calls/s of {:.0}; memory grew by {growth:.1} %; {} calls failed",
        soaked.per_second,
        soaked.most_per_second,
        soaked.failed
    )?;
    if let Some(trouble) = soaked.trouble {
        return Err(io::Error::other(format!("a call failed: {trouble}")));
    }
    let grew = || io::Error::other(format!("memory grew by {MOST_GROWTH_PERCENT} % or more"));
    if growth < MOST_GROWTH_PERCENT { Ok(()) } else { Err(grew()) }
}

async fn measure(arguments: Arguments) -> io::Result<()> {
    let folder = arguments.out.clone();
    let plan = plan(arguments)?;
    let board = score::play(plan, |outcome| drop(tell(outcome))).await?;
    let summary = summary(&board);
    write!(io::stdout(), "{summary}")?;
    let Some(folder) = folder else { return Ok(()) };
    let tables: String = board.results.iter().map(|o| score::markdown(o) + "\n").collect();
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("scoreboard.md"), format!("{summary}\n{tables}"))?;
    std::fs::write(folder.join("scoreboard.svg"), score::svg(&board))
}

/// The conditions, and the goals as far as they were measured.
fn summary(board: &Board) -> String {
    let mut text: String = board.conditions.iter().map(|line| format!("- {line}\n")).collect();
    let goals: Vec<_> = score::goals(board).into_iter().filter(|g| g.is_kept().is_some()).collect();
    if !goals.is_empty() {
        text.push('\n');
        text.push_str(&score::goals_table(&goals));
    }
    text
}

fn tell(outcome: &Outcome) -> io::Result<()> {
    writeln!(io::stdout(), "{}", score::markdown(outcome))
}

fn list() -> io::Result<()> {
    let mut out = io::stdout();
    let systems = Kind::ALL.map(Kind::name).join(" ");
    let scenarios = Scenario::ALL.map(|scenario| scenario.name).join(" ");
    writeln!(out, "systems: {systems}\nscenarios: {scenarios}")
}

fn plan(arguments: Arguments) -> io::Result<Plan> {
    let programs = programs(&arguments)?;
    let kinds = kinds(&arguments)?;
    let scenarios = scenarios(&arguments.scenario)?;
    let lasting = Duration::try_from_secs_f64(arguments.seconds).map_err(io::Error::other)?;
    Ok(Plan { kinds, scenarios, rounds: arguments.rounds, lasting, programs })
}

fn programs(arguments: &Arguments) -> io::Result<Programs> {
    let scoreboard = std::env::current_exe()?;
    let beside = scoreboard.with_file_name("tollgate");
    let tollgate = arguments.tollgate.clone().unwrap_or(beside);
    let (other, peers) = (arguments.other.clone(), arguments.peers.clone());
    Ok(Programs { scoreboard, tollgate, other, peers })
}

fn kinds(arguments: &Arguments) -> io::Result<Vec<Kind>> {
    if arguments.only.is_empty() {
        let measured = |kind: &Kind| match kind {
            Kind::Other => arguments.other.is_some(),
            kind => !kind.is_peer() || arguments.peers.is_some(),
        };
        return Ok(Kind::ALL.into_iter().filter(measured).collect());
    }
    let known = |name: &String| Kind::ALL.into_iter().find(|kind| kind.name() == name);
    let unknown = |name: &String| io::Error::other(format!("there is no system {name}: --list"));
    let mut kinds: Vec<Kind> = Vec::new();
    for name in &arguments.only {
        kinds.push(known(name).ok_or_else(|| unknown(name))?);
    }
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

fn scenarios(names: &[String]) -> io::Result<Vec<Scenario>> {
    for name in names {
        if !Scenario::ALL.iter().any(|scenario| scenario.name.starts_with(name)) {
            return Err(io::Error::other(format!("there is no scenario {name}: --list")));
        }
    }
    // A whole name means this one alone: streams-1000 is not streams-10000.
    let wanted = |scenario: &Scenario| {
        names.iter().any(|name| {
            let is_whole = Scenario::ALL.iter().any(|other| other.name == name);
            if is_whole { scenario.name == name } else { scenario.name.starts_with(name) }
        })
    };
    Ok(Scenario::ALL.into_iter().filter(|one| names.is_empty() || wanted(one)).collect())
}
