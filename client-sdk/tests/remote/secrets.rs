//! The key stays in its header.

use crate::{
    KEY, builder, provider, request,
    server::{Reply, Server},
};
use std::error::Error as _;
use tollgate_client::RemoteProvider;
use tollgate_types::{Error, Provider};

/// Everything that a program could print of an error.
fn printed(error: &Error) -> String {
    let mut text =
        format!("{error} {error:?} {error:#?} {}", serde_json::to_string(error).unwrap());
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text.push_str(&format!(" {deeper} {deeper:?}"));
        cause = deeper.source();
    }
    text
}

#[tokio::test]
async fn no_error_shows_the_key() {
    let echo = format!("<html>you sent authorization: Bearer {KEY}</html>");
    let replies = vec![
        Reply::body(400, &echo),
        Reply::body(200, &echo),
        Reply::error(401, "authentication", false),
        Reply::body(301, "").header("location", "http://127.0.0.1:9/elsewhere?x=1"),
        Reply::body(200, "{}").short_by(1).reset(),
    ];
    let calls = replies.len();
    let server = Server::play(replies).await;
    let provider = provider(&server);
    for _ in 0..calls {
        let asked = request().options(tollgate_types::CallOptions::default().max_retries(0));
        let error = provider.generate(asked).await.unwrap_err();
        assert!(!printed(&error).contains("sup3rs3cr3t"), "{}", printed(&error));
    }
    drop(server);
    let error = provider.models().await.unwrap_err();
    assert!(!printed(&error).contains("sup3rs3cr3t"), "{}", printed(&error));
}

#[test]
fn neither_builder_nor_provider_shows_the_key() {
    let builder = builder("http://127.0.0.1:9/gate");
    assert!(!format!("{builder:?}").contains("sup3rs3cr3t"));
    let provider = builder.build().unwrap();
    let shown = format!("{provider:?} {provider:#?}");
    assert!(!shown.contains("sup3rs3cr3t"), "{shown}");
    assert!(shown.contains("http://127.0.0.1:9/gate"), "{shown}");
}

#[test]
fn what_cannot_work_is_refused_when_the_provider_is_built() {
    for (server, key, param) in [
        ("", KEY, "server"),
        ("ftp://host", KEY, "server"),
        ("https://user:pass@host", KEY, "server"),
        ("http://host", "", "api_key"),
        ("http://host", "tg_a\r\nx: y", "api_key"),
        ("http://host", "tg a", "api_key"),
    ] {
        let built = RemoteProvider::builder().server(server).api_key(key).build();
        assert_eq!(built.unwrap_err().body().param.as_deref(), Some(param), "{server} {key:?}");
    }
    let both = builder("http://host").http_client(client()).ca_bundle("");
    assert_eq!(both.build().unwrap_err().body().param.as_deref(), Some("ca_bundle"));
}

pub(crate) fn client() -> reqwest::Client {
    let provider = rustls::crypto::ring::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(config).build().unwrap()
}

#[tokio::test]
async fn a_client_of_the_application_is_used() {
    let mut server = Server::play(vec![Reply::body(200, r#"{"models": []}"#)]).await;
    let provider = builder(&server.url).http_client(client()).build().unwrap();
    assert_eq!(provider.models().await.unwrap(), []);
    assert_eq!(server.request().await.header("user-agent"), None);
}
