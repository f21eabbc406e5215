//! Texts to vectors.

use crate::{CallOptions, Extras, Receipt, Usage};
use serde::{Deserialize, Serialize};

/// Asks for one vector per text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedRequest {
    /// `provider/model`, or an alias that the proxy resolves.
    pub model: String,
    /// The texts.
    pub input: Vec<String>,
    /// Length of the vectors, where the model offers several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// Provider-namespaced options.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
    /// How the call is made; never part of the body.
    #[serde(skip)]
    pub options: CallOptions,
}

impl EmbedRequest {
    /// Asks for vectors of texts.
    pub fn new<S: Into<String>>(
        model: impl Into<String>,
        input: impl IntoIterator<Item = S>,
    ) -> Self {
        let input = input.into_iter().map(Into::into).collect();
        Self { model: model.into(), input, ..Self::default() }
    }
}

/// One vector per text, in the order of the texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbedResponse {
    /// The vectors.
    pub vectors: Vec<Vec<f32>>,
    /// What was used.
    pub usage: Usage,
    /// Model id as the provider calls it.
    pub model: String,
    /// What Tollgate charged; absent when a provider was called directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}
