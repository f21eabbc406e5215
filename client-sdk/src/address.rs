//! The server's address and the addresses of its API.

use reqwest::Url;
use tollgate_types::{Error, Result};

/// Reads the address of a server: `http` or `https`, a host, perhaps a path that a reverse proxy
/// puts in front. The text is never quoted in an error: it may hold a password.
pub(crate) fn parse(server: &str) -> Result<Url> {
    let refused = |why: &str| Err(Error::invalid("server", format!("the server's URL {why}")));
    if server.trim().is_empty() {
        return refused("is empty: give one like https://tollgate.example.com");
    }
    let Ok(url) = Url::parse(server.trim()) else {
        return refused("cannot be read: give one like https://tollgate.example.com");
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return refused("must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("holds a user name or password: the API key is given apart from it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refused("must end before any ? or #");
    }
    Ok(url)
}

/// The address of one path of the API.
pub(crate) fn join(server: &Url, path: &str, query: &[(&str, String)]) -> Url {
    let mut url = server.clone();
    url.set_path(&format!("{}{path}", server.path().trim_end_matches('/')));
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_address_is_refused_without_quoting_it() {
        for server in [
            "",
            "  ",
            "localhost:8787",
            "/api",
            "ftp://host",
            "https://user:hunter2@host",
            "https://host/?key=hunter2",
            "https://host/#hunter2",
            "https://",
        ] {
            let error = parse(server).unwrap_err();
            assert!(!error.message().contains("hunter2"), "{server}: {error}");
        }
    }

    #[test]
    fn paths_follow_whatever_path_the_server_has() {
        for (server, url) in [
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787/api/v1/usage?user=a%26b"),
            (" https://host/gate/ ", "https://host/gate/api/v1/usage?user=a%26b"),
        ] {
            let joined =
                join(&parse(server).unwrap(), "/api/v1/usage", &[("user", "a&b".to_owned())]);
            assert_eq!(joined.as_str(), url);
        }
    }
}
