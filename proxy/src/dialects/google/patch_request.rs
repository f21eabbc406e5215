//! A client's own body, changed only where it must be.

use tollgate_types::{GenerateRequest, Original, Result};

use super::{Target, encode_request::check, mend::without_made_up};
use crate::dialects::patch::Patch;

/// A client's own body with the output limit that the proxy imposes. The model is named by the
/// path; a body that names one too gets the same. Ids that were made up for the client go.
///
/// # Errors
/// `invalid_request` for what the proxy has to control, and for a body that readers could
/// understand in two ways.
pub fn patch_generate(
    original: &Original,
    request: &GenerateRequest,
    target: Target<'_>,
) -> Result<Vec<u8>> {
    check(request)?;
    let mut patch = Patch::of(&original.body)?;
    if patch.get("model").is_some() {
        patch.set("model", &format!("models/{}", target.model).into());
    }
    if let Some(limit) = request.sampling.max_output_tokens {
        let key = spelling(&patch, "generationConfig", "generation_config");
        let config = patch.get(key).filter(|text| *text != "null").unwrap_or("{}");
        let mut config = Patch::of(config.as_bytes())?;
        let inner = spelling(&config, "maxOutputTokens", "max_output_tokens");
        config.set(inner, &limit.into());
        patch.set_text(key, String::from_utf8_lossy(&config.finish()).into_owned());
    }
    Ok(without_made_up(patch.finish()))
}

/// The spelling that the client uses; only one of the two can be there.
fn spelling(patch: &Patch<'_>, camel: &'static str, snake: &'static str) -> &'static str {
    if patch.get(snake).is_some() { snake } else { camel }
}
