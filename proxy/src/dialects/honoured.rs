//! Options that a wire format has no place for: refused, or left out with a warning.

use serde_json::Value;
use tollgate_types::{Error, ErrorKind, GenerateRequest, OnUnsupported, Result, Warning};

/// Fields of vendors' requests that change no answer, or whose meaning the request has in common
/// words besides.
const WITHOUT_EFFECT: [&str; 29] = [
    // labels, caches, tiers, storage, forms of writing: all vendors
    "user",
    "metadata",
    "labels",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "cache_control",
    "keep_alive",
    "service_tier",
    "serviceTier",
    "stream_options",
    "store",
    "input",
    "include",
    "truncation",
    "max_tool_calls",
    "response_format",
    // Anthropic: where and how it computes; edits of a history that is whole here
    "inference_geo",
    "speed",
    "betas",
    "context_management",
    // Google: what it would withhold
    "safetySettings",
    // objects whose known fields are read: see WITHIN
    "thinking",
    "output_config",
    "reasoning",
    "text",
    "generationConfig",
    "toolConfig",
    "options",
];

/// Fields within those objects that do change an answer.
const WITHIN: [&str; 13] = [
    "verbosity",
    "speechConfig",
    "mediaResolution",
    "responseModalities",
    "responseMimeType",
    "repeat_penalty",
    "repeat_last_n",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "typical_p",
    "tfs_z",
    "penalize_newline",
];

/// What happens to an option that the format has no place for.
pub(crate) struct Honoured {
    mode: OnUnsupported,
    warnings: Vec<Warning>,
}

impl Honoured {
    /// Everything is honoured so far.
    pub(crate) fn new(mode: OnUnsupported) -> Self {
        Self { mode, warnings: Vec::new() }
    }

    /// As [`Honoured::new`], for a request that goes to the dialect of `namespace`: what a client of
    /// another dialect asks for in that dialect's own words is refused or told. Callers of the
    /// common vocabulary write extras for each provider that they may reach.
    pub(crate) fn of(request: &GenerateRequest, namespace: &str) -> Result<Self> {
        let mut honoured = Self::new(request.on_unsupported);
        if request.options.original.is_none() {
            return Ok(honoured);
        }
        let foreign = request.extras.iter().filter(|(owner, _)| *owner != namespace);
        for (key, value) in foreign.flat_map(|(_, fields)| fields) {
            if says_nothing(value) {
                continue;
            }
            if !WITHOUT_EFFECT.contains(&key.as_str()) {
                honoured.cannot(key, format!("{key} has no meaning to this model's provider"))?;
            }
            let within = value.as_object().into_iter().flatten();
            for (inner, _) in within.filter(|(inner, _)| WITHIN.contains(&inner.as_str())) {
                let message = format!("{inner} has no meaning to this model's provider");
                honoured.cannot(format!("{key}.{inner}"), message)?;
            }
        }
        Ok(honoured)
    }

    /// What was left out.
    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }

    /// Refuses the request, or leaves the option out with a warning if the request says so.
    pub(crate) fn cannot(
        &mut self,
        param: impl Into<String>,
        message: impl Into<String>,
    ) -> Result<()> {
        let (param, message) = (Some(param.into()), message.into());
        match self.mode {
            OnUnsupported::Fail => {
                Err(Error::new(ErrorKind::Unsupported, message).with(|body| body.param = param))
            }
            OnUnsupported::Warn => {
                self.warnings.push(Warning { code: "unsupported_option".into(), message, param });
                Ok(())
            }
        }
    }
}

/// Whether a field asks for nothing.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;
    use tollgate_types::{Extras, Original};

    fn request(extras: &Value, dialect: bool) -> GenerateRequest {
        let extras = serde_json::from_value::<Extras>(extras.clone()).unwrap();
        let mut request = GenerateRequest { extras, ..GenerateRequest::default() };
        let (api, body, headers) = ("openai.chat", Vec::new(), Vec::new());
        let original = Original { api, body, headers, streamed: false };
        request.options.original = dialect.then(|| Arc::new(original));
        request
    }

    #[test]
    fn what_another_dialect_asks_for_is_refused_by_name_or_told() {
        for (extras, param) in [
            (json!({"openai": {"logit_bias": {"5": 1}}}), "logit_bias"),
            (
                json!({"google": {"generationConfig": {"speechConfig": 1}}}),
                "generationConfig.speechConfig",
            ),
            (json!({"ollama": {"options": {"num_ctx": 9, "mirostat": 2}}}), "options.mirostat"),
        ] {
            let mut asked = request(&extras, true);
            let error = Honoured::of(&asked, "anthropic").err().unwrap();
            assert_eq!(
                (error.kind(), error.body().param.as_deref()),
                (ErrorKind::Unsupported, Some(param))
            );
            asked.on_unsupported = OnUnsupported::Warn;
            let told = Honoured::of(&asked, "anthropic").unwrap().into_warnings();
            assert_eq!(told.iter().map(|w| w.param.as_deref()).collect::<Vec<_>>(), [Some(param)]);
        }
    }

    #[test]
    fn labels_one_s_own_words_and_extras_of_the_common_vocabulary_pass() {
        let harmless =
            json!({"openai": {"user": "u", "store": true, "logit_bias": {}, "audio": null}});
        assert!(Honoured::of(&request(&harmless, true), "anthropic").is_ok());
        let biased = json!({"openai": {"logit_bias": {"5": 1}}});
        assert!(Honoured::of(&request(&biased, true), "openai").is_ok());
        assert!(Honoured::of(&request(&biased, false), "anthropic").is_ok());
    }
}
