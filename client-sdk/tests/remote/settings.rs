//! What the builder sets and an application can see: the user agent, proxies.

use crate::{
    builder,
    server::{Reply, Server},
};
use tollgate_types::{ErrorKind, Provider};

const MODELS: &str = r#"{"models": []}"#;

#[tokio::test]
async fn the_application_is_named_before_this_client() {
    let mut server = Server::play(vec![Reply::body(200, MODELS), Reply::body(200, MODELS)]).await;
    builder(&server.url).build().unwrap().models().await.unwrap();
    let own = server.request().await.header("user-agent").unwrap().to_owned();
    assert!(own.starts_with("tollgate-client/"), "{own}");
    let named = builder(&server.url).user_agent("my-agent/1.2").build().unwrap();
    named.models().await.unwrap();
    assert_eq!(server.request().await.header("user-agent"), Some(&*format!("my-agent/1.2 {own}")));
    let broken = builder(&server.url).user_agent("a\r\nx-evil: 1").build().unwrap_err();
    assert_eq!(broken.body().param.as_deref(), Some("user_agent"));
}

#[tokio::test]
async fn a_proxy_is_asked_instead_of_the_server() {
    let mut proxy = Server::play(vec![Reply::body(200, MODELS)]).await;
    let url = proxy.url.replace("http://", "http://me:pa55word@");
    let provider = builder("http://gate.invalid:7777").proxy(url).build().unwrap();
    assert_eq!(provider.models().await.unwrap(), []);
    let asked = proxy.request().await;
    assert_eq!(asked.line, "GET http://gate.invalid:7777/api/v1/models HTTP/1.1");
    assert!(asked.header("proxy-authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert!(!format!("{provider:?}").contains("pa55word"));
}

#[tokio::test]
async fn an_encrypted_server_is_reached_through_a_tunnel() {
    let mut proxy = Server::play(vec![Reply::body(403, "no")]).await;
    let ca = rcgen::generate_simple_self_signed(["gate.invalid".to_owned()]).unwrap();
    let provider = builder("https://gate.invalid").proxy(&*proxy.url).ca_bundle(ca.cert.pem());
    let provider = provider.max_retries(0).build().unwrap();
    let error = provider.models().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert_eq!(proxy.request().await.line, "CONNECT gate.invalid:443 HTTP/1.1");
}

#[test]
fn a_client_of_the_application_takes_no_settings() {
    let own = |b: tollgate_client::Builder| {
        b.build().unwrap_err().body().param.clone().unwrap_or_default()
    };
    let with = || builder("http://host").http_client(crate::secrets::client());
    assert_eq!(own(with().ca_bundle("")), "ca_bundle");
    assert_eq!(own(with().client_certificate("")), "client_certificate");
    assert_eq!(own(with().proxy("http://p")), "proxy");
    assert_eq!(own(with().no_proxy()), "proxy");
    assert_eq!(own(with().user_agent("a")), "user_agent");
}
