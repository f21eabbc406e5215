//! A provider that remembers what the one behind it answered.

use futures_util::StreamExt;
use std::sync::{Arc, Mutex};
use tollgate_types::{
    BoxFuture, EventStream, Fold, GenerateRequest, GenerateResponse, Provider, Result,
};

#[derive(Clone)]
pub(crate) struct Witness {
    behind: Arc<dyn Provider>,
    answers: Arc<Mutex<Vec<GenerateResponse>>>,
}

impl Witness {
    pub(crate) fn of(behind: Arc<dyn Provider>) -> Arc<Self> {
        Arc::new(Self { behind, answers: Arc::default() })
    }

    pub(crate) fn answers(&self) -> Vec<GenerateResponse> {
        self.answers.lock().unwrap().clone()
    }
}

impl Provider for Witness {
    fn name(&self) -> &str {
        self.behind.name()
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        Box::pin(async move {
            let mut fold = Some(Fold::new());
            let answers = self.answers.clone();
            let events = self.behind.stream(request).await?.inspect(move |event| {
                let Some(so_far) = &mut fold else { return };
                so_far.push(event.clone().unwrap()).unwrap();
                if so_far.is_finished() {
                    let answer = fold.take().unwrap().finish().unwrap();
                    answers.lock().unwrap().push(answer);
                }
            });
            Ok(EventStream::new(events))
        })
    }

    fn generate(&self, request: GenerateRequest) -> BoxFuture<'_, Result<GenerateResponse>> {
        Box::pin(async move {
            let answer = self.behind.generate(request).await?;
            self.answers.lock().unwrap().push(answer.clone());
            Ok(answer)
        })
    }
}
