//! The program `mock-upstream`.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

#[test]
fn it_prints_where_it_listens_and_wants_its_key() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mock-upstream"))
        .args(["--port", "0", "--require-key", "s3cret"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addr = line.trim().strip_prefix("http://").and_then(|url| url.strip_suffix("/v1"));
    let answered = addr.map(|addr| ask(addr).unwrap_or_default());
    program.kill().unwrap();
    program.wait().unwrap();
    let answered = answered.expect("no address was printed");
    assert!(answered.starts_with("HTTP/1.1 401"), "{answered}");
}

fn ask(addr: &str) -> std::io::Result<String> {
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect(addr)?;
    socket.write_all(b"GET /v1/models HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn its_help_tells_every_word() {
    let help = Command::new(env!("CARGO_BIN_EXE_mock-upstream")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let table = include_str!("../../src/script.rs").lines();
    let rows: Vec<&str> = table.filter_map(|line| line.strip_prefix("/// | `")).collect();
    assert!(rows.len() > 15);
    for row in rows {
        let (words, _) = row.split_once(" |").unwrap();
        for word in words.split('`').filter(|word| word.starts_with(char::is_alphabetic)) {
            let word = word.split_once('=').map_or(word, |(word, _)| word);
            if !matches!(word, "echo" | "or") {
                assert!(help.contains(word), "{word}");
            }
        }
    }
}
