//! Google's generated content.

use serde_json::{Value, json};

use crate::wire::{Answer, get, joined, mock, post, schema};

fn path(words: &str, verb: &str) -> String {
    format!("/v1beta/models/mock-{words}:{verb}")
}

fn ask() -> Value {
    json!({
        "systemInstruction": {"parts": [{"text": "be kind"}]},
        "contents": [{"role": "user", "parts": [{"text": "one two"}]}],
        "tools": [{"functionDeclarations": [{"name": "add", "parameters": schema()}]}],
    })
}

/// The chunks of a stream of events; Google separates them with CRLF.
fn events(answer: &Answer) -> Vec<Value> {
    assert!(!answer.body.replace("\r\n", "").contains('\n'), "a bare line feed");
    answer.data("\r\n\r\n").into_iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn part(chunk: &Value) -> &Value {
    &chunk["candidates"][0]["content"]["parts"][0]
}

#[tokio::test]
async fn a_whole_answer_echoes_and_counts() {
    let mock = mock().await;
    let answer = post(&mock, &path("echo", "generateContent"), &ask()).await;
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(answer.body.starts_with("{\n"), "it is written over many lines");
    let json = answer.json();
    assert_eq!(part(&json)["text"], "one two");
    assert_eq!(json["candidates"][0]["finishReason"], "STOP");
    let usage = &json["usageMetadata"];
    assert_eq!((&usage["promptTokenCount"], &usage["totalTokenCount"]), (&json!(4), &json!(6)));
    assert_eq!(json["modelVersion"], "mock-echo");
}

#[tokio::test]
async fn both_kinds_of_stream_say_the_same() {
    let mock = mock().await;
    for words in ["echo", "tokens=3,think=2", "think=1,tools=2,preface=1", "blocked", "safety"] {
        let sse = path(words, "streamGenerateContent?alt=sse");
        let sse = post(&mock, &sse, &ask()).await;
        assert_eq!(sse.header("content-type"), Some("text/event-stream"));
        let array = post(&mock, &path(words, "streamGenerateContent"), &ask()).await;
        assert_eq!(array.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(array.json(), Value::Array(events(&sse)), "{words}");
        assert!(sse.whole && array.whole);
    }
}

#[tokio::test]
async fn usage_is_cumulative_and_thinking_is_beside_it() {
    let mock = mock().await;
    let sse = path("tokens=3,think=2,cached=5", "streamGenerateContent?alt=sse");
    let events = events(&post(&mock, &sse, &ask()).await);
    assert!(events.iter().all(|event| event["usageMetadata"]["promptTokenCount"] == 9));
    let totals: Vec<u64> = events
        .iter()
        .map(|event| event["usageMetadata"]["totalTokenCount"].as_u64().unwrap())
        .collect();
    assert_eq!(totals, [10, 11, 12, 13, 14, 14]);
    let last = &events.last().unwrap()["usageMetadata"];
    assert_eq!(
        (&last["thoughtsTokenCount"], &last["candidatesTokenCount"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(last["cachedContentTokenCount"], 5);
    let thoughts: Vec<&Value> =
        events.iter().filter(|event| part(event)["thought"] == true).collect();
    assert_eq!(joined(thoughts, "/candidates/0/content/parts/0/text"), "t0 t1");
    let signed = part(events.last().unwrap());
    assert_eq!((&signed["text"], signed["thoughtSignature"].is_string()), (&json!(""), true));
}

#[tokio::test]
async fn calls_are_parts_and_no_reason_to_finish() {
    let mock = mock().await;
    let whole = post(&mock, &path("tools=2,think=1", "generateContent"), &ask()).await.json();
    let candidate = &whole["candidates"][0];
    let parts = candidate["content"]["parts"].as_array().unwrap();
    assert_eq!((parts.len(), &candidate["finishReason"]), (3, &json!("STOP")));
    assert_eq!(parts[1]["functionCall"]["args"], schema());
    assert_eq!(parts[1]["functionCall"]["id"].as_str().unwrap().len(), 8);
    assert!(parts[1]["thoughtSignature"].is_string() && parts[2].get("thoughtSignature").is_none());
    let old = post(&mock, &path("tool,noids", "generateContent"), &ask()).await.json();
    assert!(part(&old)["functionCall"].get("id").is_none());
    let cut = post(&mock, &path("tool,length", "generateContent"), &ask()).await.json();
    let candidate = &cut["candidates"][0];
    assert_eq!(
        (&candidate["finishReason"], &candidate["content"]),
        (&json!("MAX_TOKENS"), &json!({"role": "model"}))
    );
}

#[tokio::test]
async fn filters_leave_out_candidate_or_content() {
    let mock = mock().await;
    let blocked = post(&mock, &path("blocked", "generateContent"), &ask()).await;
    let json = blocked.json();
    assert_eq!((blocked.status, &json["promptFeedback"]["blockReason"]), (200, &json!("SAFETY")));
    assert!(json.get("candidates").is_none());
    let sse = path("safety", "streamGenerateContent?alt=sse");
    let events = events(&post(&mock, &sse, &ask()).await);
    let last = &events.last().unwrap()["candidates"][0];
    assert_eq!((&last["finishReason"], last.get("content")), (&json!("SAFETY"), None));
    assert!(last["safetyRatings"].as_array().is_some_and(|ratings| ratings.len() == 4));
}

#[tokio::test]
async fn several_candidates_are_given() {
    let mock = mock().await;
    let mut body = ask();
    body["generationConfig"] = json!({"candidateCount": 2});
    let whole = post(&mock, &path("tokens=3", "generateContent"), &body).await.json();
    assert_eq!(whole["candidates"][1]["index"], 1);
    assert_eq!(whole["usageMetadata"]["candidatesTokenCount"], 6);
    let sse = path("tokens=3", "streamGenerateContent?alt=sse");
    let events = events(&post(&mock, &sse, &body).await);
    let second = events.iter().filter(|event| event["candidates"][0]["index"] == 1);
    assert_eq!(joined(second, "/candidates/0/content/parts/0/text"), "w0 w1 w2");
    assert_eq!(events.last().unwrap()["usageMetadata"], whole["usageMetadata"]);
}

#[tokio::test]
async fn errors_say_when_to_come_back_in_the_body() {
    let mock = mock().await;
    let answer = post(&mock, &path("status=429,retry_after=7", "generateContent"), &ask()).await;
    let error = &answer.json()["error"];
    assert_eq!(
        (answer.status, &error["code"], &error["status"]),
        (429, &json!(429), &json!("RESOURCE_EXHAUSTED"))
    );
    let details = error["details"].as_array().unwrap();
    let retry =
        details.iter().find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.RetryInfo");
    assert_eq!(retry.unwrap()["retryDelay"], "7s");
    assert_eq!(answer.header("retry-after"), None);
    let array = post(&mock, &path("status=404", "streamGenerateContent"), &ask()).await.json();
    assert_eq!(array[0]["error"]["status"], "NOT_FOUND");
    let plain =
        post(&mock, &path("status=404", "streamGenerateContent?alt=sse"), &ask()).await.json();
    assert_eq!(plain["error"]["code"], 404);
}

#[tokio::test]
async fn an_error_in_a_stream_is_a_chunk() {
    let mock = mock().await;
    for after in [0, 2] {
        let words = format!("tokens=4,error={after}");
        let sse = post(&mock, &path(&words, "streamGenerateContent?alt=sse"), &ask()).await;
        let chunks = events(&sse);
        assert_eq!((sse.status, chunks.len()), (200, after + 1));
        assert_eq!(chunks[after]["error"]["status"], "UNAVAILABLE");
        let array = post(&mock, &path(&words, "streamGenerateContent"), &ask()).await;
        assert_eq!(array.json(), Value::Array(chunks));
    }
    let cut = post(&mock, &path("tokens=4,cut=2", "streamGenerateContent"), &ask()).await;
    assert!(serde_json::from_str::<Value>(&cut.body).is_err(), "the array does not end");
}

#[tokio::test]
async fn tokens_vectors_and_models() {
    let mock = mock().await;
    let count = post(&mock, &path("echo", "countTokens"), &ask()).await.json();
    assert_eq!(count["totalTokens"], 4);
    let inner = json!({"generateContentRequest": ask()});
    assert_eq!(post(&mock, &path("echo", "countTokens"), &inner).await.json(), count);
    let text = |text: &str| json!({"content": {"parts": [{"text": text}]}});
    let one = post(&mock, &path("echo", "embedContent"), &text("abc")).await.json();
    assert_eq!(one, json!({"embedding": {"values": [3, 0]}}));
    let many = json!({"requests": [text("abc"), text("a")]});
    let many = post(&mock, &path("echo", "batchEmbedContents"), &many).await.json();
    assert_eq!(many, json!({"embeddings": [{"values": [3, 0]}, {"values": [1, 1]}]}));
    let list = get(&mock, "/v1beta/models?pageSize=1000", &[]).await.json();
    assert_eq!(list["models"][0]["name"], "models/mock-echo");
    assert_eq!(get(&mock, "/v1beta/models/mock-echo", &[]).await.json(), list["models"][0]);
    let google = [("x-goog-api-key", "k")];
    assert_eq!(get(&mock, "/v1/models", &google).await.json(), list);
    let stable = "/v1/models/mock-echo:countTokens";
    assert_eq!(post(&mock, stable, &ask()).await.json(), count);
    let unknown = post(&mock, &path("echo", "dance"), &ask()).await;
    assert_eq!(
        (unknown.status, unknown.json()["error"]["status"].as_str()),
        (404, Some("NOT_FOUND"))
    );
}
