//! `tollgate serve`.

use super::{Failure, output};
use crate::{
    app::App,
    config::{Config, Environment},
    serve::{self, Listeners},
};
use std::net::SocketAddr;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

pub(super) async fn run(config: &Config, environment: &Environment) -> Result<(), Failure> {
    // Bound first, so that a port that is taken is told before models are loaded.
    let http = bind(config.server.address().map_err(Failure::new)?, "server.listen").await?;
    let grpc = match config.grpc.address().map_err(Failure::new)? {
        Some(address) => Some(bind(address, "grpc.listen").await?),
        None => None,
    };
    let bound = http.local_addr()?;
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let app = App::build(config, environment).await?;
    tracing::info!(%bound, "listening");
    output::line(&format!("tollgate is listening on http://{bound}"))?;
    if let Some(grpc) = &grpc {
        let bound = grpc.local_addr()?;
        tracing::info!(%bound, "listening for gRPC");
        output::line(&format!("tollgate is listening for gRPC on http://{bound}"))?;
    }
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    if serve::run(app, Listeners { http, grpc }, stop).await {
        Ok(())
    } else {
        Err(Failure::new("some requests were not settled; the next start settles them"))
    }
}

async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(format!("cannot listen on {address}: {error}; change {setting}"))
    })
}
