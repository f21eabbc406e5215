//! Ollama's API at the front of a real server, with upstreams of Ollama's and of another format
//! behind it.
#![cfg(test)]

mod gate;

use gate::Gate;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The lines of a streamed answer.
fn lines(body: &str) -> Vec<Value> {
    body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(lines: &[Value]) -> String {
    lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect()
}

fn chat(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

#[tokio::test]
async fn a_chat_is_streamed_as_lines_unless_it_is_asked_for_whole() {
    let gate = Gate::start().await;
    for provider in ["ollama", "openai"] {
        let model = format!("{provider}/mock-tokens=3,think=2");
        let reply = gate.post("/api/chat", &chat(&model, "go")).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        assert_eq!(reply.headers["content-type"], "application/x-ndjson");
        assert!(reply.body.ends_with('\n') && !reply.body.contains("\n\n"));
        let streamed = lines(&reply.body);
        assert_eq!(said(&streamed).trim(), "w0 w1 w2");
        let (last, before) = streamed.split_last().unwrap();
        assert!(before.iter().all(|line| line["done"] == false));
        assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("stop")));
        assert!(last["eval_count"].as_u64() > Some(0) && last["prompt_eval_count"] == 1, "{last}");
        let mut whole = chat(&model, "go");
        whole["stream"] = false.into();
        let reply = gate.post("/ollama/api/chat", &whole).await;
        assert_eq!(reply.headers["content-type"], "application/json");
        let whole: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(whole["message"]["content"].as_str().map(str::trim), Some("w0 w1 w2"));
        assert_eq!(whole["done"], true);
    }
}

#[tokio::test]
async fn the_upstream_gets_the_clients_own_body_and_the_client_the_upstreams_own_lines() {
    let gate = Gate::start().await;
    let body = "{\"messages\": [{\"role\": \"user\", \"content\": \"a b\"}], \"model\": \"ollama/mock-echo\", \"brand_new\": 1.50}";
    let reply = gate.send(Method::POST, "/api/chat", Some(body.to_owned())).await;
    assert_eq!(said(&lines(&reply.body)), "a b");
    assert!(reply.body.contains("\"eval_duration\""), "{}", reply.body);
    let sent = gate.mock.requests().pop().unwrap();
    assert_eq!(sent.raw, body.replace("ollama/mock-echo", "mock-echo"));
}

#[tokio::test]
async fn tools_are_called_whichever_format_stands_behind() {
    let gate = Gate::start().await;
    for provider in ["ollama", "openai"] {
        let mut body = chat(&format!("{provider}/mock-tool"), "add");
        body["tools"] = json!([{"type": "function", "function": {"name": "add",
            "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}]);
        let streamed = lines(&gate.post("/api/chat", &body).await.body);
        let called: Vec<&Value> =
            streamed.iter().filter(|line| line["message"].get("tool_calls").is_some()).collect();
        assert_eq!(called.len(), 1, "{provider}: {streamed:?}");
        let call = &called[0]["message"]["tool_calls"][0];
        assert_eq!(
            (&call["function"]["name"], called[0]["done"].as_bool()),
            (&json!("add"), Some(false))
        );
        assert!(call["function"]["arguments"].is_object());
        assert_eq!(streamed.last().unwrap()["done_reason"], "stop");
    }
}

#[tokio::test]
async fn generate_is_a_chat_elsewhere_and_refused_where_no_chat_can_say_it() {
    let gate = Gate::start().await;
    for provider in ["ollama", "openai"] {
        let body =
            json!({"model": format!("{provider}/mock-echo"), "prompt": "a b", "system": "s"});
        let reply = gate.post("/api/generate", &body).await;
        let text: String = lines(&reply.body)
            .iter()
            .filter_map(|line| line["response"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(text.trim(), "a b", "{}", reply.body);
    }
    assert_eq!(gate.mock.requests()[0].path, "/api/generate");
    for (key, value) in [
        ("raw", json!(true)),
        ("suffix", json!("}")),
        ("template", json!("t")),
        ("context", json!([1])),
    ] {
        let mut body = json!({"model": "openai/mock-echo", "prompt": "a"});
        body[key] = value;
        let reply = gate.post("/api/generate", &body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{key}: {}", reply.body);
        body["model"] = "ollama/mock-echo".into();
        assert_eq!(gate.post("/api/generate", &body).await.status, StatusCode::OK, "{key}");
    }
}

#[tokio::test]
async fn vectors_are_given_in_both_ages() {
    let gate = Gate::start().await;
    let reply = gate.post("/api/embed", &json!({"model": "openai/m", "input": ["a b", "c"]})).await;
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(answer["embeddings"].as_array().map(Vec::len), Some(2), "{answer}");
    assert_eq!(answer["prompt_eval_count"], 3);
    let reply = gate.post("/api/embeddings", &json!({"model": "ollama/m", "prompt": "a b"})).await;
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    assert!(
        answer["embedding"][0].is_number() && answer.as_object().unwrap().len() == 1,
        "{answer}"
    );
}

#[tokio::test]
async fn models_are_listed_and_shown_as_far_as_they_are_known() {
    let gate = Gate::start().await;
    let reply = gate.send(Method::GET, "/api/tags", None).await;
    let list: Value = serde_json::from_str(&reply.body).unwrap();
    let models = list["models"].as_array().unwrap();
    let ours = models.iter().find(|model| model["name"] == "ollama/mock-echo:latest").unwrap();
    assert_eq!(
        (&ours["model"], &ours["size"], &ours["digest"]),
        (&ours["name"], &json!(0), &json!(""))
    );
    assert_eq!(ours["capabilities"], json!(["completion", "tools"]));
    assert!(ours["details"]["families"].is_array() && ours["modified_at"].is_string());
    let reply = gate.post("/api/show", &json!({"model": "ollama/mock-echo:latest"})).await;
    let shown: Value = serde_json::from_str(&reply.body).unwrap();
    let about = &shown["model_info"];
    let key = format!("{}.context_length", about["general.architecture"].as_str().unwrap());
    assert_eq!(
        (&about[key], &shown["capabilities"]),
        (&json!(8192), &json!(["completion", "tools"]))
    );
    let unknown = gate.post("/api/show", &json!({"name": "ollama/none"})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    for path in ["/api/ps", "/api/version"] {
        assert_eq!(gate.send(Method::GET, path, None).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn errors_are_texts_and_end_a_stream_that_broke() {
    let gate = Gate::start().await;
    for (path, body, status) in [
        ("/api/chat", json!({"model": "ollama/mock-echo", "messages": 5}), 400),
        ("/api/chat", chat("nobody/m", "hi"), 404),
        ("/api/chat", chat("ollama/mock-status=404", "hi"), 404),
        ("/api/chat", chat("ollama/mock-status=500", "hi"), 502),
        ("/api/pull", json!({}), 404),
        ("/api/tags", json!({}), 405),
    ] {
        let reply = gate.post(path, &body).await;
        assert_eq!(reply.status.as_u16(), status, "{path} {body} {}", reply.body);
        let error: Value = serde_json::from_str(&reply.body).unwrap();
        assert!(error["error"].is_string() && error.as_object().unwrap().len() == 1, "{error}");
    }
    let native = gate.post("/api/v1/nothing", &json!({})).await;
    let native: Value = serde_json::from_str(&native.body).unwrap();
    assert!(native["error"].is_object(), "{native}");
    for model in [
        "ollama/mock-tokens=9,cut=3",
        "ollama/mock-tokens=9,error=3",
        "openai/mock-tokens=9,reset=4",
    ] {
        let streamed = lines(&gate.post("/api/chat", &chat(model, "go")).await.body);
        assert_eq!(said(&streamed).trim(), "w0 w1 w2", "{model}");
        assert!(streamed.last().unwrap()["error"].is_string(), "{model}");
        assert!(streamed.iter().all(|line| line["done"] != true), "{model}");
    }
}

#[tokio::test]
async fn every_path_asks_for_a_credential() {
    let gate = Gate::start().await;
    for (method, path) in tollgate::ingress::GUARDED_PATHS
        .iter()
        .filter(|(_, path)| path.contains("/api/") && !path.contains("/v1"))
    {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let reply = gate.stranger(method, path).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
        let error: Value = serde_json::from_str(&reply.body).unwrap();
        assert!(error["error"].is_string(), "{error}");
    }
}

#[tokio::test]
async fn loading_a_model_costs_no_tokens() {
    let gate = Gate::start().await;
    for (path, body) in [
        ("/api/chat", json!({"model": "ollama/mock-echo", "messages": []})),
        ("/api/generate", json!({"model": "ollama/mock-echo", "keep_alive": 0})),
    ] {
        let streamed = lines(&gate.post(path, &body).await.body);
        assert!(streamed[0]["done_reason"].as_str().unwrap().ends_with("load"), "{streamed:?}");
    }
    let reply = gate.send(Method::GET, "/api/v1/usage", None).await;
    let usage: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(usage["total"]["requests"], 2, "{usage}");
    assert_eq!(usage["total"]["usage"]["input"], 0, "{usage}");
}
