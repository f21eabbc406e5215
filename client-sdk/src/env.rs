//! The environment variables that describe a server. The only place here that reads the environment,
//! and the files that it names.

use crate::{Builder, RemoteProvider, TransportKind};
use std::time::Duration;
use tollgate_types::{Error, Result};

impl RemoteProvider {
    /// Builds a provider from `TOLLGATE_URL`, `TOLLGATE_API_KEY` and whatever else is set of the
    /// variables that [`Builder::from_env`] reads.
    ///
    /// # Errors
    /// `invalid_request`, which names the variable, when one is missing or unusable.
    pub fn from_env() -> Result<Self> {
        Builder::from_env()?.build()
    }
}

impl Builder {
    /// Begins with what the environment says: as [`Builder::env`], and `TOLLGATE_URL` and
    /// `TOLLGATE_API_KEY` must be set.
    ///
    /// # Errors
    /// `invalid_request`, which names the variable, when one is missing or unusable.
    pub fn from_env() -> Result<Self> {
        let variables = Variables { read: from_process };
        variables.check_required()?;
        variables.over(Self::default())
    }

    /// Takes over what the environment says. An empty variable counts as not set.
    ///
    /// | variable | for |
    /// |---|---|
    /// | `TOLLGATE_URL` | [`server`](Self::server) |
    /// | `TOLLGATE_API_KEY` | [`api_key`](Self::api_key) |
    /// | `TOLLGATE_TRANSPORT` | [`transport`](Self::transport): `http`, `websocket` or `grpc` |
    /// | `TOLLGATE_GRPC_URL` | address of the server's gRPC listener, where that is another one |
    /// | `TOLLGATE_EXCHANGE_TOKEN` | [`exchange_token`](Self::exchange_token): `true` or `false` |
    /// | `TOLLGATE_MODEL` | [`model`](Self::model) |
    /// | `TOLLGATE_CONNECT_TIMEOUT` | [`connect_timeout`](Self::connect_timeout), like `5s` or `500ms` |
    /// | `TOLLGATE_IDLE_TIMEOUT` | [`idle_timeout`](Self::idle_timeout) |
    /// | `TOLLGATE_TIMEOUT` | [`total_timeout`](Self::total_timeout) |
    /// | `TOLLGATE_MAX_RETRIES` | [`max_retries`](Self::max_retries) |
    /// | `TOLLGATE_TAGS` | [`tag`](Self::tag), like `team=red,app=search` |
    /// | `TOLLGATE_CA_BUNDLE` | [`ca_bundle`](Self::ca_bundle): path of a PEM file |
    /// | `TOLLGATE_CLIENT_CERT` | [`client_certificate`](Self::client_certificate): path of a PEM file |
    /// | `TOLLGATE_CLIENT_KEY` | path of its key, where that is a file of its own |
    /// | `TOLLGATE_PROXY` | [`proxy`](Self::proxy); else `HTTPS_PROXY` and its like count |
    ///
    /// # Errors
    /// `invalid_request`, which names the variable, when one is unusable.
    pub fn env(self) -> Result<Self> {
        Variables { read: from_process }.over(self)
    }
}

/// Variables by name.
struct Variables<R> {
    read: R,
}

impl<R: Fn(&str) -> Result<Option<String>>> Variables<R> {
    fn check_required(&self) -> Result<()> {
        for name in ["TOLLGATE_URL", "TOLLGATE_API_KEY"] {
            if self.optional(name)?.is_none() {
                return Err(Error::invalid(
                    name,
                    format!("the environment variable {name} is not set"),
                ));
            }
        }
        Ok(())
    }

    fn over(&self, mut builder: Builder) -> Result<Builder> {
        if let Some(server) = self.optional("TOLLGATE_URL")? {
            builder = builder.server(server);
        }
        if let Some(key) = self.optional("TOLLGATE_API_KEY")? {
            builder = builder.api_key(key);
        }
        if let Some(kind) = self.parsed("TOLLGATE_TRANSPORT", transport)? {
            builder = builder.transport(kind);
        }
        #[cfg(feature = "grpc")]
        if let Some(server) = self.optional("TOLLGATE_GRPC_URL")? {
            builder = builder.grpc_server(server);
        }
        if let Some(exchange) = self.parsed("TOLLGATE_EXCHANGE_TOKEN", yes_or_no)? {
            builder = builder.exchange_token(exchange);
        }
        if let Some(model) = self.optional("TOLLGATE_MODEL")? {
            builder = builder.model(model);
        }
        if let Some(limit) = self.parsed("TOLLGATE_CONNECT_TIMEOUT", duration)? {
            builder = builder.connect_timeout(limit);
        }
        if let Some(limit) = self.parsed("TOLLGATE_IDLE_TIMEOUT", duration)? {
            builder = builder.idle_timeout(limit);
        }
        if let Some(limit) = self.parsed("TOLLGATE_TIMEOUT", duration)? {
            builder = builder.total_timeout(limit);
        }
        if let Some(retries) = self.parsed("TOLLGATE_MAX_RETRIES", retries)? {
            builder = builder.max_retries(retries);
        }
        for (key, value) in self.parsed("TOLLGATE_TAGS", tags)?.unwrap_or_default() {
            builder = builder.tag(key, value);
        }
        if let Some(proxy) = self.optional("TOLLGATE_PROXY")? {
            builder = builder.proxy(proxy);
        }
        self.certificates(builder)
    }

    fn certificates(&self, mut builder: Builder) -> Result<Builder> {
        if let Some(bundle) = self.file("TOLLGATE_CA_BUNDLE")? {
            builder = builder.ca_bundle(bundle);
        }
        match (self.file("TOLLGATE_CLIENT_CERT")?, self.file("TOLLGATE_CLIENT_KEY")?) {
            (None, None) => Ok(builder),
            (Some(certificate), None) => Ok(builder.client_certificate(certificate)),
            (Some(certificate), Some(key)) => {
                Ok(builder.client_certificate([certificate, key].join(&b'\n')))
            }
            (None, Some(_)) => Err(missing("TOLLGATE_CLIENT_CERT", "TOLLGATE_CLIENT_KEY is")),
        }
    }

    fn optional(&self, name: &str) -> Result<Option<String>> {
        Ok((self.read)(name)?.filter(|value| !value.is_empty()))
    }

    fn parsed<T>(&self, name: &str, read: fn(&str) -> Result<T, String>) -> Result<Option<T>> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        let value = read(text.trim());
        value.map(Some).map_err(|why| {
            Error::invalid(name, format!("the environment variable {name} is {text:?}, {why}"))
        })
    }

    fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(path) = self.optional(name)? else { return Ok(None) };
        std::fs::read(&path).map(Some).map_err(|error| {
            let message = format!("the file {path:?} of the environment variable {name}: {error}");
            Error::invalid(name, message).with_source(error)
        })
    }
}

fn missing(name: &str, because: &str) -> Error {
    Error::invalid(name, format!("the environment variable {name} is not set, but {because}"))
}

/// A number with a unit; seconds without one.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write it like 30s, 500ms or 5m".to_owned();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.trim_end().parse().map_err(|_| wrong())?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs).ok_or_else(wrong);
    match text.strip_prefix(digits).unwrap_or_default() {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => seconds(1),
        "m" | "min" => seconds(60),
        "h" => seconds(3600),
        _ => Err(wrong()),
    }
}

fn transport(text: &str) -> Result<TransportKind, String> {
    match text {
        "http" => Ok(TransportKind::Http),
        #[cfg(feature = "websocket")]
        "websocket" => Ok(TransportKind::WebSocket),
        #[cfg(not(feature = "websocket"))]
        "websocket" => Err(left_out(text)),
        #[cfg(feature = "grpc")]
        "grpc" => Ok(TransportKind::Grpc),
        #[cfg(not(feature = "grpc"))]
        "grpc" => Err(left_out(text)),
        _ => Err("it must be http, websocket or grpc".to_owned()),
    }
}

#[cfg(not(all(feature = "grpc", feature = "websocket")))]
fn left_out(feature: &str) -> String {
    format!(
        "and this program was built without it: switch on the feature {feature} of tollgate-client"
    )
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "it must be true or false".to_owned())
}

fn retries(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "it must be a whole number".to_owned())
}

fn tags(text: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| match pair.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write it like team=red,app=search".to_owned()),
    });
    pairs.collect()
}

#[expect(clippy::disallowed_methods, reason = "the one place of the client that may")]
fn from_process(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::invalid(name, format!("the environment variable {name} is not UTF-8")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(variables: &[(&str, &str)]) -> Result<RemoteProvider> {
        let all = [("TOLLGATE_URL", "http://host:1"), ("TOLLGATE_API_KEY", "tg_s3cret")];
        let all = variables.iter().chain(&all);
        let read = |name: &str| {
            let found = all.clone().find(|(known, _)| *known == name);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        };
        let variables = Variables { read };
        variables.check_required()?;
        variables.over(Builder::default())?.build()
    }

    #[test]
    fn everything_can_be_said_in_the_environment() {
        let provider = built(&[
            ("TOLLGATE_MODEL", "p/m"),
            ("TOLLGATE_CONNECT_TIMEOUT", "500ms"),
            ("TOLLGATE_IDLE_TIMEOUT", "2m"),
            ("TOLLGATE_TIMEOUT", "45"),
            ("TOLLGATE_MAX_RETRIES", "0"),
            ("TOLLGATE_EXCHANGE_TOKEN", "true"),
            ("TOLLGATE_TRANSPORT", "http"),
            ("TOLLGATE_TAGS", " team=red, app=a=b,,"),
            ("TOLLGATE_PROXY", "http://me:pw@proxy.example:3128"),
        ])
        .unwrap();
        let inner = provider.inner();
        assert_eq!(inner.model.as_deref(), Some("p/m"));
        assert_eq!(inner.timeouts.idle, Duration::from_secs(120));
        assert_eq!(inner.timeouts.total, Duration::from_secs(45));
        assert_eq!(inner.retry.max_retries, 0);
        assert_eq!(inner.tags["x-tollgate-tag-team"], "red");
        assert_eq!(inner.tags["x-tollgate-tag-app"], "a=b");
    }

    #[test]
    fn what_is_wrong_is_told_with_the_variables_name_and_no_secret() {
        for (name, value) in [
            ("TOLLGATE_URL", ""),
            ("TOLLGATE_API_KEY", ""),
            ("TOLLGATE_CONNECT_TIMEOUT", "soon"),
            ("TOLLGATE_IDLE_TIMEOUT", "-1s"),
            ("TOLLGATE_TIMEOUT", "99999999999999999999"),
            ("TOLLGATE_TIMEOUT", "18446744073709551615h"),
            ("TOLLGATE_TIMEOUT", "1 fortnight"),
            ("TOLLGATE_MAX_RETRIES", "1.5"),
            ("TOLLGATE_EXCHANGE_TOKEN", "maybe"),
            ("TOLLGATE_TRANSPORT", "HTTP"),
            ("TOLLGATE_TRANSPORT", "pigeon"),
            ("TOLLGATE_TAGS", "team"),
            ("TOLLGATE_TAGS", "=red"),
            ("TOLLGATE_CA_BUNDLE", "/nowhere/ca.pem"),
            ("TOLLGATE_CLIENT_CERT", "/nowhere/me.pem"),
            ("TOLLGATE_CLIENT_KEY", "/nowhere/me.key"),
        ] {
            let error = built(&[(name, value)]).unwrap_err();
            assert_eq!(error.body().param.as_deref(), Some(name), "{value}: {error}");
            assert!(error.message().contains(name), "{error}");
        }
        for proxy in ["hunter2", "ftp://me:hunter2@host", "http://me:hunter2@"] {
            let error = built(&[("TOLLGATE_PROXY", proxy)]).unwrap_err();
            assert_eq!(error.body().param.as_deref(), Some("proxy"), "{error:?}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_transport_is_there_or_its_feature_is_named() {
        for (name, is_there) in
            [("websocket", cfg!(feature = "websocket")), ("grpc", cfg!(feature = "grpc"))]
        {
            match built(&[("TOLLGATE_TRANSPORT", name)]) {
                Ok(provider) => {
                    assert!(is_there, "{name}");
                    assert!(provider.inner().transport.notices_silence(), "it is HTTP: {name}");
                }
                Err(error) => {
                    assert!(!is_there, "{name}: {error}");
                    assert!(error.message().contains(&format!("feature {name}")), "{error}");
                }
            }
        }
        #[cfg(feature = "grpc")]
        {
            let address = [("TOLLGATE_TRANSPORT", "grpc"), ("TOLLGATE_GRPC_URL", "nowhere")];
            let error = built(&address).unwrap_err();
            assert_eq!(error.body().param.as_deref(), Some("grpc_server"), "{error}");
        }
    }

    #[test]
    fn a_key_without_its_certificate_is_refused() {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let error = built(&[("TOLLGATE_CLIENT_KEY", own)]).unwrap_err();
        assert_eq!(error.body().param.as_deref(), Some("TOLLGATE_CLIENT_CERT"));
        let error = built(&[("TOLLGATE_CLIENT_KEY", own), ("TOLLGATE_CLIENT_CERT", own)]);
        assert_eq!(error.unwrap_err().body().param.as_deref(), Some("client_certificate"));
    }
}
