//! What Google's paths and queries say: `models/{model}:{method}?key=...&alt=sse`.

use axum::http::Uri;

/// A method of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Generate,
    Stream,
    Embed,
    EmbedBatch,
    Count,
}

/// A model and what is asked of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) model: String,
    pub(super) method: Method,
}

/// Reads the decoded path behind `models/` or `publishers/`. The model's name may hold slashes and
/// colons: the last colon ends it.
pub(super) fn read(path: &str) -> Option<Named> {
    let (model, method) = path.rsplit_once(':')?;
    let method = match method {
        "generateContent" => Method::Generate,
        "streamGenerateContent" => Method::Stream,
        "embedContent" => Method::Embed,
        "batchEmbedContents" => Method::EmbedBatch,
        "countTokens" => Method::Count,
        _ => return None,
    };
    let model = name(model);
    (!model.is_empty()).then_some(Named { model, method })
}

/// A model's name without what Google's clients put in front of it. For Vertex AI they write
/// `provider/model` as `provider/models/model`.
pub(super) fn name(path: &str) -> String {
    let path = path.strip_prefix("publishers/").unwrap_or(path);
    let path = path.strip_prefix("google/models/").or(path.strip_prefix("models/")).unwrap_or(path);
    match path.split_once("/models/") {
        Some((publisher, model)) if !publisher.contains('/') => format!("{publisher}/{model}"),
        _ => path.to_owned(),
    }
}

/// A parameter of the query, percent signs decoded.
pub(super) fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let url = reqwest::Url::parse("http://localhost").ok()?;
    let mut url = url;
    url.set_query(uri.query());
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_named_in_many_ways() {
        for (path, model) in [
            ("gemini-x:generateContent", "gemini-x"),
            ("models/gemini-x:generateContent", "gemini-x"),
            ("openai/gpt-x:generateContent", "openai/gpt-x"),
            ("local/a:b:generateContent", "local/a:b"),
            ("publishers/google/models/gemini-x:generateContent", "gemini-x"),
            ("google/models/gemini-x:generateContent", "gemini-x"),
            ("openai/models/gpt-x:generateContent", "openai/gpt-x"),
            ("tunedModels/mine:generateContent", "tunedModels/mine"),
        ] {
            let expected = Named { model: model.into(), method: Method::Generate };
            assert_eq!(read(path), Some(expected), "{path}");
        }
        for path in ["gemini-x", "gemini-x:delete", ":generateContent", ""] {
            assert_eq!(read(path), None, "{path}");
        }
    }

    #[test]
    fn parameters_are_decoded() {
        let uri: Uri = "/v1beta/models/m:x?alt=sse&key=tg%5Fa&empty=".parse().unwrap();
        assert_eq!(parameter(&uri, "key").as_deref(), Some("tg_a"));
        assert_eq!(parameter(&uri, "alt").as_deref(), Some("sse"));
        assert_eq!((parameter(&uri, "empty"), parameter(&uri, "none")), (None, None));
    }
}
