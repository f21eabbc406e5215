//! What goes into headers: the credential, tags and the idempotency key, checked before they are
//! sent.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use tollgate_types::{Error, Result, Secret, wire::header};

/// The `Authorization` of a key. It is marked as sensitive, so that HTTP logs leave it out.
pub(crate) fn bearer(key: &Secret<String>) -> Result<HeaderValue> {
    let refused =
        || Error::invalid("api_key", "the API key is empty or holds a space or control character");
    let key = key.expose();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused());
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| refused())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Adds one header per tag; a tag that is there already is replaced.
pub(crate) fn add_tags(headers: &mut HeaderMap, tags: &BTreeMap<String, String>) -> Result<()> {
    for (key, value) in tags {
        let refused = || Error::invalid("tags", format!("tag {key:?} does not fit a header"));
        let name = format!("{}{key}", header::TAG_PREFIX);
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        headers.insert(name, HeaderValue::from_str(value).map_err(|_| refused())?);
    }
    Ok(())
}

/// The header that makes a repeated call one call.
pub(crate) fn idempotency_key(key: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(key).ok().filter(|value| !value.is_empty()).ok_or_else(|| {
        Error::invalid("idempotency_key", "the idempotency key is empty or does not fit a header")
    })
}
