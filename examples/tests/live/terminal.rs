//! The chat in a real terminal of 80 columns and 24 rows, which util-linux's `script` makes.

use std::process::Stdio;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{Duration, timeout},
};
use tollgate_adapter_tests::Place;

struct Typist {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    seen: String,
}

impl Typist {
    fn at(place: &Place, model: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_chat_remote");
        let inside = format!("stty rows 24 cols 80; exec {program} --model {model}");
        let mut child = Command::new("script")
            .args(["-qfec", &inside, "/dev/null"])
            .env("TOLLGATE_URL", &place.url)
            .env("TOLLGATE_API_KEY", &place.key)
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (keys, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keys, screen, seen: String::new() }
    }

    async fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.unwrap();
        self.keys.flush().await.unwrap();
    }

    /// Waits for text that is drawn from now on.
    async fn sees(&mut self, text: &str) {
        let reading = async {
            while !self.seen.contains(text) {
                let mut bytes = [0; 4096];
                let count = self.screen.read(&mut bytes).await.unwrap();
                assert!(count > 0, "the program ended, and {text:?} was not drawn: {}", self.seen);
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        let seen = timeout(Duration::from_secs(20), reading).await;
        assert!(seen.is_ok(), "{text:?} was not drawn: {:?}", self.seen);
        self.seen.clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chat_works_in_a_terminal() {
    let place = Place::start().await;
    let mut typist = Typist::at(&place, "openai/mock-echo");
    // On the last but one of 24 rows, cut to 80 columns.
    typist.sees("\u{1b}[23;1H").await;
    typist.types("one two\r").await;
    typist.sees("2 in 2 out").await;
    typist.types("\u{4}").await;
    // The terminal is left as it was found, and the bill is told.
    typist.sees("\u{1b}[?1049l").await;
    assert!(
        timeout(Duration::from_secs(20), typist.child.wait()).await.unwrap().unwrap().success()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_c_stops_the_answer_and_not_the_chat() {
    let place = Place::start().await;
    let mut typist = Typist::at(&place, "openai/mock-tokens=5000,delay=20");
    typist.sees("> ").await;
    typist.types("go on\r").await;
    typist.sees("w3").await;
    typist.types("\u{3}").await;
    typist.sees("-- stopped").await;
    place.client_left().await;
    typist.types("\u{3}").await;
    typist.sees("\u{1b}[?1049l").await;
}
