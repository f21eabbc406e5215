//! `tollgate serve`.

use super::{Failure, output};
use crate::{
    app::App,
    config::{Config, Environment},
    serve,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

pub(super) async fn run(config: &Config, environment: &Environment) -> Result<(), Failure> {
    let address = config.server.address().map_err(Failure::new)?;
    // Bound first, so that a port that is taken is told before models are loaded.
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::new(format!("cannot listen on {address}: {error}; change server.listen"))
    })?;
    let bound = listener.local_addr()?;
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let app = App::build(config, environment).await?;
    tracing::info!(%bound, "listening");
    output::line(&format!("tollgate is listening on http://{bound}"))?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    if serve::run(app, listener, stop).await {
        Ok(())
    } else {
        Err(Failure::new("some requests were not settled; the next start settles them"))
    }
}
