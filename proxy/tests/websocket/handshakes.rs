//! Who may open a connection, and how.

use crate::{
    gate::Gate,
    wire::{greeting, handshake, shake},
};
use serde_json::Value;
use tokio_tungstenite::tungstenite::handshake::client::Request;

#[tokio::test]
async fn a_handshake_that_is_none_is_refused_and_says_why() {
    let gate = Gate::start().await;
    let with = |name: &'static str, value: &str| {
        let mut request = greeting(&gate);
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let asked = |path: &str| {
        let mut request = handshake(&gate, path);
        *request.headers_mut() = greeting(&gate).headers().clone();
        request
    };
    let cases: [(Request, u16, &str); 7] = [
        (handshake(&gate, "/api/v1/ws"), 401, "authentication"),
        (with("authorization", "Bearer tg_no_key"), 401, "authentication"),
        (with("sec-websocket-protocol", "chat"), 400, "invalid_request"),
        (with("sec-websocket-protocol", "bearer.tg_no_key"), 400, "invalid_request"),
        (asked("/api/v1/ws?token=a"), 400, "invalid_request"),
        (with("sec-websocket-version", "8"), 426, "invalid_request"),
        (with("sec-websocket-key", "short"), 426, "invalid_request"),
    ];
    // Fails only where the process has chosen its cryptography already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    for (request, status, kind) in cases {
        let url = request.uri().to_string().replace("ws://", "http://");
        let refused = client.get(url).headers(request.headers().clone()).send().await.unwrap();
        let case = format!("{:?}", request.headers());
        assert_eq!(refused.status().as_u16(), status, "{case}");
        assert!(refused.headers().contains_key("x-request-id"), "{case}");
        let body: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
        assert_eq!(body["error"]["kind"], kind, "{case}: {body}");
    }
    // And one that is no handshake at all.
    let asked = client.get(format!("http://{}/api/v1/ws", gate.addr)).bearer_auth(&gate.key);
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 426);
    assert_eq!(answer.headers()["upgrade"], "websocket");
}

#[tokio::test]
async fn a_page_of_any_origin_opens_a_connection_with_a_credential_in_the_subprotocol() {
    let gate = Gate::start().await;
    let mut request = handshake(&gate, "/api/v1/ws");
    let offered = format!("tollgate.v1, bearer.{}", gate.key).parse().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", offered);
    request.headers_mut().insert("origin", "https://a-page.example".parse().unwrap());
    let (mut wire, response) = shake(&gate, request).await;
    let chosen: Vec<_> = response.headers().get_all("sec-websocket-protocol").iter().collect();
    assert_eq!(chosen, ["tollgate.v1"], "the credential is not said back");
    wire.works(1).await;
}
