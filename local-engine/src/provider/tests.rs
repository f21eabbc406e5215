//! The provider on the fake backend: what is refused, what is warned of, what a cancel tells.

use super::*;
use crate::{
    Grammars,
    backend::fake::{FakeBackend, FakeModel, Stage},
    chat::{
        guard::Guard,
        template::{Template, TemplateSource},
    },
    engine::Room,
};
use tollgate_types::{Media, MediaSource, Message, OnUnsupported, OutputFormat, Part, Role, Tool};

/// A provider of one model, which repeats its prompt and has room for 40 tokens and one request.
fn provider(stage: &Arc<Stage>) -> LocalProvider {
    let text = "{% for m in messages %}{{ m.content }}{% endfor %}".to_owned();
    let source = TemplateSource { text, ..TemplateSource::chatml() };
    let template = Template::new(source, || jiff::Timestamp::UNIX_EPOCH).unwrap();
    let chat = Chat::new(template, Guard::new(vec![]));
    let stage = stage.clone();
    let engine = Engine::start("fake", Room { places: 1, queue: 0 }, move |worker| {
        worker.serve(&FakeModel, || FakeBackend::open(&stage, 40));
    });
    LocalProvider::of(
        "local",
        vec![Loaded {
            id: "echo".into(),
            terms: Terms { limit: 40, default_output: 10, grammars: Grammars::Refused },
            speaker: Arc::new(Speaker { model: Arc::new(FakeModel), chat }),
            engine: engine.unwrap(),
        }],
    )
}

fn ask(text: &str) -> GenerateRequest {
    let mut request = GenerateRequest::new("echo", vec![Message::user(text)]);
    request.sampling.temperature = Some(0.0);
    request
}

#[tokio::test]
async fn an_answer_comes_with_its_origin_and_usage() {
    let provider = provider(&Arc::default());
    let answer = provider.generate(ask("hello")).await.unwrap();
    assert_eq!(answer.text(), "hello");
    assert_eq!((answer.usage.input, answer.usage.output), (5, 6));
    assert_eq!((answer.origin.provider.as_str(), answer.origin.model.as_str()), ("local", "echo"));
}

#[tokio::test]
async fn a_full_queue_is_overloaded_and_says_when_to_come_back() {
    let stage = Arc::new(Stage::default());
    let provider = provider(&stage);
    stage.allow(0);
    let running = provider.stream(ask("a")).await.unwrap();
    let error = provider.stream(ask("b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.is_retryable() && error.retry_after().is_some());
    assert_eq!(error.body().provider.as_deref(), Some("local"));
    stage.open();
    assert_eq!(running.collect().await.unwrap().text(), "a");
}

#[tokio::test]
async fn a_cancelled_answer_tells_its_usage_even_when_it_has_ended() {
    let provider = provider(&Arc::default());
    let mut stream = provider.stream(ask("abc")).await.unwrap();
    while stream.next().await.is_some() {}
    let usage = stream.cancel().await.unwrap();
    assert_eq!((usage.input, usage.output), (3, 4));
}

#[tokio::test]
async fn a_prompt_that_leaves_no_room_is_too_long_and_too_much_output_is_cut() {
    let provider = provider(&Arc::default());
    let error = provider.stream(ask(&"x".repeat(40))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextLength);
    assert!(error.message().contains("40 tokens"), "{error}");
    let mut request = ask(&"x".repeat(35));
    request.sampling.max_output_tokens = Some(6);
    let answer = provider.generate(request).await.unwrap();
    assert_eq!((answer.usage.output, answer.warnings[0].code.as_str()), (5, "max_output_clamped"));
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_by_name_or_left_out_with_a_warning() {
    let provider = provider(&Arc::default());
    let image = Part::Media(Media {
        media_type: "image/png".into(),
        source: MediaSource::Url("https://example.org/a.png".into()),
        filename: None,
        transcript: None,
        extras: tollgate_types::Extras::new(),
    });
    let mut seen = ask("");
    seen.messages = vec![Message::new(Role::User, vec![Part::text("hi"), image])];
    let mut shaped = ask("hi");
    shaped.output =
        Some(OutputFormat::Grammar { syntax: "gbnf".into(), grammar: "root ::= \"a\"".into() });
    let mut both = ask("hi").tools(vec![Tool::function("t", "", serde_json::json!({}))]);
    both.output = Some(OutputFormat::Json);
    for (mut request, param) in
        [(seen, "messages[0].content[1]"), (shaped, "output"), (both, "output")]
    {
        let error = provider.stream(request.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.body().param.as_deref(), Some(param));
        request.on_unsupported = OnUnsupported::Warn;
        let warnings = provider.generate(request).await.map(|answer| answer.warnings);
        match warnings {
            Ok(warnings) => assert_eq!(warnings[0].param.as_deref(), Some(param)),
            // The text that describes the tools does not fit into the small context.
            Err(error) => assert_eq!(error.kind(), ErrorKind::ContextLength),
        }
    }
}
