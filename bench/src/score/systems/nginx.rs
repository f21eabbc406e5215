//! nginx as a reverse proxy that is set up for speed: connections are kept on both sides, nothing is
//! written to a file, answers are passed on as they come.

use super::{Doors, Kind, Started, System, start, version};
use crate::private::{Instance, measured};
use std::{io, net::SocketAddr};

/// Starts it in front of an upstream.
pub(super) async fn start_before(upstream: SocketAddr) -> io::Result<System> {
    let program = measured("nginx")?;
    let mut instance = Instance::new("nginx", "TERM")?;
    let command = |instance: &Instance, port: u16| {
        instance.write("nginx.conf", &configuration(port, upstream))?;
        let folder = instance.folder().to_string_lossy().into_owned();
        let mut command = instance.command(&program)?;
        command.args(["-e", "stderr", "-c", "nginx.conf", "-p", &folder]);
        Ok(command)
    };
    let doors = Doors::default();
    let Started { address, after: started_in } = start(&mut instance, command, &doors).await?;
    let (version, instance) = (version(&program, "-v"), Some(instance));
    Ok(System { kind: Kind::Nginx, version, instance, address, doors, database: None, started_in })
}

fn configuration(port: u16, upstream: SocketAddr) -> String {
    format!(
        "daemon off;
worker_processes 2;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 19000; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 0;
    client_body_buffer_size 256k;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    upstream mock {{
        server {upstream};
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
    server {{
        listen 127.0.0.1:{port} reuseport backlog=4096;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_read_timeout 600s;
        }}
    }}
}}
"
    )
}
