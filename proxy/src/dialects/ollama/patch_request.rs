//! A client's own body, changed only where it must be.

use serde_json::{Value, json};
use tollgate_types::{GenerateRequest, Original, Result};

use super::encode_request::{Target, check};
use crate::dialects::patch::Patch;

/// Changes the model's name and the output limit of a chat or generate request.
///
/// # Errors
/// As [`super::encode_chat`], for what the proxy has to control.
pub fn patch(
    original: &Original,
    request: &GenerateRequest,
    target: Target<'_>,
) -> Result<Vec<u8>> {
    check(request)?;
    let mut patch = Patch::of(&original.body)?;
    patch.set("model", &target.model.into());
    if let Some(limit) = request.sampling.max_output_tokens {
        let stated = patch.get("options").filter(|text| text.starts_with('{'));
        let options = match stated {
            Some(stated) => {
                let mut options = Patch::of(stated.as_bytes())?;
                options.set("num_predict", &limit.into());
                String::from_utf8_lossy(&options.finish()).into_owned()
            }
            None => json!({"num_predict": Value::from(limit)}).to_string(),
        };
        patch.set_text("options", options);
    }
    Ok(patch.finish())
}
