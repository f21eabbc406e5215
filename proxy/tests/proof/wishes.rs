//! What callers of the native API may wish by header.

use crate::place::Place;
use reqwest::Client;
use serde_json::{Value, json};
use tollgate_bench::Mock;
use tollgate_types::wire::header;

#[tokio::test]
async fn a_header_says_whether_what_cannot_be_honoured_is_refused() {
    let mock = Mock::start().await.unwrap();
    let place = Place::over(&mock.url()).await;
    // Fails only where the process has chosen its cryptography already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = Client::builder().tls_certs_only([]).build().unwrap();
    let asked = async |path: &str, said: Option<&str>, body: &Value| {
        let request = client.post(format!("http://{}/api/v1/{path}", place.addr));
        let request = request.bearer_auth(&place.key).body(body.to_string());
        let request = match said {
            Some(said) => request.header(header::ON_UNSUPPORTED, said),
            None => request,
        };
        let reply = request.send().await.unwrap();
        let warning = reply.headers().get(header::WARNING).map(|value| value.as_bytes().to_vec());
        (reply.status().as_u16(), String::from_utf8(warning.unwrap_or_default()).unwrap())
    };
    // Anthropic's API has no seed.
    let plain = json!({"model": "anthropic/mock-tokens=2", "sampling": {"seed": 7}, "messages":
        [{"role": "user", "content": [{"type": "text", "text": "a b"}]}]});
    let mut patient = plain.clone();
    patient["on_unsupported"] = json!("warn");
    for path in ["generate", "stream", "count_tokens"] {
        let head = path != "count_tokens";
        for (said, body, status) in [
            (None, &plain, 422),
            (Some("fail"), &plain, 422),
            (Some("warn"), &plain, 200),
            (None, &patient, 200),
            (Some("fail"), &patient, 422),
            (Some("perhaps"), &patient, 400),
        ] {
            let (answered, warning) = asked(path, said, body).await;
            assert_eq!(answered, status, "{path} {said:?} {body}");
            let warned = head && status == 200;
            assert_eq!(warning.contains("sampling.seed"), warned, "{path} {said:?}: {warning}");
        }
    }
}
