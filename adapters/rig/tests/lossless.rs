//! What a provider said goes back as it said it, through rig's own history and its stored form.
#![cfg(test)]

use futures_util::StreamExt;
use rig_core::{
    completion::{CompletionRequest, CompletionResponse, ToolDefinition},
    message::{AssistantContent, Message as Turn, ToolName, ToolResultContent},
};
use serde_json::{Map, json};
use std::sync::{Arc, Mutex};
use tollgate_types::{
    BoxFuture, EventStream, Extras, FinishReason, GenerateRequest, GenerateResponse, Message,
    NativeItem, Origin, Part, Provider, Reasoning, Refusal, Result, Role, StreamEvent, ToolCall,
    Usage, events_of,
};

/// Arguments as only this model would write them.
const ODD: &str = "{ \"b\":1.0,\n\"a\": 1e2 }";

/// Answers everything alike, and remembers what it was asked.
struct Scripted {
    events: Vec<StreamEvent>,
    asked: Mutex<Vec<GenerateRequest>>,
}

impl Provider for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        self.asked.lock().unwrap().push(request);
        let events = self.events.clone();
        Box::pin(async move { Ok(EventStream::of_events(events)) })
    }
}

fn own(field: &str) -> Extras {
    Extras::from([("vendor".to_owned(), Map::from_iter([(field.to_owned(), json!([1, 2]))]))])
}

fn parts() -> Vec<Part> {
    vec![
        Part::Reasoning(Reasoning {
            text: "hm".into(),
            signature: Some("s1g".into()),
            ..Reasoning::default()
        }),
        Part::Reasoning(Reasoning { encrypted: Some("sealed".into()), ..Reasoning::default() }),
        Part::Reasoning(Reasoning { signature: Some("s2g".into()), ..Reasoning::default() }),
        Part::Text(tollgate_types::Text {
            text: "Let me see.".into(),
            extras: own("id"),
            ..Default::default()
        }),
        Part::ToolCall(ToolCall {
            id: "c1".into(),
            name: "add".into(),
            arguments: ODD.into(),
            extras: own("thought"),
            ..ToolCall::default()
        }),
        Part::ToolCall(ToolCall {
            id: "h1".into(),
            name: "search".into(),
            arguments: "{}".into(),
            hosted: true,
            ..ToolCall::default()
        }),
        Part::tool_call("c2", "add", "{\"a\": "),
        Part::Native(NativeItem { api: "vendor.api".into(), item: json!({"k": [1.0, null]}) }),
        Part::Refusal(Refusal { text: "No more.".into(), ..Refusal::default() }),
    ]
}

fn origin() -> Origin {
    Origin { api: "vendor.api".into(), model: "m-1".into(), ..Origin::default() }
}

/// The answer as a stream: everything that grows comes in two pieces.
fn events() -> Vec<StreamEvent> {
    let whole = events_of(GenerateResponse {
        content: parts(),
        finish: FinishReason::ToolCalls.into(),
        usage: Usage::tokens(5, 7),
        origin: origin(),
        warnings: vec![],
        extras: Extras::new(),
        receipt: None,
    });
    let mut events = Vec::new();
    for event in whole {
        let StreamEvent::PartStart { index, mut part } = event else {
            events.push(event);
            continue;
        };
        let text = part.growing().map(std::mem::take).unwrap_or_default();
        events.push(StreamEvent::PartStart { index, part });
        let (head, tail) = text.split_at(text.len() / 2);
        events.extend(
            [head, tail].map(|piece| StreamEvent::delta(index, piece)).into_iter().filter(
                |event| matches!(event, StreamEvent::PartDelta { delta, .. } if !delta.is_empty()),
            ),
        );
    }
    events
}

fn scripted(events: Vec<StreamEvent>) -> Arc<Scripted> {
    Arc::new(Scripted { events, asked: Mutex::default() })
}

/// A request that declares the tool: rig sends the calls of others as text.
fn request(history: Vec<Turn>) -> CompletionRequest {
    let mut request = CompletionRequest::new("go");
    request.chat_history = history;
    let name = ToolName::new("add").unwrap();
    request.tools = vec![ToolDefinition::new(name, "Adds.", json!({"type": "object"}))];
    request
}

async fn first(provider: &Arc<Scripted>, streamed: bool) -> CompletionResponse {
    let model = tollgate_rig::model(provider.clone(), "m");
    let asked = request(vec![Turn::user("go")]);
    if !streamed {
        return model.call(asked).await.unwrap();
    }
    let mut events = model.stream(asked).unwrap();
    while let Some(event) = events.next().await {
        event.unwrap();
    }
    events.finish().await.unwrap()
}

/// What the provider is asked after the history was stored, changed, and read again.
async fn second(streamed: bool, change: impl Fn(&mut Vec<AssistantContent>)) -> Vec<Message> {
    let provider = scripted(events());
    let response = first(&provider, streamed).await;
    let mut history = vec![Turn::user("go")];
    history.extend(response.message());
    let results = response.tool_calls().map(|call| call.result(vec![ToolResultContent::text("2")]));
    history.push(Turn::tool_results(results.collect()));
    let Some(Turn::Assistant(turn)) = history.get_mut(1) else { panic!("{history:?}") };
    change(&mut turn.content);
    let stored = serde_json::to_string(&history).unwrap();
    let model = tollgate_rig::model(provider.clone(), "m");
    model.call(request(serde_json::from_str(&stored).unwrap())).await.unwrap();
    provider.asked.lock().unwrap().pop().unwrap().messages
}

#[tokio::test]
async fn the_second_turn_has_every_part_as_the_provider_made_it() {
    for streamed in [false, true] {
        let messages = second(streamed, |_| ()).await;
        assert_eq!(messages[1].content, parts(), "streamed: {streamed}");
        assert_eq!(messages[1].origin, Some(origin()));
        let roles: Vec<_> = messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Tool]);
        let ids: Vec<_> = messages[2..].iter().flat_map(|m| &m.content).collect();
        for (part, id) in ids.iter().zip(["c1", "c2"]) {
            let Part::ToolResult(result) = part else { panic!("{part:?}") };
            assert_eq!((result.call_id.as_str(), result.name.as_deref()), (id, Some("add")));
        }
    }
}

#[tokio::test]
async fn a_block_that_somebody_changed_goes_back_as_changed_and_the_others_as_they_were() {
    let messages = second(true, |content| {
        for block in content {
            if let AssistantContent::Text(text) = block
                && text.text == "Let me see."
            {
                text.text = "Let me look.".to_owned();
            }
        }
    })
    .await;
    let mut expected = parts();
    expected[3] = Part::text("Let me look.");
    assert_eq!(messages[1].content, expected);
}

#[tokio::test]
async fn rig_sees_calls_text_and_thoughts() {
    for streamed in [false, true] {
        let response = first(&scripted(events()), streamed).await;
        assert_eq!(response.text(), "Let me see.No more.");
        assert_eq!(response.reasoning(), "hm");
        let calls: Vec<_> = response.tool_calls().collect();
        assert_eq!(calls[0].function.arguments_value(), json!({"b": 1.0, "a": 100.0}));
        assert_eq!(calls[1].function.invalid_arguments.as_deref(), Some("{\"a\": "));
        assert_eq!(calls.len(), 2, "the provider ran the hosted one itself");
        assert_eq!(tollgate_rig::answer(&response).unwrap().content, parts());
    }
}

#[tokio::test]
async fn what_was_shown_is_not_taken_back() {
    let mut anew = events();
    let start = anew[0].clone();
    anew.insert(5, start);
    let model = tollgate_rig::model(scripted(anew), "m");
    let mut events = model.stream(request(vec![Turn::user("go")])).unwrap();
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    let error = last.unwrap().unwrap_err().to_string();
    assert!(error.contains("anew"), "{error}");
}
