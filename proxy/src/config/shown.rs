//! The configuration as it may be shown: without what is secret in it.

use super::Config;
use serde_json::{Map, Value};

/// Stands where something secret does.
const MASK: &str = "***";
/// Fields of an address's query that say nothing secret.
const PLAIN: [&str; 6] = ["host", "port", "sslmode", "application_name", "alt", "api-version"];

impl Config {
    /// As JSON, every secret masked: passwords and tokens in addresses, values of headers.
    pub fn shown(&self) -> Value {
        let mut shown = serde_json::to_value(self).unwrap_or_default();
        mask(&mut shown);
        shown
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => mask_fields(fields),
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) if text.contains("://") => *text = masked_url(text),
        _ => {}
    }
}

fn mask_fields(fields: &mut Map<String, Value>) {
    for (name, value) in fields.iter_mut() {
        match value {
            // The operator's own headers are often credentials, whatever they are called.
            Value::Object(headers) if name == "headers" => {
                headers.values_mut().for_each(|value| *value = MASK.into());
            }
            Value::String(text) if is_secret(name) => MASK.clone_into(text),
            other => mask(other),
        }
    }
}

/// Names of things that are secret themselves, other than `api_key_env` or `api_key_file`.
fn is_secret(name: &str) -> bool {
    ["password", "secret", "token", "api_key"].iter().any(|secret| name.ends_with(secret))
}

/// An address without its password, and without the values of its query.
pub fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    // The last @: a password that was not encoded may hold another.
    let address = match address.rsplit_once('@') {
        Some((credential, host)) => format!("{}@{host}", masked_credential(scheme, credential)),
        None => address.to_owned(),
    };
    let query = query.map(|query| format!("?{}", masked_query(query))).unwrap_or_default();
    format!("{scheme}://{address}{query}")
}

fn masked_credential(scheme: &str, credential: &str) -> String {
    match credential.split_once(':') {
        Some((user, _)) => format!("{user}:{MASK}"),
        // Elsewhere than in front of a database, a name alone is a token.
        None if scheme.starts_with("postgres") => credential.to_owned(),
        None => MASK.to_owned(),
    }
}

fn masked_query(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if !PLAIN.contains(&name) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use std::path::Path;

    #[test]
    fn addresses_lose_what_is_secret() {
        for (url, shown) in [
            ("sqlite:data/tollgate.db", "sqlite:data/tollgate.db"),
            ("postgres://u:p4ss@h:5432/db", "postgres://u:***@h:5432/db"),
            ("postgres://u@h/db", "postgres://u@h/db"),
            ("postgres://u:p@4ss@h,h2/db", "postgres://u:***@h,h2/db"),
            ("postgres://u:p/4ss@h/db", "postgres://u:***@h/db"),
            (
                "postgres://h/db?user=u&password=p4ss&sslmode=require",
                "postgres://h/db?user=***&password=***&sslmode=require",
            ),
            ("redis://:p4ss@h", "redis://:***@h"),
            ("https://p4ss@h/v1", "https://***@h/v1"),
            ("https://h/v1?key=p4ss", "https://h/v1?key=***"),
            ("http://127.0.0.1:1234/v1", "http://127.0.0.1:1234/v1"),
        ] {
            assert_eq!(masked_url(url), shown);
            assert!(!shown.contains("4ss"));
        }
    }

    #[test]
    fn no_planted_secret_is_shown() {
        let text = "[store]\nurl = \"postgres://u:p4ss1@h/db\"\n\
                    [[providers]]\nname = \"a\"\nkind = \"openai\"\n\
                    base_url = \"https://p4ss2@h/v1?key=p4ss3\"\napi_key_env = \"MY_VARIABLE\"\n\
                    headers = { \"x-anything\" = \"p4ss4\" }\n";
        let config = Config::parse(Path::new("t.toml"), text, &Environment::default()).unwrap();
        let shown = config.shown().to_string();
        assert!(!shown.contains("p4ss"), "{shown}");
        assert!(shown.contains("MY_VARIABLE") && shown.contains("x-anything"), "{shown}");
    }
}
