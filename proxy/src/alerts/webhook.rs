//! One POST to the operator's address.

use super::AlertError;
use crate::{
    config::{AlertSettings, Environment},
    providers::http,
};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Url, header::CONTENT_TYPE};
use serde::Serialize;
use sha2::Sha256;
use std::{fmt, time::Duration};
use tollgate_types::Secret;

/// How long the address may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// `t=<seconds>,v1=<hex>`: HMAC-SHA256 with the secret over `<seconds>.<body>`. The receiver takes
/// nothing that is old, so that what was overheard cannot be sent again.
const SIGNATURE: &str = "x-tollgate-signature";

/// The operator's address.
pub(super) struct Webhook {
    url: Url,
    secret: Option<Secret<String>>,
    client: Client,
}

/// Without the path, which may be a secret.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Webhook {
    pub(super) fn of(
        settings: &AlertSettings,
        environment: &Environment,
    ) -> Result<Option<Self>, AlertError> {
        let Some(address) = &settings.webhook else { return Ok(None) };
        let secret = settings.webhook_secret_env.as_ref().map(|name| {
            let secret = environment.get(name).map(|text| Secret::new(text.trim().to_owned()));
            secret.ok_or_else(|| AlertError::Secret(name.clone()))
        });
        let (client, url) = http::plain_client(address).map_err(AlertError::Client)?;
        Ok(Some(Self { url, secret: secret.transpose()?, client }))
    }

    /// Sends it; says why it was not taken. Never the address: it may hold a secret.
    pub(super) async fn post(&self, message: impl Serialize, now_ms: i64) -> Result<(), String> {
        let body = serde_json::to_vec(&message).map_err(|error| error.to_string())?;
        let mut request = self.client.post(self.url.clone()).timeout(PATIENCE);
        if let Some(secret) = &self.secret {
            request = request.header(SIGNATURE, signature(secret, now_ms.div_euclid(1000), &body)?);
        }
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await.map_err(|error| reason(&error.without_url()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("the address answered {status}")),
        }
    }
}

fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() }
}

fn signature(secret: &Secret<String>, seconds: i64, body: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .map_err(|error| error.to_string())?;
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("t={seconds},v1={hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `printf '17.{}' | openssl dgst -sha256 -hmac key` says.
    #[test]
    fn a_signature_is_the_usual_one() {
        let signed = signature(&Secret::new("key".to_owned()), 17, b"{}").unwrap();
        let expected = "e66392eac42eafc68c35a01c712811e016386c12456975fc3af80c9268568e3a";
        assert_eq!(signed, format!("t=17,v1={expected}"));
    }
}
