//! llama.cpp behind the engine's traits. Everything that would end the process there is kept away
//! from it here: token ids outside the vocabulary, oversized batches, sampling through the FFI.

mod context;
mod grammar;
mod model;

use crate::{
    LoadError, LoadOptions,
    ask::Terms,
    backend::BackendError,
    chat::{
        Chat,
        guard::Guard,
        template::{Template, TemplateSource},
    },
    engine::{Engine, Room},
    options::GpuLayers,
    provider::{Loaded, Speaker},
};
use context::{LlamaSteps, Shape};
use llama_cpp_2::{
    LogOptions,
    llama_backend::LlamaBackend,
    model::{LlamaModel, params::LlamaModelParams},
    send_logs_to_tracing,
};
use model::LlamaWords;
use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

/// Prompt tokens of one step: on a CPU a step of 128 takes tenths of a second with a small model,
/// which bounds how long a cancelled request still computes; a GPU needs more to be busy.
const CPU_CHUNK: usize = 128;
const GPU_CHUNK: usize = 512;

/// Loads a model file that has been looked at, and starts its engine.
pub(crate) fn load(options: &LoadOptions) -> Result<Loaded, LoadError> {
    let backend = backend(&options.path)?;
    let params = match options.gpu_layers {
        GpuLayers::Auto => LlamaModelParams::default(),
        GpuLayers::Count(layers) => LlamaModelParams::default().with_n_gpu_layers(layers),
    };
    let model = LlamaModel::load_from_file(backend, &options.path, &params)
        .map_err(|_| LoadError::Corrupt { path: options.path.clone() })?;
    let trained = model.n_ctx_train().max(1);
    let words = Arc::new(LlamaWords::new(Arc::new(model)));
    let chat = chat(&words, &options.path)?;
    let shape = shape(backend, options, trained);
    let engine = start(backend, &words, shape, options)?;
    Ok(Loaded {
        id: options.model.clone(),
        terms: Terms {
            limit: shape.cells.min(trained),
            default_output: options.default_output(),
            grammars: options.grammars,
        },
        speaker: Arc::new(Speaker { model: words, chat }),
        engine,
    })
}

/// llama.cpp may be started once per process.
fn backend(path: &Path) -> Result<&'static LlamaBackend, LoadError> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    let backend = BACKEND.get_or_init(|| {
        send_logs_to_tracing(LogOptions::default());
        LlamaBackend::init().map_err(|error| error.to_string())
    });
    backend
        .as_ref()
        .map_err(|reason| LoadError::Backend { path: path.to_owned(), reason: reason.clone() })
}

fn chat(words: &LlamaWords, path: &Path) -> Result<Chat, LoadError> {
    let source = words.template().unwrap_or_else(|| {
        tracing::warn!(path = %path.display(), "the model has no chat template, ChatML is used");
        TemplateSource::chatml()
    });
    let template = Template::new(source, jiff::Timestamp::now).map_err(|error| {
        LoadError::Template { path: path.to_owned(), reason: error.to_string() }
    })?;
    Ok(Chat::new(template, Guard::new(words.control_texts())))
}

fn shape(backend: &LlamaBackend, options: &LoadOptions, trained: u32) -> Shape {
    let on_gpu = backend.supports_gpu_offload() && options.gpu_layers != GpuLayers::Count(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let spare = u32::try_from(cores.saturating_sub(1).max(1)).unwrap_or(1);
    Shape {
        // More than every place can use would be memory for nothing.
        cells: options.context.min(trained.saturating_mul(options.parallel)),
        places: options.parallel,
        threads: options.threads.unwrap_or(spare),
        chunk: if on_gpu { GPU_CHUNK } else { CPU_CHUNK },
    }
}

fn start(
    backend: &'static LlamaBackend,
    words: &Arc<LlamaWords>,
    shape: Shape,
    options: &LoadOptions,
) -> Result<Engine, LoadError> {
    let room = Room { places: shape.places as usize, queue: options.queue as usize };
    let words = words.clone();
    let work = move |worker: crate::engine::Worker| {
        worker.serve(&*words, || LlamaSteps::open(backend, words.llama(), shape));
    };
    Engine::start(&options.model, room, work).map_err(|BackendError(reason)| LoadError::Context {
        path: options.path.clone(),
        context: shape.cells,
        reason,
    })
}
