//! The fuzz targets over their seeds, whole, cut off and with single bytes changed: what `make fuzz`
//! runs for hours with bytes that nobody chose, `cargo test` runs in a moment.
#![cfg(test)]

#[path = "../../fuzz/src/dialects.rs"]
mod dialects;
#[path = "../../fuzz/src/targets.rs"]
mod targets;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// As many variants of a seed are tried, of each kind.
const VARIANTS: usize = 25;

fn run(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(name);
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        let seed = fs::read(&file).unwrap();
        target(&seed);
        let step = (seed.len() / VARIANTS).max(1);
        for at in (0..seed.len()).step_by(step) {
            target(&seed[..at]);
            for byte in [b'"', b'}', b'0', 0xff] {
                let mut changed = seed.clone();
                changed[at] = byte;
                target(&changed);
            }
        }
    }
}

#[test]
fn payloads_do_not_depend_on_cuts() {
    run("payloads", targets::payloads);
}

#[test]
fn a_patch_changes_one_field() {
    run("patch", targets::patch);
}

#[test]
fn requests_are_written_in_every_dialect_or_refused() {
    run("request", targets::request);
}

#[test]
fn answers_are_told_in_every_dialect() {
    run("reply", targets::reply);
}

#[test]
fn streams_say_the_same_wherever_they_are_cut() {
    run("stream", targets::stream);
}

#[test]
fn every_failure_of_a_provider_says_something() {
    run("upstream_error", targets::upstream_error);
}

#[test]
fn vectors_and_lists_are_read_or_refused() {
    run("embed", targets::embed);
}
