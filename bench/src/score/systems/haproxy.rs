//! HAProxy as a reverse proxy, with connections that are kept on both sides and no log.

use super::{Doors, Kind, Started, System, start, version};
use crate::private::{Instance, measured};
use std::{io, net::SocketAddr};

/// Starts it in front of an upstream.
pub(super) async fn start_before(upstream: SocketAddr) -> io::Result<System> {
    let program = measured("haproxy")?;
    let mut instance = Instance::new("haproxy", "TERM")?;
    let command = |instance: &Instance, port: u16| {
        instance.write("haproxy.cfg", &configuration(port, upstream))?;
        let mut command = instance.command(&program)?;
        command.args(["-db", "-f", "haproxy.cfg"]);
        Ok(command)
    };
    let doors = Doors::default();
    let Started { address, after: started_in } = start(&mut instance, command, &doors).await?;
    let (version, instance) = (version(&program, "-v"), Some(instance));
    Ok(System {
        kind: Kind::Haproxy,
        version,
        instance,
        address,
        doors,
        database: None,
        started_in,
    })
}

fn configuration(port: u16, upstream: SocketAddr) -> String {
    format!(
        "global
    nbthread 2
    maxconn 9900
defaults
    mode http
    option http-no-delay
    http-reuse always
    timeout connect 10s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
frontend callers
    bind 127.0.0.1:{port}
    default_backend mock
backend mock
    server mock {upstream}
"
    )
}
