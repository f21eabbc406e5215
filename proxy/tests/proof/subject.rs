//! The mock upstream as what stands behind a provider under test.

use crate::{place::FALLBACK, vendor::Vendor};
use std::{sync::Arc, time::Duration};
use tollgate_bench::Mock;
use tollgate_types::{
    BoxFuture, EmbedRequest, GenerateRequest, GenerateResponse, Message, OutputFormat, Part,
    Provider,
    testing::{Break, Scene, Subject, forget},
};

/// A provider whose model is the mock's.
pub struct Scripted<'m> {
    pub mock: &'m Mock,
    pub provider: Arc<dyn Provider>,
    pub model: Model,
}

/// How the mock's model is named.
#[derive(Clone, Copy, Debug)]
pub enum Model {
    /// As the vendor names it.
    Of(Vendor),
    /// As the server names it.
    Behind(Vendor),
    /// By an alias: what it does is told in the question.
    Alias,
}

impl Model {
    fn named(self, script: &str) -> String {
        match self {
            Self::Of(_) => format!("mock-{script}"),
            Self::Behind(vendor) => format!("{}/mock-{script}", vendor.name()),
            Self::Alias => FALLBACK.to_owned(),
        }
    }

    /// Of an alias, only the first target is asked for vectors, and that is not there.
    fn has_vectors(self) -> bool {
        match self {
            Self::Of(vendor) | Self::Behind(vendor) => vendor != Vendor::Anthropic,
            Self::Alias => false,
        }
    }
}

/// The mock's words for a scene.
fn script(scene: &Scene) -> Option<String> {
    let words = match scene {
        Scene::Text | Scene::Lacking => "tokens=5".to_owned(),
        Scene::Says(_) => "echo".to_owned(),
        Scene::Thinks => "think=4,tokens=3".to_owned(),
        Scene::Length => "tokens=6,length".to_owned(),
        Scene::Calls(times) => format!("tools={times},preface=2,fill"),
        Scene::Agent => "tool,once,fill".to_owned(),
        Scene::Slow => "tokens=4000,delay=10".to_owned(),
        Scene::Silent => "headers_delay=600000".to_owned(),
        Scene::Stalls => "tokens=20,stall=9".to_owned(),
        Scene::Refused(status @ (429 | 503)) => {
            format!("status={status},retry_after={}", Scene::RETRY_AFTER.as_secs())
        }
        Scene::Refused(status) => format!("status={status}"),
        Scene::Breaks(Break::Cut) => "tokens=20,cut=9".to_owned(),
        Scene::Breaks(Break::Reset) => "tokens=20,reset=9".to_owned(),
        Scene::Breaks(Break::Malformed) => "tokens=20,malformed=9".to_owned(),
        Scene::Breaks(Break::Told) => "tokens=20,error=9".to_owned(),
        Scene::News => "tokens=5,news".to_owned(),
        _ => return None,
    };
    Some(words)
}

impl Subject for Scripted<'_> {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn request(&self, scene: &Scene) -> Option<GenerateRequest> {
        let script = script(scene)?;
        let text = match scene {
            Scene::Says(text) => text.clone(),
            _ if matches!(self.model, Model::Alias) => format!("go on [[mock status= {script}]]"),
            _ => "go on".to_owned(),
        };
        let mut request =
            GenerateRequest::new(self.model.named(&script), vec![Message::user(text)]);
        match scene {
            Scene::Calls(_) | Scene::Agent => request.tools = vec![Scene::tool()],
            Scene::Lacking => {
                let (syntax, grammar) = ("gbnf".to_owned(), "root ::= \"a\"".to_owned());
                request.output = Some(OutputFormat::Grammar { syntax, grammar });
            }
            _ => {}
        }
        Some(request)
    }

    fn embed_request(&self) -> Option<EmbedRequest> {
        let texts = ["one", "two words"];
        self.model.has_vectors().then(|| EmbedRequest::new(self.model.named("echo"), texts))
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    /// In a stream, Gemini signs a text in an empty one behind it.
    fn forget(&self, answer: &mut GenerateResponse) {
        forget(answer);
        let mut parts: Vec<Part> = Vec::new();
        for part in answer.content.drain(..) {
            match (parts.last_mut(), part) {
                (Some(Part::Text(said)), Part::Text(sign)) if sign.text.is_empty() => {
                    said.extras.extend(sign.extras);
                }
                (_, part) => parts.push(part),
            }
        }
        answer.content = parts;
    }

    fn at_work(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.mock.works(|count| count > 0, Duration::MAX).await;
        })
    }

    fn at_rest(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.mock.works(|count| count == 0, Duration::MAX).await;
        })
    }
}
