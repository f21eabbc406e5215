//! Runs the mock upstream until it is killed: `mock-upstream --port 8099` (0: a free port).

use std::io::{self, Write};
use tollgate_bench::Mock;

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => 0,
        ["--port", port] => port.parse().map_err(|_| usage())?,
        _ => return Err(usage()),
    };
    let mock = Mock::on(port).await?;
    writeln!(io::stdout(), "{}", mock.base_url())?;
    mock.forever().await;
    Ok(())
}

fn usage() -> io::Error {
    io::Error::other("usage: mock-upstream [--port N]")
}
