//! How one model is loaded.

use std::path::PathBuf;

/// How one model is loaded. Start with [`LoadOptions::new`] and change what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// The id under which the model is asked for.
    pub model: String,
    /// The GGUF file.
    pub path: PathBuf,
    /// Cells of the KV cache, one per token, shared by all running requests. One request may use
    /// up to this many or what the model was trained for, whichever is less.
    pub context: u32,
    /// The most requests that run at once (1 to 256).
    pub parallel: u32,
    /// Threads that compute. Absent: one less than the cores this process may use, at least one,
    /// because spinning on every core starves the proxy beside it.
    pub threads: Option<u32>,
    /// How many layers go to a GPU.
    pub gpu_layers: GpuLayers,
    /// Output limit of a request that names none. Absent: a quarter of `context`.
    pub max_output: Option<u32>,
    /// Requests that may wait for a place; one more is refused as overloaded.
    pub queue: u32,
    /// Whether clients may send grammars of their own.
    pub grammars: Grammars,
}

/// Whether clients may send grammars in llama.cpp's notation (GBNF). JSON schemas are always
/// possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grammars {
    /// They are answered as unsupported.
    #[default]
    Refused,
    /// They are used, within limits of size and depth. Only for callers you trust: an ambiguous
    /// grammar of one line keeps the model busy for days, for everybody.
    Trusted,
}

/// How many layers of a model go to a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GpuLayers {
    /// llama.cpp decides: as many as fit, none without a GPU.
    #[default]
    Auto,
    /// This many; 0 keeps the model on the CPU.
    Count(u32),
}

impl LoadOptions {
    /// A model with 8192 cells, 4 places and 64 waiting requests.
    pub fn new(model: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            path: path.into(),
            context: 8192,
            parallel: 4,
            threads: None,
            gpu_layers: GpuLayers::Auto,
            max_output: None,
            queue: 64,
            grammars: Grammars::Refused,
        }
    }

    /// Output limit of a request that names none.
    pub(crate) fn default_output(&self) -> u32 {
        self.max_output.unwrap_or(self.context / 4).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_take_a_quarter_of_the_context_unless_told_otherwise() {
        let mut options = LoadOptions::new("m", "m.gguf");
        assert_eq!(options.default_output(), 2048);
        options.max_output = Some(7);
        assert_eq!(options.default_output(), 7);
    }
}
