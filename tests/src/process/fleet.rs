//! Several servers of one installation.

use super::{Api, Install, Key, Server};
use std::sync::{Arc, PoisonError, RwLock};

/// Several running servers, and what callers know of them.
#[derive(Debug)]
pub struct Fleet {
    servers: Vec<Option<Server>>,
    doors: Doors,
    keys: Vec<Key>,
}

/// Where servers are found: for each of them, its interface with every key.
pub(super) type Doors = Arc<RwLock<Vec<Vec<Api>>>>;

impl Fleet {
    /// Starts so many servers, for callers with these keys.
    pub async fn start(install: &Install, count: usize, keys: Vec<Key>) -> Self {
        let mut fleet = Self { servers: Vec::new(), doors: Doors::default(), keys };
        for nth in 0..count {
            fleet.servers.push(None);
            fleet.doors.write().unwrap_or_else(PoisonError::into_inner).push(Vec::new());
            fleet.start_again(install, nth).await;
        }
        fleet
    }

    /// Starts one again, after [`Fleet::take`].
    pub async fn start_again(&mut self, install: &Install, nth: usize) {
        let server = install.serve().await;
        let doors = self.keys.iter().map(|key| server.api(key)).collect();
        self.doors.write().unwrap_or_else(PoisonError::into_inner)[nth] = doors;
        self.servers[nth] = Some(server);
    }

    /// Hands a server out, to be killed or stopped. Callers go on asking it, as real ones would.
    pub fn take(&mut self, nth: usize) -> Server {
        self.servers[nth].take().unwrap()
    }

    /// A server.
    pub fn server(&self, nth: usize) -> &Server {
        self.servers[nth].as_ref().unwrap()
    }

    /// A server's interface with one of the keys.
    pub fn api(&self, nth: usize, key: usize) -> Api {
        self.server(nth).api(&self.keys[key])
    }

    /// All servers' interfaces, as they come and go.
    pub(super) fn doors(&self) -> Doors {
        Arc::clone(&self.doors)
    }
}
