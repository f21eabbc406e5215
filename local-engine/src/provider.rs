//! Local models as a [`Provider`].

use crate::{
    LoadError, LoadOptions,
    answer::{Answer, Parts, gone},
    ask::{self, Asked, Terms},
    backend::{GrammarSource, Model, Token},
    chat::Chat,
    engine::{Engine, EngineStats, Job, Refused},
    sampler::Sampler,
    text::Assembler,
};
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};
use tollgate_types::{
    BoxFuture, Error, ErrorKind, EventStream, Feature, GenerateRequest, ModelInfo, Origin,
    Provider, Result, Warning,
};

/// How long a caller shall wait when too many wait already. About one short answer.
const RETRY_AFTER_MS: u64 = 1000;

/// Models that run in this process, by llama.cpp. Cheap to clone; dropping the last clone ends
/// the threads of its models, which may take one step of computing, and the answers that run.
///
/// * Every request computes its whole prompt in a sequence of its own: no prefix is shared between
///   requests, so an answer does not depend on what was asked before.
/// * Needs a tokio runtime: what is heavy before the queue runs on its blocking threads.
#[derive(Clone)]
pub struct LocalProvider(Arc<Inner>);

struct Inner {
    name: String,
    models: Vec<Loaded>,
}

/// A model that is ready to answer.
pub(crate) struct Loaded {
    pub(crate) id: String,
    pub(crate) terms: Terms,
    pub(crate) speaker: Arc<Speaker>,
    pub(crate) engine: Engine,
}

/// What turns requests into tokens.
pub(crate) struct Speaker {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) chat: Chat,
}

/// A request whose heavy work is done.
struct Prepared {
    prompt: Vec<Token>,
    max_output: usize,
    sampler: Sampler,
    asked: Asked,
}

impl LocalProvider {
    /// Loads models. Blocks for seconds: call it on a thread that may block.
    ///
    /// # Errors
    /// When a file is missing, unreadable, no GGUF model or corrupt, when an option is out of
    /// range, and when memory does not suffice.
    pub fn load(name: &str, models: Vec<LoadOptions>) -> Result<Self, LoadError> {
        let mut loaded: Vec<Loaded> = Vec::new();
        for options in models {
            if loaded.iter().any(|other| other.id == options.model) {
                let LoadOptions { model, path, .. } = options;
                return Err(LoadError::Duplicate { model, path });
            }
            loaded.push(crate::load::load(&options)?);
        }
        Ok(Self::of(name, loaded))
    }

    pub(crate) fn of(name: &str, models: Vec<Loaded>) -> Self {
        Self(Arc::new(Inner { name: name.to_owned(), models }))
    }

    /// What the engine of a model has done so far and does now.
    pub fn stats(&self, model: &str) -> Option<EngineStats> {
        self.model(model).ok().map(|loaded| loaded.engine.stats())
    }

    /// Finds a model by its id, with or without the provider's name in front.
    fn model(&self, id: &str) -> Result<&Loaded> {
        let own = id.strip_prefix(self.0.name.as_str()).and_then(|rest| rest.strip_prefix('/'));
        let found = self.0.models.iter().find(|model| model.id == id || Some(&*model.id) == own);
        found.ok_or_else(|| {
            let message = format!("no local model is called {id:?}");
            Error::new(ErrorKind::NotFound, message).with(|body| body.param = Some("model".into()))
        })
    }

    async fn open(&self, request: GenerateRequest) -> Result<EventStream> {
        let timeout = request.options.timeout;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let model = self.model(&request.model)?;
        model.engine.refuses().map_or(Ok(()), |refused| Err(refusal(refused)))?;
        let parallel = request.parallel_tool_calls;
        let prepared = model.prepare(request).await?;
        let Prepared { prompt, max_output, sampler, asked } = prepared;
        let (outputs, receiver) = Job::channel(max_output);
        let cancelled = Arc::new(AtomicBool::new(false));
        let text = Assembler::new(asked.stop);
        let job = Job {
            prompt,
            max_output,
            sampler,
            text,
            deadline,
            outputs,
            cancelled: cancelled.clone(),
        };
        model.engine.submit(job).map_err(refusal)?;
        let origin = Origin {
            api: "llama".into(),
            provider: self.0.name.clone(),
            model: model.id.clone(),
            response_id: None,
        };
        let parts = Parts::new(asked.offer.reading, asked.offer.names(), parallel);
        let answer = Answer::new(receiver, cancelled, parts, (origin, asked.warnings));
        Ok(EventStream::from_source(answer))
    }

    fn named(&self, error: Error) -> Error {
        error.with(|body| body.provider = Some(self.0.name.clone()))
    }
}

impl Provider for LocalProvider {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        Box::pin(async move { self.open(request).await.map_err(|error| self.named(error)) })
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<ModelInfo>>> {
        let list = self.0.models.iter().map(|model| ModelInfo {
            id: model.id.clone(),
            provider: Some(self.0.name.clone()),
            context_window: Some(model.terms.limit),
            max_output_tokens: Some(model.terms.limit),
            features: vec![Feature::Chat, Feature::Stream, Feature::Tools],
            ..ModelInfo::default()
        });
        Box::pin(std::future::ready(Ok(list.collect())))
    }

    fn count_tokens(&self, request: GenerateRequest) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let counted = match self.model(&request.model) {
                Ok(model) => model.count(request).await,
                Err(error) => Err(error),
            };
            counted.map_err(|error| self.named(error))
        })
    }
}

impl Loaded {
    async fn prepare(&self, request: GenerateRequest) -> Result<Prepared> {
        let (speaker, terms) = (self.speaker.clone(), self.terms);
        blocking(move || {
            let mut asked = ask::check(&request, terms)?;
            let prompt = speaker.prompt(&request, &asked)?;
            if prompt.is_empty() {
                let message = "the model's template makes an empty prompt of these messages";
                return Err(Error::invalid("messages", message));
            }
            let max_output = fit(&mut asked, prompt.len(), terms)?;
            let grammar = asked.grammar.as_ref().map(|source| speaker.grammar(source, &asked));
            let sampler = Sampler::new(asked.choice, grammar.transpose()?);
            Ok(Prepared { prompt, max_output, sampler, asked })
        })
        .await
    }

    async fn count(&self, request: GenerateRequest) -> Result<u64> {
        let (speaker, terms) = (self.speaker.clone(), self.terms);
        blocking(move || {
            let asked = ask::check(&request, terms)?;
            Ok(speaker.prompt(&request, &asked)?.len() as u64)
        })
        .await
    }
}

impl Speaker {
    fn prompt(&self, request: &GenerateRequest, asked: &Asked) -> Result<Vec<Token>> {
        self.chat.prompt(&*self.model, &request.messages, &asked.offer.tools())
    }

    /// Builds a grammar; when that of a forced call fails, finds the tool that is at fault.
    fn grammar(
        &self,
        source: &GrammarSource,
        asked: &Asked,
    ) -> Result<Box<dyn crate::backend::Grammar>> {
        let cause = match self.model.grammar(source) {
            Ok(grammar) => return Ok(grammar),
            Err(cause) => cause,
        };
        let culprit = asked.offer.schemas().find(|(_, schema)| {
            asked.grammar_param == "tools"
                && self.model.grammar(&GrammarSource::Schema(schema.clone())).is_err()
        });
        let param = culprit.map_or_else(|| asked.grammar_param.clone(), |(param, _)| param);
        let message = format!("{param} cannot be made into a grammar: {cause}");
        Err(Error::invalid(param, message))
    }
}

/// The output limit: what was asked for, as far as it fits behind the prompt.
fn fit(asked: &mut Asked, prompt: usize, terms: Terms) -> Result<usize> {
    let Terms { limit, default_output, .. } = terms;
    let room = (limit as usize).saturating_sub(prompt);
    if room == 0 {
        let message = format!(
            "the prompt has {prompt} tokens, which leaves no room for an answer in the model's \
             {limit}"
        );
        return Err(Error::new(ErrorKind::ContextLength, message)
            .with(|body| body.param = Some("messages".into())));
    }
    let Some(wanted) = asked.max_output else { return Ok(room.min(default_output as usize)) };
    if wanted as usize > room {
        asked.warnings.push(Warning {
            code: "max_output_clamped".into(),
            message: format!("{room} instead of {wanted} tokens fit behind the prompt"),
            param: Some("sampling.max_output_tokens".into()),
        });
    }
    Ok(room.min(wanted as usize))
}

fn refusal(refused: Refused) -> Error {
    match refused {
        Refused::Closed => gone(),
        Refused::Full => Error::new(ErrorKind::Overloaded, "too many requests wait for this model")
            .with(|body| body.retry_after_ms = Some(RETRY_AFTER_MS)),
    }
}

/// Runs heavy work where it may block. A panic in it is an error of this request only.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let broken = |error| {
        Error::new(ErrorKind::Internal, "the request could not be prepared").with_source(error)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(broken(error)))
}

#[cfg(test)]
mod tests;
