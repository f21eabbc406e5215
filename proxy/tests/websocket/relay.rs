//! A network between client and server that counts connections and can be cut.

use std::net::SocketAddr;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// The network. Dropping it cuts it for good.
pub struct Relay {
    pub addr: SocketAddr,
    /// Connections so far, and those that are open.
    pub counts: watch::Receiver<(usize, usize)>,
    cut: watch::Sender<u32>,
    accepting: JoinHandle<()>,
}

impl Relay {
    #[expect(clippy::disallowed_methods, reason = "a network has no Tasks; it dies with its test")]
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (count, counts) = watch::channel((0, 0));
        let (cut, cuts) = watch::channel(0);
        let accepting = tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let (count, mut cuts) = (count.clone(), cuts.clone());
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    near.set_nodelay(true).unwrap();
                    far.set_nodelay(true).unwrap();
                    count.send_modify(|(all, open)| (*all, *open) = (*all + 1, *open + 1));
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => {}
                    }
                    drop((near, far));
                    count.send_modify(|(_, open)| *open -= 1);
                });
            }
        });
        Self { addr, counts, cut, accepting }
    }

    /// Breaks every connection that is open.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.counts.borrow().0
    }

    /// Waits until no connection is open.
    pub async fn is_left(&mut self) {
        let left = self.counts.wait_for(|(_, open)| *open == 0);
        tokio::time::timeout(crate::gate::SOON, left)
            .await
            .expect("connections stay open")
            .unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
