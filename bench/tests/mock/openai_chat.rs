//! OpenAI's chat completions.

use serde_json::{Value, json};

use crate::wire::{Answer, joined, mock, post, schema};

const PATH: &str = "/v1/chat/completions";

fn ask(model: &str) -> Value {
    let messages = json!([{"role": "user", "content": "one \"two\"\nthree"}]);
    let tool =
        |name| json!({"type": "function", "function": {"name": name, "parameters": schema()}});
    json!({"model": model, "messages": messages, "tools": [tool("add"), tool("sub")]})
}

fn streamed(model: &str) -> Value {
    let mut body = ask(model);
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    body
}

/// The chunks of a stream, each with its data as JSON, without the last sign.
fn chunks(answer: &Answer) -> Vec<Value> {
    let data = answer.data("\n\n").into_iter().filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn a_whole_answer_echoes_and_counts() {
    let mock = mock().await;
    let answer = post(&mock, PATH, &ask("mock-echo")).await;
    let json = answer.json();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(json["object"], "chat.completion");
    assert_eq!(json["choices"][0]["message"]["content"], "one \"two\"\nthree");
    assert_eq!(json["choices"][0]["finish_reason"], "stop");
    assert_eq!(json["usage"]["prompt_tokens"], 3);
    assert_eq!(json["usage"]["total_tokens"], 5);
}

#[tokio::test]
async fn a_stream_says_the_same_in_chunks() {
    let mock = mock().await;
    for model in ["mock-echo", "mock-tokens=5,think=3,cached=7", "mock-tools=2,preface=2"] {
        let whole = post(&mock, PATH, &ask(model)).await.json();
        let answer = post(&mock, PATH, &streamed(model)).await;
        assert!(answer.body.ends_with("data: [DONE]\n\n"));
        let chunks = chunks(&answer);
        let (last, deltas) = chunks.split_last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]));
        assert!(deltas.iter().all(|chunk| chunk["usage"].is_null()));
        let message = &whole["choices"][0]["message"];
        for field in ["content", "reasoning_content"] {
            let text = joined(deltas, &format!("/choices/0/delta/{field}"));
            assert_eq!(text, message[field].as_str().unwrap_or_default(), "{field}");
        }
        let finish = deltas.last().unwrap()["choices"][0]["finish_reason"].clone();
        assert_eq!(finish, whole["choices"][0]["finish_reason"]);
    }
}

#[tokio::test]
async fn parallel_calls_stream_their_arguments_by_index() {
    let mock = mock().await;
    let answer = post(&mock, PATH, &streamed("mock-tools=3")).await;
    let chunks = chunks(&answer);
    let calls: Vec<&Value> =
        chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0")).collect();
    for (index, name) in ["add", "sub", "add"].into_iter().enumerate() {
        let mine: Vec<&Value> =
            calls.iter().copied().filter(|call| call["index"] == index).collect();
        assert_eq!(joined(mine.iter().copied(), "/function/name"), name);
        assert_eq!(joined(mine.iter().copied(), "/id"), format!("call_mock_{index}"));
        let arguments = joined(mine.iter().copied(), "/function/arguments");
        assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), schema());
        assert!(mine.len() > 2, "the arguments come in pieces");
    }
    let whole = post(&mock, PATH, &ask("mock-tools=2")).await.json();
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(whole["choices"][0]["message"]["content"], Value::Null);
    assert_eq!(whole["choices"][0]["message"]["tool_calls"][1]["function"]["name"], "sub");
}

#[tokio::test]
async fn several_choices_interleave_and_cost_each() {
    let mock = mock().await;
    let mut body = streamed("mock-tokens=2");
    body["n"] = 3.into();
    let answer = post(&mock, PATH, &body).await;
    let chunks = chunks(&answer);
    for index in 0..3 {
        let mine = chunks.iter().filter(|chunk| chunk["choices"][0]["index"] == index);
        assert_eq!(joined(mine, "/choices/0/delta/content"), "w0 w1");
    }
    assert_eq!(chunks.last().unwrap()["usage"]["completion_tokens"], 6);
    body["stream"] = false.into();
    let whole = post(&mock, PATH, &body).await.json();
    assert_eq!(whole["choices"].as_array().unwrap().len(), 3);
    assert_eq!(whole["choices"][2]["message"]["content"], "w0 w1");
}

#[tokio::test]
async fn endings_have_their_reasons() {
    let mock = mock().await;
    let cases = [("length", "length"), ("safety", "content_filter"), ("refusal", "stop")];
    for (word, reason) in cases {
        let whole = post(&mock, PATH, &ask(&format!("mock-tokens=2,{word}"))).await.json();
        let choice = &whole["choices"][0];
        assert_eq!(choice["finish_reason"], reason);
        let text = if word == "refusal" { "refusal" } else { "content" };
        assert_eq!(choice["message"][text], "w0 w1", "{word}");
        let answer = post(&mock, PATH, &streamed(&format!("mock-tokens=2,{word}"))).await;
        let chunks = chunks(&answer);
        assert_eq!(joined(&chunks, &format!("/choices/0/delta/{text}")), "w0 w1");
        assert_eq!(chunks[0]["choices"][0]["delta"]["content"].is_null(), word == "refusal");
    }
    let cut = post(&mock, PATH, &ask("mock-tool,length")).await.json();
    let arguments = cut["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].clone();
    assert!(serde_json::from_str::<Value>(arguments.as_str().unwrap()).is_err());
}

#[tokio::test]
async fn an_error_in_a_stream_is_the_last_thing() {
    let mock = mock().await;
    let answer = post(&mock, PATH, &streamed("mock-tokens=9,error=3,status=429")).await;
    let chunks = chunks(&answer);
    assert_eq!((answer.status, answer.whole, chunks.len()), (200, true, 4));
    assert_eq!(joined(&chunks, "/choices/0/delta/content"), "w0 w1 ");
    assert_eq!(chunks[3]["error"]["code"], "rate_limit_exceeded");
}

#[tokio::test]
async fn thinking_can_be_counted_only() {
    let mock = mock().await;
    let whole = post(&mock, PATH, &ask("mock-tokens=2,think=5,hidden")).await.json();
    assert!(whole["choices"][0]["message"].get("reasoning_content").is_none());
    assert_eq!(whole["usage"]["completion_tokens"], 7);
    assert_eq!(whole["usage"]["completion_tokens_details"]["reasoning_tokens"], 5);
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_packed() {
    let mock = mock().await;
    let ask = |more: Value| {
        let mut body = json!({"model": "mock-echo", "input": ["ab", "abc"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let answer = post(&mock, "/v1/embeddings", &ask(json!({"dimensions": 3}))).await.json();
    assert_eq!(answer["data"][1]["embedding"], json!([3, 1, 0]));
    assert_eq!(answer["usage"]["total_tokens"], 2);
    let packed = ask(json!({"encoding_format": "base64"}));
    let answer = post(&mock, "/v1/embeddings", &packed).await.json();
    // 2.0 and 0.0 as little-endian floats.
    assert_eq!(answer["data"][0]["embedding"], "AAAAQAAAAAA=");
}
