//! What the kernel has counted for a process and for all that it has started.

use std::{collections::BTreeMap, time::Duration};

/// The living processes of this machine, each with its parent.
fn parents() -> BTreeMap<u32, u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, u32::try_from(field(&stat(pid), 1)?).ok()?))).collect()
}

/// A process and those that it has started, and those that these have.
pub(super) fn family(root: u32) -> Vec<u32> {
    let parents = parents();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        next += 1;
        let children = parents.iter().filter(|(pid, of)| **of == parent && !family.contains(pid));
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        family.extend(children);
    }
    family
}

/// Time that the threads of these processes have had on a processor, those that have ended too.
pub(super) fn processor(processes: &[u32]) -> Duration {
    let a_second = rustix::param::clock_ticks_per_second().max(1);
    let ticks: u64 = processes
        .iter()
        .map(|pid| {
            let stat = stat(*pid);
            field(&stat, 11).unwrap_or_default() + field(&stat, 12).unwrap_or_default()
        })
        .sum();
    Duration::from_nanos(ticks * (1_000_000_000 / a_second))
}

/// Memory that these processes have in use, in bytes. What they share counts for each of them.
pub(super) fn resident(processes: &[u32]) -> u64 {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or_default();
    let pages = processes.iter().filter_map(|pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    pages.sum::<u64>() * page
}

/// The state of a process without its name, which may hold anything.
fn stat(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

/// A number of the state, counted from the state's letter on (`proc_pid_stat(5)`).
fn field(stat: &str, number: usize) -> Option<u64> {
    stat.split(' ').nth(number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_is_of_the_family_and_what_it_uses_is_counted() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "while :; do :; done & while :; do :; done"])
            .spawn()
            .unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        let mut processes = family(child.id());
        while processes.len() < 2 && std::time::Instant::now() < deadline {
            processes = family(child.id());
        }
        let before = processor(&processes);
        while processor(&processes) == before && std::time::Instant::now() < deadline {}
        let (used, resident) = (processor(&processes), resident(&processes));
        let grandchild = processes.iter().find(|pid| **pid != child.id()).copied();
        let kill = Command::new("kill").args(["-9", &grandchild.unwrap().to_string()]).status();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(kill.unwrap().success());
        assert!(family(std::process::id()).contains(&std::process::id()));
        assert!(used > before);
        assert!(resident > 100_000, "{resident}");
    }

    #[test]
    fn one_that_is_gone_uses_nothing() {
        assert_eq!(processor(&[u32::MAX]), Duration::ZERO);
        assert_eq!(resident(&[u32::MAX]), 0);
    }
}
