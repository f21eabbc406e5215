//! A generateContent request, read.

use tollgate_types::{GenerateRequest, Result};

use super::{NAMESPACE, config, decode_message::decode_messages, names::object_at, tools};
use crate::dialects::fields::Fields;

/// Reads a generateContent request for the model that its path names. Fields without common
/// meaning are kept in `request.extras["google"]`.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub fn decode_generate(body: &[u8], model: &str) -> Result<GenerateRequest> {
    decode_fields(Fields::parse(body)?, model)
}

/// As [`decode_generate`], for a request that stands within another.
pub(super) fn decode_fields(fields: Fields, model: &str) -> Result<GenerateRequest> {
    let path = fields.path_of("");
    let path = path.trim_end_matches('.').to_owned();
    let mut fields = object_at(path, fields.rest().into())?;
    // The path says which model is asked.
    fields.take("model");
    let messages = decode_messages(&mut fields)?;
    let mut request = GenerateRequest::new(model, messages);
    request.tools = tools::decode(&mut fields)?;
    request.tool_choice = tools::decode_choice(&mut fields)?;
    config::decode(&mut fields, &mut request)?;
    request.extras = fields.into_extras(NAMESPACE);
    Ok(request)
}
