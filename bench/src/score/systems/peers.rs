//! Other gateways for AI, as `scripts/peers.sh` installs them: pinned versions, in a private folder,
//! with no word to anybody but the upstream.

use super::{Doors, Ground, Kind, Started, System, start, version};
use crate::private::{Instance, measured};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

const GATEWAY: &str = "portkey/node_modules/@portkey-ai/gateway";

/// Starts LiteLLM's proxy, two workers.
pub(super) async fn start_litellm(ground: &Ground) -> io::Result<System> {
    let program = installed(ground, "litellm/bin/litellm")?;
    let mut instance = Instance::new("litellm", "TERM")?;
    instance.write("config.yaml", &configuration(ground.upstream.address))?;
    let command = |instance: &Instance, port: u16| {
        let mut command = instance.own_command(&program);
        command.args(["--config", "config.yaml", "--host", "127.0.0.1", "--telemetry", "False"]);
        command.args(["--num_workers", "2", "--port", &port.to_string()]);
        // Without this it fetches prices from the network when it starts.
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "ERROR");
        Ok(command)
    };
    let doors = Doors { key: MASTER.to_owned(), openai: "mock/", ..Doors::default() };
    let Started { address, after: started_in } = start(&mut instance, command, &doors).await?;
    let (version, instance) = (version(&program, "--version"), Some(instance));
    Ok(System {
        kind: Kind::Litellm,
        version,
        instance,
        address,
        doors,
        database: None,
        started_in,
    })
}

/// Opens nothing but the proxy of this measurement.
const MASTER: &str = "sk-bench";

fn configuration(upstream: SocketAddr) -> String {
    format!(
        "model_list:
  - model_name: \"mock/*\"
    litellm_params:
      model: \"openai/*\"
      api_base: http://{upstream}/v1
      api_key: none
litellm_settings:
  telemetry: false
  num_retries: 0
general_settings:
  master_key: {MASTER}
"
    )
}

/// Starts Portkey's gateway: one process, as it comes.
pub(super) async fn start_portkey(ground: &Ground) -> io::Result<System> {
    let script = installed(ground, &format!("{GATEWAY}/build/start-server.js"))?;
    let node = measured("node")?;
    let mut instance = Instance::new("portkey", "TERM")?;
    let command = |instance: &Instance, port: u16| {
        let mut command: Command = instance.own_command(&node);
        command.arg(&script).args(["--headless".to_owned(), format!("--port={port}")]);
        command.env("TRUSTED_CUSTOM_HOSTS", "127.0.0.1").env("NODE_ENV", "production");
        Ok(command)
    };
    let upstream = format!("http://{}/v1", ground.upstream.address);
    let headers = [("x-portkey-provider", "openai"), ("x-portkey-custom-host", &upstream)];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let doors = Doors { key: "none".to_owned(), headers, ..Doors::default() };
    let Started { address, after: started_in } = start(&mut instance, command, &doors).await?;
    let package = installed(ground, &format!("{GATEWAY}/package.json"))?;
    let version = format!("{}, node {}", package_version(&package)?, version(&node, "--version"));
    let instance = Some(instance);
    Ok(System {
        kind: Kind::Portkey,
        version,
        instance,
        address,
        doors,
        database: None,
        started_in,
    })
}

fn installed(ground: &Ground, path: &str) -> io::Result<PathBuf> {
    let folder = ground.programs.peers.as_deref();
    let found = folder.and_then(|folder| folder.join(path).canonicalize().ok());
    // A program of a Python environment knows it by the path that it is called by.
    let kept = found.and(folder).map(|folder| folder.join(path));
    let missing = || io::Error::new(io::ErrorKind::NotFound, "not installed: scripts/peers.sh");
    std::path::absolute(kept.ok_or_else(missing)?)
}

fn package_version(package: &Path) -> io::Result<String> {
    let package: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(package)?)?;
    Ok(package.get("version").and_then(|text| text.as_str()).unwrap_or_default().to_owned())
}
