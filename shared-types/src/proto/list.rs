//! Models that can be asked for.

use super::{field::all, v1};
use crate::{Capability, Feature, LongPrice, ModelInfo, ModelPrice};
use v1::model_price::Long;

impl From<ModelInfo> for v1::Model {
    fn from(info: ModelInfo) -> Self {
        let words = info.capabilities.iter().map(|capability| capability.as_str().to_owned());
        Self {
            id: info.id,
            provider: info.provider,
            aliases: info.aliases,
            context_window: info.context_window,
            max_output_tokens: info.max_output_tokens,
            features: info.features.iter().map(|feature| feature.as_str().to_owned()).collect(),
            capabilities: words.collect(),
            price: info.price.map(Into::into),
        }
    }
}

/// Words of a newer server are left out, so that its lists can be read.
impl From<v1::Model> for ModelInfo {
    fn from(model: v1::Model) -> Self {
        let known = |word: &String| Capability::ALL.into_iter().find(|it| it.as_str() == word);
        Self {
            id: model.id,
            provider: model.provider,
            aliases: model.aliases,
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
            features: model
                .features
                .iter()
                .filter_map(|word| word.parse::<Feature>().ok())
                .collect(),
            capabilities: model.capabilities.iter().filter_map(known).collect(),
            price: model.price.map(Into::into),
        }
    }
}

impl From<ModelPrice> for v1::ModelPrice {
    fn from(price: ModelPrice) -> Self {
        let long = price.long_context.map(|long| {
            let LongPrice { above, input, cache_read, output } = long;
            Long { above, input, cache_read, output }
        });
        Self {
            input: price.input,
            cache_read: price.cache_read,
            cache_write_5m: price.cache_write_5m,
            cache_write_1h: price.cache_write_1h,
            output: price.output,
            long_context: long,
            as_of: price.as_of,
            source: price.source,
        }
    }
}

impl From<v1::ModelPrice> for ModelPrice {
    fn from(price: v1::ModelPrice) -> Self {
        let long = price.long_context.map(|long| {
            let Long { above, input, cache_read, output } = long;
            LongPrice { above, input, cache_read, output }
        });
        Self {
            input: price.input,
            cache_read: price.cache_read,
            cache_write_5m: price.cache_write_5m,
            cache_write_1h: price.cache_write_1h,
            output: price.output,
            long_context: long,
            as_of: price.as_of,
            source: price.source,
        }
    }
}

impl From<Vec<ModelInfo>> for v1::ListModelsResponse {
    fn from(models: Vec<ModelInfo>) -> Self {
        Self { models: all(models) }
    }
}

impl From<v1::ListModelsResponse> for Vec<ModelInfo> {
    fn from(list: v1::ListModelsResponse) -> Self {
        all(list.models)
    }
}
