//! What the scheduler needs from a model library: llama.cpp, or a deterministic fake in tests.

use serde_json::Value;

#[cfg(feature = "llama")]
pub(crate) mod llama;
#[cfg(test)]
pub(crate) mod fake;

/// A token's number in the vocabulary.
pub(crate) type Token = i32;

/// One token to compute in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The sequence it belongs to, below the number of places.
    pub(crate) seq: usize,
    /// Its position in the sequence.
    pub(crate) position: usize,
    /// The token.
    pub(crate) token: Token,
    /// Whether the logits after it are wanted.
    pub(crate) wanted: bool,
}

/// The backend could not compute a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BackendError(pub(crate) String);

/// The part that computes. It lives and dies on the thread of its engine.
pub(crate) trait Backend {
    /// Cells of the KV cache, shared by all sequences.
    fn cells(&self) -> usize;

    /// The most prompt tokens to put into one step. Small steps keep cancellation quick.
    fn chunk(&self) -> usize;

    /// Computes one step.
    fn decode(&mut self, rows: &[Row]) -> Result<(), BackendError>;

    /// Logits after row number `row` of the last step; `None` unless they were wanted.
    fn logits(&self, row: usize) -> Option<&[f32]>;

    /// Frees every cell of a sequence.
    fn clear(&mut self, seq: usize);
}

/// The part that knows words: shared by all threads.
pub(crate) trait Model: Send + Sync + 'static {
    /// Splits text that the template wrote: control tokens are recognised.
    fn tokenize(&self, text: &str) -> Vec<Token>;

    /// The token that begins every prompt, where the model wants one.
    fn bos(&self) -> Option<Token>;

    /// The bytes of a token; empty for control tokens.
    fn piece(&self, token: Token) -> Vec<u8>;

    /// Whether the token ends an answer.
    fn is_end(&self, token: Token) -> bool;

    /// Reads a grammar. Heavy: call it on a thread that may block, after `crate::grammar` has
    /// checked the size and depth of what a client sent.
    fn grammar(&self, source: &GrammarSource) -> Result<Box<dyn Grammar>, BackendError>;
}

/// What an answer is held to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum GrammarSource {
    /// A JSON schema.
    Schema(Value),
    /// A grammar in llama.cpp's own notation.
    Gbnf(String),
}

/// The state of a grammar after the tokens accepted so far.
pub(crate) trait Grammar: Send {
    /// For each token, whether it may come next.
    fn allowed(&mut self, tokens: &[Token]) -> Vec<bool>;

    /// Moves on. Must not be called with an end token, nor again after an error.
    fn accept(&mut self, token: Token) -> Result<(), BackendError>;
}
