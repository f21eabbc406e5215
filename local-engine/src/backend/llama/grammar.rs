//! A llama.cpp grammar, used only through the calls that cannot throw.

use crate::backend::{BackendError, Grammar, Token};
use llama_cpp_2::{
    model::LlamaModel,
    sampling::LlamaSampler,
    token::{LlamaToken, data::LlamaTokenData, data_array::LlamaTokenDataArray},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A check takes milliseconds. One that takes this long belongs to an ambiguous grammar, which
/// would hold up everybody at every token: its request ends with this one.
const SLOWEST: Duration = Duration::from_secs(1);

/// The state of one grammar. Field order matters: the sampler points into the model.
pub(super) struct LlamaGrammar {
    sampler: LlamaSampler,
    /// It was too slow, or llama.cpp reported an error and would end the process if asked again.
    broken: bool,
    _model: Arc<LlamaModel>,
}

impl LlamaGrammar {
    /// Reads a grammar whose start is `root`.
    pub(super) fn new(model: Arc<LlamaModel>, gbnf: &str) -> Result<Self, BackendError> {
        let sampler = LlamaSampler::grammar(&model, gbnf, "root")
            .map_err(|error| BackendError(error.to_string()))?;
        Ok(Self { sampler, broken: false, _model: model })
    }
}

impl Grammar for LlamaGrammar {
    fn allowed(&mut self, tokens: &[Token]) -> Vec<bool> {
        if self.broken {
            return vec![false; tokens.len()];
        }
        let candidates =
            tokens.iter().map(|token| LlamaTokenData::new(LlamaToken(*token), 0.0, 0.0));
        let mut array = LlamaTokenDataArray::new(candidates.collect(), false);
        let start = Instant::now();
        self.sampler.apply(&mut array);
        self.broken |= start.elapsed() > SLOWEST;
        array.data.iter().map(|candidate| candidate.logit() == 0.0).collect()
    }

    fn accept(&mut self, token: Token) -> Result<(), BackendError> {
        if self.broken {
            return Err(BackendError("the grammar takes too long to check".to_owned()));
        }
        let start = Instant::now();
        let accepted = self.sampler.try_accept(LlamaToken(token));
        self.broken = accepted.is_err() || start.elapsed() > SLOWEST;
        accepted.map_err(|error| BackendError(error.to_string()))
    }
}
