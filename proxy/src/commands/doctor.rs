//! `tollgate doctor`.

use super::{Failure, behalf, output};
use crate::{
    app::place_of,
    clock::SystemClock,
    config::{Config, Environment},
    doctor::{Check, Depth, Mode, Patient, Repair, Repairs, Report, State, examine, repair},
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::path::Path;

/// More rows of one check are for `--json`.
const SHOWN: usize = 10;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate doctor
  tollgate doctor --quick --json
  tollgate doctor --repair --dry-run
  tollgate doctor --repair

Exit code 1 when something is broken; warnings are none. Servers may run meanwhile.")]
pub(super) struct DoctorArgs {
    /// Leave out what reads every entry or the whole file.
    #[arg(long)]
    quick: bool,
    /// Settle the holds of servers that died, and set every window to what proves it.
    #[arg(long)]
    repair: bool,
    /// With --repair: say what would be changed, and change nothing.
    #[arg(long, requires = "repair")]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    arguments: DoctorArgs,
    file: Option<&Path>,
    environment: &Environment,
) -> Result<(), Failure> {
    let (report, repairs) = match Config::load(file, environment) {
        Ok(config) => look(&arguments, &config, environment).await?,
        // A configuration that cannot be read is a finding like any other.
        Err(error) => (Report { checks: vec![unread(error.to_string())] }, Repairs::default()),
    };
    if arguments.json {
        output::json(&as_json(&report, &repairs, &arguments))?;
    } else {
        show(&report, &repairs, &arguments)?;
    }
    let broken = report.checks.iter().filter(|check| check.state == State::Broken).count();
    match (repairs.stopped, broken) {
        (Some(error), _) => Err(Failure::new(format!("the repair stopped: {error}"))),
        (None, 0) => Ok(()),
        (None, broken) => {
            let all = report.checks.len();
            Err(Failure::new(format!("{broken} of {all} checks found something broken")))
        }
    }
}

fn unread(error: String) -> Check {
    Check {
        name: "configuration",
        state: State::Broken,
        found: error,
        advice: Some("correct the file; nothing else was looked at".to_owned()),
        details: Vec::new(),
    }
}

/// Repairs first where it is asked for, so that the report says how it is now.
async fn look(
    arguments: &DoctorArgs,
    config: &Config,
    environment: &Environment,
) -> Result<(Report, Repairs), Failure> {
    let bar = ProgressBar::hidden();
    let progress = |read: u64, all: u64| {
        if bar.is_hidden() {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
        bar.set_length(all);
        bar.set_position(read);
    };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} entries")
    {
        bar.set_style(style);
    }
    let place = place_of(config)?;
    let patient = Patient {
        config,
        environment,
        place: &place,
        clock: &SystemClock,
        actor: &behalf::actor(),
        depth: if arguments.quick { Depth::Quick } else { Depth::Whole },
        progress: &progress,
    };
    let repairs = match (arguments.repair, arguments.dry_run) {
        (false, _) => Repairs::default(),
        (true, true) => repair(&patient, Mode::DryRun).await,
        (true, false) => repair(&patient, Mode::Apply).await,
    };
    let report = examine(&patient).await;
    bar.finish_and_clear();
    Ok((report, repairs))
}

fn as_json(report: &Report, repairs: &Repairs, arguments: &DoctorArgs) -> Value {
    let mut value = json!({"healthy": report.is_healthy(), "checks": report.checks});
    if let Some(fields) = value.as_object_mut().filter(|_| arguments.repair) {
        fields.insert("repairs".to_owned(), json!(repairs.made));
        fields.insert("dry_run".to_owned(), json!(arguments.dry_run));
        if let Some(error) = &repairs.stopped {
            fields.insert("stopped".to_owned(), json!(error.to_string()));
        }
    }
    value
}

fn show(report: &Report, repairs: &Repairs, arguments: &DoctorArgs) -> Result<(), Failure> {
    if arguments.repair {
        let header = match arguments.dry_run {
            true => ["would repair", "", "is", "would be"],
            false => ["repaired", "", "was", "is"],
        };
        let rows = repairs.made.iter().map(repaired).collect();
        output::table(header, rows, "nothing to repair")?;
        output::line("")?;
    }
    let rows = report.checks.iter().flat_map(rows).collect();
    output::table(["", "check", "found"], rows, "nothing was looked at")
}

fn repaired(repair: &Repair) -> [String; 4] {
    let Repair { what, subject, before, after } = repair;
    [(*what).to_owned(), subject.clone(), in_words(before), in_words(after)]
}

/// `spent 5, held 0`: what is a list stays in the JSON.
fn in_words(value: &Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    let words = fields.filter_map(|(name, value)| match value {
        Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(format!("{name} {text}")),
        other => Some(format!("{name} {other}")),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// A check, then what it is about, then what to do.
fn rows(check: &Check) -> Vec<[String; 3]> {
    let below = |text: String| [String::new(), String::new(), text];
    let mut rows =
        vec![[check.state.as_str().to_owned(), check.name.to_owned(), check.found.clone()]];
    let told: Vec<_> = check.details.iter().filter(|detail| !detail.text.is_empty()).collect();
    rows.extend(told.iter().take(SHOWN).map(|detail| below(format!("  {}", detail.text))));
    if told.len() > SHOWN {
        rows.push(below(format!("  and {} more: see --json", told.len() - SHOWN)));
    }
    rows.extend(check.advice.iter().map(|advice| below(format!("  -> {advice}"))));
    rows
}
