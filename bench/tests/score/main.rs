//! The scoreboard as a program: what can be measured without anything that is not built here.
#![cfg(test)]

use std::{
    io,
    process::{Command, Output},
};

fn scoreboard(words: &[&str]) -> io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_scoreboard")).args(words).output()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

#[test]
fn the_upstream_alone_is_measured_and_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let output = scoreboard(&[
        "--only",
        "direct",
        "--scenario",
        "unary-1k-64,unary-100k-1",
        "--rounds",
        "1",
        "--seconds",
        "0.1",
        "--out",
        out,
    ])
    .unwrap();
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    let table = std::fs::read_to_string(folder.path().join("scoreboard.md")).unwrap();
    for name in ["unary-1k-64", "unary-100k-1"] {
        assert!(text.contains(name) && table.contains(name), "{text}");
    }
    let row = table.lines().find(|line| line.starts_with("| direct")).unwrap();
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let per_second: f64 = cells[2].parse().unwrap();
    assert!(per_second > 100.0, "{row}");
    assert_eq!(cells[cells.len() - 2], "0", "calls failed: {row}");
    let picture = std::fs::read_to_string(folder.path().join("scoreboard.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("unary-1k-64"), "{picture}");
}

#[test]
fn what_is_not_there_is_named() {
    for (words, expected) in [
        (["--only", "apache"], "there is no system apache"),
        (["--scenario", "unary-2k"], "there is no scenario unary-2k"),
        (["--tollgate", "/nowhere/tollgate"], "is not there: cargo build"),
    ] {
        let mut all = words.to_vec();
        if words[0] == "--tollgate" {
            all.extend(["--only", "tollgate"]);
        }
        let output = scoreboard(&all).unwrap();
        assert!(!output.status.success());
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
}

#[test]
fn systems_and_scenarios_can_be_listed() {
    let text = said(&scoreboard(&["--list"]).unwrap());
    for name in ["nginx", "haproxy", "tollgate-postgres", "streams-10000", "key-exhausted-64"] {
        assert!(text.contains(name), "{text}");
    }
}
