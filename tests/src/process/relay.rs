//! A network between servers and their database, which fails as real ones do.

use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Passes connections on to a port of this machine. Dropping it ends them.
#[derive(Debug)]
pub struct Relay {
    addr: SocketAddr,
    state: watch::Sender<State>,
    _task: JoinSet<()>,
}

/// Connections are counted; what befalls the network befalls those below a number.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    made: u64,
    lost: u64,
    late: u64,
}

impl Relay {
    /// A relay to a port.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = watch::Sender::new(State::default());
        let mut task = JoinSet::new();
        task.spawn(accept(listener, port, state.clone()));
        Self { addr, state, _task: task }
    }

    /// A database's URL with this relay in place of the database.
    pub fn url(&self, url: &str) -> String {
        let (before, after) = url.rsplit_once('@').unwrap();
        let (_, name) = after.split_once('/').unwrap();
        format!("{before}@{}/{name}", self.addr)
    }

    /// As when a machine loses its power or a firewall its memory: the connections that are open
    /// never say another word to either side. New ones work.
    pub fn lose_connections(&self) {
        self.state.send_modify(|state| state.lost = state.made);
    }

    /// As when packets are lost and sent again: what the open connections say arrives only after
    /// [`Relay::deliver`]. New ones work.
    pub fn delay_connections(&self) {
        self.state.send_modify(|state| state.late = state.made);
    }

    /// What was delayed arrives.
    pub fn deliver(&self) {
        self.state.send_modify(|state| state.late = 0);
    }
}

async fn accept(listener: TcpListener, port: u16, state: watch::Sender<State>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let mut number = 0;
        state.send_modify(|state| {
            number = state.made;
            state.made += 1;
        });
        connections.spawn(pass(client, port, number, state.subscribe()));
    }
}

async fn pass(mut client: TcpStream, port: u16, number: u64, mut state: watch::Receiver<State>) {
    let Ok(mut database) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    drop((client.set_nodelay(true), database.set_nodelay(true)));
    let mut passing = Box::pin(copy_bidirectional(&mut client, &mut database));
    loop {
        let State { lost, late, .. } = *state.borrow_and_update();
        if number < lost {
            break;
        }
        tokio::select! {
            _ = &mut passing, if number >= late => return,
            changed = state.changed() => if changed.is_err() { return },
        }
    }
    drop(passing);
    tokio::join!(swallow(client), swallow(database));
}

/// Takes what is sent, so that the sender does not notice, and keeps the connection for ever.
async fn swallow(mut socket: TcpStream) {
    let mut lost = [0; 4096];
    while socket.read(&mut lost).await.is_ok_and(|read| read > 0) {}
    std::future::pending::<()>().await;
}
