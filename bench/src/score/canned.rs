//! What the fast upstream says: answers that are written once, with a place for the time in each
//! chunk of a stream.

use super::clock;

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Chat completions.
    OpenAi,
    /// Messages.
    Anthropic,
}

/// Sixteen tokens or so.
const TEXT: &str = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while.";

/// A whole answer, with its head.
pub(super) fn whole(dialect: Dialect) -> Vec<u8> {
    let body = match dialect {
        Dialect::OpenAi => format!(
            "{{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1760000000,\
             \"model\":\"bench\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\
             \"content\":\"{TEXT}\",\"refusal\":null}},\"logprobs\":null,\"finish_reason\":\"stop\"}}],\
             \"usage\":{{\"prompt_tokens\":250,\"completion_tokens\":16,\"total_tokens\":266}}}}"
        ),
        Dialect::Anthropic => format!(
            "{{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench\",\
             \"content\":[{{\"type\":\"text\",\"text\":\"{TEXT}\"}}],\"stop_reason\":\"end_turn\",\
             \"stop_sequence\":null,\"usage\":{{\"input_tokens\":250,\"output_tokens\":16}}}}"
        ),
    };
    message("200 OK", &body)
}

/// An answer of a status.
pub(super) fn message(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    (head + body).into_bytes()
}

/// The list that some proxies ask for before they pass anything on.
pub(super) fn models() -> Vec<u8> {
    let model =
        "{\"id\":\"bench\",\"object\":\"model\",\"created\":1760000000,\"owned_by\":\"bench\"}";
    message("200 OK", &format!("{{\"object\":\"list\",\"data\":[{model}]}}"))
}

/// A stream, in the pieces that it is sent in.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// Head, and what comes before the first text.
    pub(super) start: Vec<u8>,
    /// A chunk with text, and where in it the time has its place.
    pub(super) chunk: Vec<u8>,
    pub(super) place: std::ops::Range<usize>,
    /// What comes after the last text.
    pub(super) end: Vec<u8>,
}

impl Stream {
    pub(super) fn of(dialect: Dialect, with_usage: bool) -> Self {
        let (start, chunk, end) = match dialect {
            Dialect::OpenAi => openai(with_usage),
            Dialect::Anthropic => anthropic(),
        };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
        let start =
            if start.is_empty() { head.to_owned() } else { head.to_owned() + &piece(&start) };
        let chunk = piece(&chunk);
        let stamp = clock::stamp(0);
        let at = chunk.find(&stamp).unwrap_or_default();
        Self {
            start: start.into_bytes(),
            place: at..at + stamp.len(),
            chunk: chunk.into_bytes(),
            end: (piece(&end) + "0\r\n\r\n").into_bytes(),
        }
    }
}

/// One chunk of the transfer encoding.
fn piece(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn openai(with_usage: bool) -> (String, String, String) {
    let event = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\
             \"created\":1760000000,\"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{delta},\
             \"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let text = format!("{{\"content\":\"{} word\"}}", clock::stamp(0));
    let usage = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\
                 \"created\":1760000000,\"model\":\"bench\",\"choices\":[],\"usage\":\
                 {\"prompt_tokens\":250,\"completion_tokens\":16,\"total_tokens\":266}}\n\n";
    let usage = if with_usage { usage } else { "" };
    let end = event("{}", "\"stop\"") + usage + "data: [DONE]\n\n";
    (String::new(), event(&text, "null"), end)
}

fn anthropic() -> (String, String, String) {
    let event =
        |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n");
    let start = event(
        "message_start",
        ",\"message\":{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\
         \"model\":\"bench\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\
         \"usage\":{\"input_tokens\":250,\"output_tokens\":1}}",
    ) + &event(
        "content_block_start",
        ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}",
    );
    let stamp = clock::stamp(0);
    let chunk = event(
        "content_block_delta",
        &format!(",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{stamp} word\"}}"),
    );
    let end = event("content_block_stop", ",\"index\":0")
        + &event(
            "message_delta",
            ",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\
             \"usage\":{\"output_tokens\":16}",
        )
        + &event("message_stop", "");
    (start, chunk, end)
}
