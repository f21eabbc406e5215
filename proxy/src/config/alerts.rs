//! `[alerts]`: who is told when a budget passes its percentage.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// Where alerts go.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertSettings {
    /// Address that every alert is sent to, as JSON; absent: alerts are only listed and logged.
    /// Addresses of chat services have a secret in their path.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "without_path")]
    pub webhook: Option<String>,
    /// Environment variable with the secret that signs what is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret_env: Option<String>,
}

impl fmt::Debug for AlertSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertSettings")
            .field("webhook", &self.webhook.as_deref().map(origin))
            .field("webhook_secret_env", &self.webhook_secret_env)
            .finish()
    }
}

fn without_path<S: Serializer>(webhook: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    webhook.as_deref().map(origin).serialize(serializer)
}

/// Scheme, host and port of an address: what may be shown.
pub fn origin(address: &str) -> String {
    match reqwest::Url::parse(address) {
        Ok(url) => url.origin().ascii_serialization(),
        Err(_) => "(no address)".to_owned(),
    }
}

impl AlertSettings {
    pub(super) fn validate(&self) -> Result<(), String> {
        match self.webhook.as_deref().map(reqwest::Url::parse) {
            None if self.webhook_secret_env.is_some() => {
                Err("alerts.webhook_secret_env signs nothing without alerts.webhook".to_owned())
            }
            None => Ok(()),
            Some(Ok(url)) if ["https", "http"].contains(&url.scheme()) && url.has_host() => Ok(()),
            Some(_) => {
                Err("alerts.webhook must be an address that begins with https:// or http://"
                    .to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_reached_is_refused_and_its_path_is_never_shown() {
        let settings = |webhook: &str| AlertSettings {
            webhook: Some(webhook.to_owned()),
            webhook_secret_env: None,
        };
        for wrong in ["", "hooks.example", "ftp://a/b", "https://", "/x"] {
            assert!(settings(wrong).validate().is_err(), "{wrong}");
        }
        let right = settings("https://user:pass@hooks.example:8443/T0/secret?k=v");
        right.validate().unwrap();
        for shown in [format!("{right:?}"), serde_json::to_string(&right).unwrap()] {
            assert!(shown.contains("https://hooks.example:8443"), "{shown}");
            assert!(!shown.contains("secret?") && !shown.contains("pass"), "{shown}");
        }
        let unsigned = AlertSettings { webhook_secret_env: Some("X".into()), webhook: None };
        assert!(unsigned.validate().is_err());
    }
}
