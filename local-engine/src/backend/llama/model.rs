//! The vocabulary, the chat template and the grammars of one model.

use super::grammar::LlamaGrammar;
use crate::{
    backend::{BackendError, Grammar, GrammarSource, Model, Token},
    chat::template::TemplateSource,
};
use llama_cpp_2::{
    json_schema_to_grammar, model::LlamaModel, token::LlamaToken, token_type::LlamaTokenAttr,
};
use std::sync::Arc;

/// Tags that the engine reads itself, so it must see them even where they are control tokens.
const TAGS: [&str; 2] = ["<tool_call>", "</tool_call>"];

/// The words of one model.
pub(super) struct LlamaWords {
    model: Arc<LlamaModel>,
    tags: Vec<LlamaToken>,
}

impl LlamaWords {
    pub(super) fn new(model: Arc<LlamaModel>) -> Self {
        let vocab = model.vocab();
        let one = |tag: &str| match vocab.tokenize(tag.as_bytes(), false, true).as_slice() {
            [token] => Some(*token),
            _ => None,
        };
        let tags = TAGS.into_iter().filter_map(one).collect();
        Self { model, tags }
    }

    pub(super) fn llama(&self) -> &LlamaModel {
        &self.model
    }

    /// The chat template in the model file.
    pub(super) fn template(&self) -> Option<TemplateSource> {
        let text = self.model.chat_template(None).ok()?.to_string().ok()?;
        let vocab = self.model.vocab();
        Some(TemplateSource {
            text,
            bos: self.special(vocab.bos()),
            eos: self.special(vocab.eos()),
        })
    }

    /// The texts that the tokenizer turns into control tokens wherever it meets them.
    pub(super) fn control_texts(&self) -> Vec<String> {
        let vocab = self.model.vocab();
        let control = vocab.tokens().filter(|token| {
            let attributes = vocab.attr(*token);
            attributes.contains(LlamaTokenAttr::Control)
                || attributes.contains(LlamaTokenAttr::Unknown)
        });
        control.map(|token| self.special(token)).filter(|text| !text.is_empty()).collect()
    }

    fn special(&self, token: LlamaToken) -> String {
        if !self.knows(token) {
            return String::new();
        }
        let bytes = self.model.vocab().token_to_piece(token, true, None);
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// Asking llama.cpp about a token outside the vocabulary ends the process.
    fn knows(&self, token: LlamaToken) -> bool {
        (0..self.model.n_vocab()).contains(&token.0)
    }
}

impl Model for LlamaWords {
    fn tokenize(&self, text: &str) -> Vec<Token> {
        let tokens = self.model.vocab().tokenize(text.as_bytes(), false, true);
        tokens.into_iter().map(|token| token.0).collect()
    }

    fn bos(&self) -> Option<Token> {
        let vocab = self.model.vocab();
        (vocab.should_add_bos() && self.knows(vocab.bos())).then(|| vocab.bos().0)
    }

    fn piece(&self, token: Token) -> Vec<u8> {
        let token = LlamaToken(token);
        if !self.knows(token) {
            return Vec::new();
        }
        self.model.vocab().token_to_piece(token, self.tags.contains(&token), None)
    }

    fn is_end(&self, token: Token) -> bool {
        let token = LlamaToken(token);
        self.knows(token) && self.model.vocab().is_eog(token)
    }

    fn grammar(&self, source: &GrammarSource) -> Result<Box<dyn Grammar>, BackendError> {
        let gbnf = match source {
            GrammarSource::Gbnf(text) => text.clone(),
            GrammarSource::Schema(schema) => {
                json_schema_to_grammar(&schema.to_string()).map_err(|_| {
                    BackendError("the schema uses something that has no grammar".into())
                })?
            }
        };
        Ok(Box::new(LlamaGrammar::new(self.model.clone(), &gbnf)?))
    }
}
