//! The network that fails, over real sockets: exact where nothing befalls it, exact about the byte
//! where something does.
#![cfg(test)]

use std::{
    io::ErrorKind,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tollgate_bench::faults::{Fault, Faults, How, Lane};

/// Only failing tests wait that long.
const SOON: Duration = Duration::from_secs(20);

/// A server that sends back what it gets, and remembers it connection by connection.
struct Echo {
    addr: SocketAddr,
    heard: watch::Receiver<Vec<Vec<u8>>>,
    _task: JoinSet<()>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (said, heard) = watch::channel(Vec::<Vec<u8>>::new());
        let said = Arc::new(said);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let said = Arc::clone(&said);
                connections.spawn(async move {
                    let mut number = None;
                    let mut buffer = vec![0; 4096];
                    while let Ok(read @ 1..) = socket.read(&mut buffer).await {
                        said.send_modify(|all| {
                            let number = *number.get_or_insert_with(|| {
                                all.push(Vec::new());
                                all.len() - 1
                            });
                            all[number].extend(&buffer[..read]);
                        });
                        if socket.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { addr, heard, _task: task }
    }

    /// What was heard, connection by connection, in the order of their first bytes; waits until
    /// it is as told.
    async fn hears(
        &mut self,
        what: &str,
        enough: impl FnMut(&Vec<Vec<u8>>) -> bool,
    ) -> Vec<Vec<u8>> {
        let heard = tokio::time::timeout(SOON, self.heard.wait_for(enough)).await;
        heard.unwrap_or_else(|_| panic!("never heard: {what}")).unwrap().clone()
    }

    async fn through(&self, fault: Fault) -> (Faults, TcpStream) {
        let faults = Faults::to(self.addr, move |_| fault).await.unwrap();
        let socket = TcpStream::connect(faults.addr()).await.unwrap();
        (faults, socket)
    }
}

fn bytes(count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(count).collect()
}

/// Everything that comes until the connection ends, and whether it ended in good order.
async fn rest(socket: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    let all = async {
        loop {
            match socket.read(&mut buffer).await {
                Ok(0) => return true,
                Ok(read) => got.extend(&buffer[..read]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                    return false;
                }
            }
        }
    };
    let good = tokio::time::timeout(SOON, all).await.expect("the connection does not end");
    (got, good)
}

#[tokio::test]
async fn what_nothing_befalls_arrives_byte_for_byte_both_ways() {
    let mut echo = Echo::start().await;
    let (faults, socket) = echo.through(Fault::default()).await;
    let sent = bytes(1 << 20);
    let (mut from, mut to) = socket.into_split();
    let writing = sent.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        to.write_all(&writing).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    tokio::time::timeout(SOON, from.read_to_end(&mut got)).await.unwrap().unwrap();
    assert!(got == sent, "{} of {} bytes came back", got.len(), sent.len());
    let heard = echo.hears("all", |all| all[0].len() == 1 << 20).await;
    assert!(heard[0] == sent);
    assert_eq!((faults.passed(), faults.connections()), ((1 << 20, 1 << 20), 1));
}

#[tokio::test]
async fn a_cut_is_at_the_byte_that_was_told_in_either_direction() {
    let sent = bytes(6_000);
    for after in [0, 1, 2, 57, 4095, 4096, 4097, 5999] {
        let length = usize::try_from(after).unwrap();
        let mut echo = Echo::start().await;
        let cut = Lane::stopping(after, How::Close);
        let (_faults, mut socket) = echo.through(Fault { up: cut, ..Fault::default() }).await;
        drop(socket.write_all(&sent).await);
        rest(&mut socket).await;
        if after > 0 {
            let heard = echo.hears("the beginning", |all| all.concat().len() >= length).await;
            assert_eq!(heard.concat(), sent[..length], "{after}");
        }
        let (faults, mut socket) = echo.through(Fault { down: cut, ..Fault::default() }).await;
        socket.write_all(&sent).await.unwrap();
        let (got, _) = rest(&mut socket).await;
        assert_eq!(got, sent[..length], "{after}");
        assert_eq!(faults.passed().1, after);
    }
}

#[tokio::test]
async fn a_reset_is_abrupt_and_a_refusal_never_reaches_the_target() {
    let echo = Echo::start().await;
    let down = Lane::stopping(3, How::Reset);
    let (_faults, mut socket) = echo.through(Fault { down, ..Fault::default() }).await;
    socket.write_all(b"0123456789").await.unwrap();
    let (got, good) = rest(&mut socket).await;
    assert!(!good && b"012".starts_with(&got[..]), "{good} {got:?}");

    let (faults, mut socket) = echo.through(Fault { refused: true, ..Fault::default() }).await;
    drop(socket.write_all(b"hello").await);
    assert!(!rest(&mut socket).await.1);
    assert_eq!((faults.passed(), echo.heard.borrow().len()), ((0, 0), 1));
}

#[tokio::test]
async fn a_target_that_is_not_there_refuses() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let faults = Faults::to(gone, |_| Fault::default()).await.unwrap();
    let mut socket = TcpStream::connect(faults.addr()).await.unwrap();
    drop(socket.write_all(b"hello").await);
    assert!(!rest(&mut socket).await.1);
}

#[tokio::test]
async fn a_silent_direction_says_nothing_while_the_other_one_works() {
    let mut echo = Echo::start().await;
    let down = Lane::stopping(2, How::Silence);
    let (faults, mut socket) = echo.through(Fault { down, ..Fault::default() }).await;
    socket.write_all(b"0123").await.unwrap();
    let mut got = [0; 2];
    socket.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"01");
    let more = tokio::time::timeout(Duration::from_millis(150), socket.read(&mut got)).await;
    assert!(more.is_err(), "{more:?}");
    socket.write_all(b"4567").await.unwrap();
    echo.hears("what came later", |all| all[0] == b"01234567").await;
    assert_eq!(faults.passed().1, 2);
}

#[tokio::test]
async fn a_pause_and_a_delay_pass_and_nothing_is_lost() {
    let echo = Echo::start().await;
    let wait = Duration::from_millis(120);
    let up = Lane::stopping(5, How::Pause(wait));
    let slow_start = Fault { delay: wait, up, ..Fault::default() };
    let (_faults, mut socket) = echo.through(slow_start).await;
    let started = Instant::now();
    socket.write_all(b"0123456789").await.unwrap();
    let mut got = [0; 10];
    socket.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"0123456789");
    assert!(started.elapsed() >= 2 * wait, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_slow_direction_keeps_its_rate_and_its_bytes() {
    let echo = Echo::start().await;
    let (_faults, mut socket) =
        echo.through(Fault { down: Lane::slow(10_000), ..Fault::default() }).await;
    let (sent, started) = (bytes(3_000), Instant::now());
    socket.write_all(&sent).await.unwrap();
    let mut got = vec![0; sent.len()];
    socket.read_exact(&mut got).await.unwrap();
    assert_eq!(got, sent);
    // The last piece need not be waited for.
    assert!(started.elapsed() >= Duration::from_millis(270), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_doubled_connection_says_everything_again_and_its_answer_is_lost() {
    let mut echo = Echo::start().await;
    let (faults, mut socket) = echo.through(Fault { doubled: true, ..Fault::default() }).await;
    socket.write_all(b"once").await.unwrap();
    let mut got = [0; 4];
    socket.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"once");
    let heard = echo.hears("it again", |all| all.len() == 2 && all[1] == b"once").await;
    assert_eq!(heard, [b"once", b"once"]);
    socket.shutdown().await.unwrap();
    assert_eq!(rest(&mut socket).await, (Vec::new(), true));
    assert_eq!(faults.connections(), 1);
}

#[tokio::test]
async fn a_later_connection_overtakes_the_one_that_waits_for_it() {
    let mut echo = Echo::start().await;
    let waits = |number| Fault { overtaken: number == 0, ..Fault::default() };
    let faults = Faults::to(echo.addr, waits).await.unwrap();
    let mut first = TcpStream::connect(faults.addr()).await.unwrap();
    first.write_all(b"first").await.unwrap();
    let mut second = TcpStream::connect(faults.addr()).await.unwrap();
    second.write_all(b"second").await.unwrap();
    let heard = echo.hears("both", |all| all.concat().len() == 11).await;
    assert_eq!(heard, [b"second".to_vec(), b"first".to_vec()]);

    // Alone, it arrives all the same.
    let (_faults, mut alone) = echo.through(Fault { overtaken: true, ..Fault::default() }).await;
    alone.write_all(b"alone").await.unwrap();
    echo.hears("it", |all| all.len() == 3 && all[2] == b"alone").await;
}

#[tokio::test]
async fn only_the_first_connections_of_a_seed_are_harmed() {
    let echo = Echo::start().await;
    let harmful = (0..).find(|seed| Fault::drawn(*seed, 0).refused).unwrap();
    let faults = Faults::seeded(echo.addr, harmful, 1).await.unwrap();
    let mut socket = TcpStream::connect(faults.addr()).await.unwrap();
    assert!(!rest(&mut socket).await.1);
    for _ in 0..20 {
        let mut socket = TcpStream::connect(faults.addr()).await.unwrap();
        socket.write_all(b"hello").await.unwrap();
        let mut got = [0; 5];
        socket.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    }
    assert_eq!(faults.connections(), 21);
}
