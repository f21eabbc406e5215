//! The upstream with nothing in front of it: what the others add is added to this.

use super::{Doors, Kind, Started, System, start};
use crate::private::Instance;
use std::{io, path::Path};

/// Starts it.
pub(super) async fn start_upstream(scoreboard: &Path) -> io::Result<System> {
    let mut instance = Instance::new("upstream", "TERM")?;
    let command = |instance: &Instance, port: u16| {
        let mut command = instance.own_command(scoreboard);
        command.args(["upstream", "--port", &port.to_string()]);
        Ok(command)
    };
    let doors = Doors::default();
    let Started { address, after: started_in } = start(&mut instance, command, &doors).await?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let instance = Some(instance);
    Ok(System { kind: Kind::Direct, version, instance, address, doors, database: None, started_in })
}

/// One that runs already, as a system.
pub(super) fn again(upstream: &System) -> io::Result<System> {
    Ok(System {
        kind: Kind::Direct,
        version: upstream.version.clone(),
        instance: None,
        address: upstream.address,
        doors: upstream.doors.clone(),
        database: None,
        started_in: upstream.started_in,
    })
}
