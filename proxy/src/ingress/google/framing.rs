//! Streams as Google frames them: server-sent events with CRLF and nothing but `data`, because
//! comments and ids break its own clients, or one JSON array.

use crate::{
    dialects::{
        google::{StreamEncoder, encode_error},
        stream::ReplyHead,
    },
    ingress::{problem::status_of, stream::Framing},
};
use bytes::Bytes;
use serde_json::value::RawValue;
use tollgate_types::{Error, StreamEvent};

/// The chunks of one answer.
pub(super) struct Chunks {
    encoder: StreamEncoder,
    as_events: bool,
    /// The array has begun.
    begun: bool,
}

impl Chunks {
    pub(super) fn new(head: ReplyHead, as_events: bool) -> Self {
        Self { encoder: StreamEncoder::new(head), as_events, begun: false }
    }

    /// Line breaks in JSON text stand between its tokens only.
    fn framed(&mut self, payload: &str) -> String {
        let payload = payload.trim().replace(['\r', '\n'], " ");
        if self.as_events {
            return format!("data: {payload}\r\n\r\n");
        }
        let before = if std::mem::replace(&mut self.begun, true) { ",\r\n" } else { "[" };
        format!("{before}{payload}")
    }
}

impl Framing for Chunks {
    fn frame(&mut self, event: &StreamEvent) -> Bytes {
        let chunks = self.encoder.push(event);
        Bytes::from(chunks.iter().map(|chunk| self.framed(&chunk.to_string())).collect::<String>())
    }

    fn error(&mut self, error: &Error) -> Bytes {
        let told = encode_error(error, status_of(error).as_u16());
        [Bytes::from(self.framed(&told.to_string())), self.end()].concat().into()
    }

    /// An upstream may have sent a whole array where events were asked for.
    fn verbatim(&mut self, payload: &str) -> Bytes {
        let elements: Option<Vec<&RawValue>> = payload
            .trim_start()
            .starts_with('[')
            .then(|| serde_json::from_str(payload).ok())
            .flatten();
        let frames: String = match elements {
            Some(elements) => elements.into_iter().map(|one| self.framed(one.get())).collect(),
            None => self.framed(payload),
        };
        Bytes::from(frames)
    }

    /// A blank line is no event to any client, and nothing between the elements of an array.
    fn heartbeat(&self) -> Bytes {
        Bytes::from_static(b"\n")
    }

    fn end(&mut self) -> Bytes {
        match (self.as_events, self.begun) {
            (true, _) => Bytes::new(),
            (false, true) => Bytes::from_static(b"]"),
            (false, false) => Bytes::from_static(b"[]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use tollgate_types::{ErrorKind, Extras, FinishReason, Origin, Part, Usage};

    fn chunks(as_events: bool) -> Chunks {
        Chunks::new(ReplyHead { id: "r".into(), created_s: 0, model: "m".into() }, as_events)
    }

    fn text(bytes: &[Bytes]) -> String {
        String::from_utf8(bytes.concat()).unwrap()
    }

    fn start() -> StreamEvent {
        StreamEvent::Start { origin: Origin::default(), request_id: None, warnings: vec![] }
    }

    fn said(words: &str) -> StreamEvent {
        StreamEvent::PartStart { index: 0, part: Part::text(words) }
    }

    fn finish() -> StreamEvent {
        StreamEvent::Finish {
            finish: FinishReason::Stop.into(),
            usage: Usage::tokens(1, 2),
            extras: Extras::new(),
            receipt: None,
        }
    }

    #[test]
    fn an_array_is_valid_json_however_it_ends() {
        let mut good = chunks(false);
        let mut bytes: Vec<Bytes> =
            [start(), said("a"), finish()].iter().map(|event| good.frame(event)).collect();
        bytes.insert(1, good.heartbeat());
        bytes.push(good.end());
        let whole: Vec<Value> = serde_json::from_str(&text(&bytes)).unwrap();
        assert_eq!(whole[0]["candidates"][0]["content"]["parts"][0]["text"], "a");
        assert_eq!(whole[1]["candidates"][0]["finishReason"], "STOP");
        let mut broken = chunks(false);
        let bytes = [broken.error(&Error::new(ErrorKind::StreamInterrupted, "gone"))];
        let whole: Vec<Value> = serde_json::from_str(&text(&bytes)).unwrap();
        assert_eq!(whole[0]["error"]["code"], 502);
        let mut own = chunks(false);
        let bytes = [own.verbatim("[{\"a\":1},\n{\"b\":\"x\"}]"), own.end()];
        assert_eq!(text(&bytes), "[{\"a\":1},\r\n{\"b\":\"x\"}]");
    }

    #[test]
    fn events_have_one_line_of_data_and_crlf() {
        let mut own = chunks(true);
        let bytes = [own.verbatim("{\n  \"a\": \"\\n\"\n}\n")];
        assert_eq!(text(&bytes), "data: {   \"a\": \"\\n\" }\r\n\r\n");
        assert!(text(&[own.end()]).is_empty());
    }
}
