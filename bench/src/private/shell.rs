//! What is done to processes by their number: signals, and a look at what they are doing.

use std::{
    io,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::time::Instant;

/// No step takes longer than this, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a signal, `TERM` say. Processes that are gone already are no error.
pub(super) fn signal(name: &str, processes: &[u32]) -> io::Result<()> {
    let mut kill = Command::new("/bin/sh");
    kill.args(["-c", "for id; do kill -s \"$0\" \"$id\"; done; true", name]);
    kill.args(processes.iter().map(u32::to_string));
    let status = kill.stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the shell cannot send signals")) }
}

/// The state that the kernel tells (`T` is stopped, `Z` has ended), and the parent.
fn state(process: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in parentheses and may hold anything, parentheses too.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Whether it takes no step any more until it is continued.
pub(super) fn is_stopped(process: u32) -> bool {
    state(process).is_none_or(|(state, _)| matches!(state, 'T' | 'Z'))
}

/// Whether it has ended; somebody may still have to ask for its exit code.
pub(super) fn has_ended(process: u32) -> bool {
    state(process).is_none_or(|(state, _)| state == 'Z')
}

/// The processes that this one has started.
pub(super) fn children(parent: u32) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let process = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        found.extend(process.filter(|id| state(*id).is_some_and(|(_, of)| of == parent)));
    }
    Ok(found)
}

/// Polls until the condition holds.
///
/// # Errors
/// When it fails, or does not hold in time; the message says what was awaited.
pub(super) async fn until(
    what: &str,
    mut holds: impl AsyncFnMut() -> io::Result<bool>,
) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await? {
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("not within {PATIENCE:?}: {what}")));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
