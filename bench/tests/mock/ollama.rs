//! Ollama's own API.

use serde_json::{Value, json};

use crate::wire::{get, joined, mock, post, schema};

const CHAT: &str = "/api/chat";
const GENERATE: &str = "/api/generate";

fn ask(model: &str) -> Value {
    let tool = json!({"type": "function", "function": {"name": "add", "parameters": schema()}});
    let messages = json!([{"role": "user", "content": "one <two>"}]);
    json!({"model": model, "messages": messages, "tools": [tool]})
}

fn whole(model: &str) -> Value {
    let mut body = ask(model);
    body["stream"] = false.into();
    body
}

#[tokio::test]
async fn lines_come_unless_one_answer_is_asked_for() {
    let mock = mock().await;
    let answer = post(&mock, CHAT, &ask("mock-tokens=3,think=2")).await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines = answer.lines();
    let (last, rest) = lines.split_last().unwrap();
    assert!(rest.iter().all(|line| line["done"] == false && line.get("eval_count").is_none()));
    assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("stop")));
    let one = post(&mock, CHAT, &whole("mock-tokens=3,think=2")).await;
    assert_eq!(one.header("content-type"), Some("application/json; charset=utf-8"));
    let one = one.json();
    for field in ["content", "thinking"] {
        assert_eq!(
            joined(&lines, &format!("/message/{field}")),
            one["message"][field].as_str().unwrap()
        );
    }
    for count in ["prompt_eval_count", "eval_count", "total_duration", "eval_duration"] {
        assert!(one[count].as_u64().is_some_and(|count| count > 0), "{count}");
        assert_eq!(last[count], one[count]);
    }
    assert_eq!((&one["prompt_eval_count"], &one["eval_count"]), (&json!(2), &json!(5)));
}

#[tokio::test]
async fn calls_are_objects_in_lines_before_the_last() {
    let mock = mock().await;
    let lines = post(&mock, CHAT, &ask("mock-tools=2,preface=1")).await.lines();
    let calls: Vec<&Value> =
        lines.iter().filter(|line| line["message"].get("tool_calls").is_some()).collect();
    assert_eq!((lines.len(), calls.len()), (4, 2));
    for (index, line) in calls.iter().enumerate() {
        let call = &line["message"]["tool_calls"][0];
        assert_eq!((&line["done"], &call["function"]["index"]), (&json!(false), &json!(index)));
        assert_eq!(
            (&call["function"]["name"], &call["function"]["arguments"]),
            (&json!("add"), &schema())
        );
    }
    assert_eq!(lines[3]["done_reason"], "stop");
    let old = post(&mock, CHAT, &whole("mock-tool,noids")).await.json();
    let call = json!({"function": {"name": "add", "arguments": schema()}});
    assert_eq!(old["message"]["tool_calls"], json!([call]));
}

#[tokio::test]
async fn generate_answers_beside_no_message() {
    let mock = mock().await;
    let answer = post(&mock, GENERATE, &json!({"model": "mock-echo", "prompt": "a <b>"})).await;
    assert!(answer.body.contains("\\u003cb\\u003e"), "Go escapes signs of HTML");
    let lines = answer.lines();
    assert_eq!(joined(&lines, "/response"), "a <b>");
    let last = lines.last().unwrap();
    assert_eq!((last["context"].is_array(), last.get("message")), (true, None));
    let length = json!({"model": "mock-length", "prompt": "a", "stream": false});
    assert_eq!(post(&mock, GENERATE, &length).await.json()["done_reason"], "length");
    let load = post(&mock, GENERATE, &json!({"model": "mock-echo"})).await.lines();
    assert_eq!((load.len(), &load[0]["done_reason"]), (1, &json!("load")));
    let unload = json!({"model": "mock-echo", "messages": [], "keep_alive": 0});
    assert_eq!(post(&mock, CHAT, &unload).await.lines()[0]["done_reason"], "unload");
}

#[tokio::test]
async fn errors_are_a_text() {
    let mock = mock().await;
    let answer = post(&mock, CHAT, &ask("mock-status=404")).await;
    assert_eq!(answer.json(), json!({"error": "model 'mock-status=404' not found"}));
    assert_eq!(answer.status, 404);
    let answer = post(&mock, CHAT, &ask("mock-tokens=5,error=2")).await;
    let lines = answer.lines();
    assert_eq!((answer.status, answer.whole, lines.len()), (200, true, 3));
    assert!(lines[2]["error"].is_string());
    assert_eq!(lines[2].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn usage_can_be_left_out() {
    let mock = mock().await;
    let one = post(&mock, CHAT, &whole("mock-usage=absent")).await.json();
    assert!(one.get("eval_count").is_none() && one.get("prompt_eval_count").is_none());
}

#[tokio::test]
async fn models_are_listed_shown_and_pulled() {
    let mock = mock().await;
    let tags = get(&mock, "/api/tags", &[]).await.json();
    assert_eq!(tags["models"][0]["name"], "mock-echo:latest");
    assert_eq!(get(&mock, "/api/ps", &[]).await.json()["models"][0]["name"], "mock-echo:latest");
    assert!(get(&mock, "/api/version", &[]).await.json()["version"].is_string());
    let show = post(&mock, "/api/show", &json!({"model": "mock-echo"})).await.json();
    assert!(show["capabilities"].as_array().unwrap().contains(&json!("tools")));
    let architecture = show["model_info"]["general.architecture"].as_str().unwrap();
    assert!(show["model_info"][format!("{architecture}.context_length")].is_u64());
    let pull = post(&mock, "/api/pull", &json!({"model": "mock-echo"})).await.lines();
    let done: Vec<u64> = pull.iter().filter_map(|line| line["completed"].as_u64()).collect();
    assert!(done.is_sorted() && done.last() == pull[1]["total"].as_u64().as_ref());
    assert_eq!(pull.last().unwrap(), &json!({"status": "success"}));
    let failed = post(&mock, "/api/pull", &json!({"name": "mock-error=3"})).await.lines();
    assert!(failed.len() == 4 && failed[3]["error"].is_string());
    let vectors = json!({"model": "mock-echo", "input": ["abc", "a"]});
    let vectors = post(&mock, "/api/embed", &vectors).await.json();
    assert_eq!(
        (&vectors["embeddings"], &vectors["prompt_eval_count"]),
        (&json!([[3, 0], [1, 1]]), &json!(2))
    );
}
