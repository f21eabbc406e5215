//! The program `with-databases`: a command has both beside it, and afterwards nothing is left.

use super::{listens, until};
use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};
use tempfile::TempDir;

/// A folder that the server's user may enter.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

fn program(folder: &Path, script: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_with-databases"));
    program.args(["sh", "-c", script]).env("TMPDIR", folder);
    program.env_remove("TOLLGATE_TEST_POSTGRES").env_remove("TOLLGATE_TEST_REDIS");
    program
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// The program with a command that waits, its input, and the ports of both databases.
fn waiting(folder: &Path) -> (Child, ChildStdin, [u16; 2]) {
    let script = "echo $TOLLGATE_TEST_POSTGRES; echo $TOLLGATE_TEST_REDIS; read go; exit 7";
    let mut program = program(folder, script);
    let mut program = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = program.stdin.take().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let ports = [(); 2].map(|()| {
        let url = lines.next().unwrap().unwrap();
        let (_, port) = url.rsplit_once(':').unwrap();
        port.split_once('/').unwrap().0.parse().unwrap()
    });
    assert!(ports.iter().all(|port| listens(*port)));
    assert!(!is_empty(folder));
    (program, input, ports)
}

fn signal(name: &str, program: &Child) {
    let id = program.id().to_string();
    let sent = Command::new("sh").args(["-c", "kill -s $0 $1", name, &id]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn both_end_with_the_command_whose_code_is_told() {
    let folder = folder();
    let (mut program, input, ports) = waiting(folder.path());
    // Ctrl-C is for the command; this one does not get it.
    signal("INT", &program);
    drop(input);
    assert_eq!(program.wait().unwrap().code(), Some(7));
    assert!(!ports.iter().any(|port| listens(*port)));
    assert!(is_empty(folder.path()));
}

#[test]
fn a_command_is_told_to_end_and_ended_by_a_signal() {
    let folder = folder();
    let (mut program, _input, ports) = waiting(folder.path());
    signal("TERM", &program);
    assert_eq!(program.wait().unwrap().code(), Some(128 + 15));
    assert!(!ports.iter().any(|port| listens(*port)));
    assert!(is_empty(folder.path()));
}

#[test]
fn nothing_is_left_when_the_program_is_killed() {
    let folder = folder();
    let (mut program, _input, ports) = waiting(folder.path());
    program.kill().unwrap();
    program.wait().unwrap();
    until("both end", || !ports.iter().any(|port| listens(*port)));
    until("their folders go", || is_empty(folder.path()));
}

#[test]
fn what_is_named_already_is_not_started() {
    let folder = folder();
    let mut program =
        program(folder.path(), "echo $TOLLGATE_TEST_POSTGRES; echo $TOLLGATE_TEST_REDIS");
    let named = program.env("TOLLGATE_TEST_POSTGRES", "one").env("TOLLGATE_TEST_REDIS", "two");
    let output = named.output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "one\ntwo\n");
}

#[test]
fn what_is_missing_is_named_with_its_cure() {
    // Where Debian keeps PostgreSQL it is found without a PATH; Redis never is.
    let folder = folder();
    let output = program(folder.path(), "true").env("PATH", "/nowhere").output().unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("cannot be found: run make setup"), "{told}");
    assert!(is_empty(folder.path()));
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let folder = folder();
    let mut program = Command::new(env!("CARGO_BIN_EXE_with-databases"));
    program.arg("no-such-command").env("TMPDIR", folder.path());
    let output = program.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("error: no-such-command: "), "{told}");
    assert!(is_empty(folder.path()));
}
