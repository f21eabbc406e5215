//! OpenAI's Responses API.

use serde_json::{Value, json};

use crate::wire::{joined, mock, post, schema};

const PATH: &str = "/v1/responses";

fn ask(model: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "stream": stream,
        "instructions": "be kind",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "one two"}]}],
        "include": ["reasoning.encrypted_content"],
        "tools": [{"type": "function", "name": "add", "parameters": schema()}],
    })
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_stream_of_text_has_the_real_order() {
    let mock = mock().await;
    let answer = post(&mock, PATH, &ask("mock-echo", true)).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = answer.events();
    let order = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds(&events), order);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    assert_eq!(joined(&events, "/delta"), "one two");
    let whole = post(&mock, PATH, &ask("mock-echo", false)).await.json();
    assert_eq!(events.last().unwrap()["response"], whole);
    assert_eq!(whole["output"][0]["content"][0]["text"], "one two");
    assert_eq!(whole["instructions"], "be kind");
    assert_eq!(
        (&whole["usage"]["input_tokens"], &whole["usage"]["output_tokens"]),
        (&json!(4), &json!(2))
    );
}

#[tokio::test]
async fn items_that_were_added_are_done_and_are_in_the_end() {
    let mock = mock().await;
    let words = "mock-think=3,tools=2,preface=2,cached=5";
    let events = post(&mock, PATH, &ask(words, true)).await.events();
    let whole = post(&mock, PATH, &ask(words, false)).await.json();
    assert_eq!(events.last().unwrap()["response"], whole);
    let output = whole["output"].as_array().unwrap();
    let types: Vec<&str> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["reasoning", "message", "function_call", "function_call"]);
    for (index, item) in output.iter().enumerate() {
        let mine: Vec<&Value> =
            events.iter().filter(|event| event["output_index"] == index).collect();
        assert_eq!(mine[0]["type"], "response.output_item.added");
        assert_eq!((&mine[0]["item"]["id"], &mine.last().unwrap()["item"]), (&item["id"], item));
        assert!(mine[1..mine.len() - 1].iter().all(|event| event["item_id"] == item["id"]));
        let text = joined(mine.iter().copied(), "/delta");
        let expected = match index {
            0 => item["summary"][0]["text"].as_str(),
            1 => item["content"][0]["text"].as_str(),
            _ => item["arguments"].as_str(),
        };
        assert_eq!(Some(text.as_str()), expected);
    }
    assert!(output[0]["encrypted_content"].is_string());
    assert_eq!(
        serde_json::from_str::<Value>(output[2]["arguments"].as_str().unwrap()).unwrap(),
        schema()
    );
    assert_eq!(whole["usage"]["input_tokens_details"]["cached_tokens"], 5);
    assert_eq!(whole["usage"]["output_tokens_details"]["reasoning_tokens"], 3);
}

#[tokio::test]
async fn reasoning_is_sealed_only_where_asked() {
    let mock = mock().await;
    let body = json!({"model": "mock-think=2,hidden", "input": "hi"});
    let whole = post(&mock, PATH, &body).await.json();
    assert_eq!(whole["output"][0], json!({"id": "rs_mock", "type": "reasoning", "summary": []}));
    assert_eq!(whole["usage"]["output_tokens"], 3);
}

#[tokio::test]
async fn endings_have_their_events() {
    let mock = mock().await;
    for (word, reason) in [("length", "max_output_tokens"), ("safety", "content_filter")] {
        let events = post(&mock, PATH, &ask(&format!("mock-{word}"), true)).await.events();
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.incomplete");
        assert_eq!(last["response"]["status"], "incomplete");
        assert_eq!(last["response"]["incomplete_details"]["reason"], reason);
    }
    let events = post(&mock, PATH, &ask("mock-refusal", true)).await.events();
    let told: Vec<&Value> =
        events.iter().filter(|event| event["type"] == "response.refusal.delta").collect();
    assert_eq!(joined(told, "/delta"), "one two");
    let last = events.last().unwrap();
    assert_eq!(last["response"]["output"][0]["content"][0]["type"], "refusal");
    let unfinished = post(&mock, PATH, &ask("mock-nodone", true)).await.events();
    assert_eq!(unfinished.last().unwrap()["type"], "response.output_item.done");
}

#[tokio::test]
async fn an_error_in_a_stream_is_told_twice() {
    let mock = mock().await;
    let answer = post(&mock, PATH, &ask("mock-error=5,status=429", true)).await;
    let events = answer.events();
    assert_eq!((answer.status, answer.whole, events.len()), (200, true, 7));
    assert_eq!(kinds(&events)[5..], ["error", "response.failed"]);
    assert_eq!(events[5]["error"]["code"], "rate_limit_exceeded");
    assert_eq!(events[6]["response"]["status"], "failed");
    assert_eq!(events[6]["response"]["error"]["code"], "rate_limit_exceeded");
    assert_eq!(events[6]["sequence_number"], 6);
}

#[tokio::test]
async fn failures_are_openais() {
    let mock = mock().await;
    let answer = post(&mock, PATH, &ask("mock-status=404,limits", true)).await;
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (404, Some("model_not_found"))
    );
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), Some("1000"));
}
