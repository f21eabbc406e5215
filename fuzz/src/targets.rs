//! What each target does with bytes that nobody chose: nothing may panic, and what must hold for
//! every input is asserted.

use crate::dialects::{ALL, Dialect, MODEL};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use std::iter::from_fn;
use tollgate::{
    dialects::{patch::Patch, upstream_error::decode_error},
    providers::http::{Framing, payloads::Payloads},
};
use tollgate_types::{
    EmbedRequest, Error, Fold, GenerateRequest, GenerateResponse, OnUnsupported, Original, Result,
    StreamEvent, events_of,
};

/// Payloads do not depend on where the bytes were cut.
pub fn payloads(data: &[u8]) {
    let (sizes, bytes) = sizes_of(data);
    for framing in [Framing::Sse, Framing::Lines] {
        assert_eq!(cut(framing, &[bytes]), cut(framing, &pieces(bytes, sizes)));
    }
}

/// A patched body reads as if it had been changed as a value, or it is refused.
pub fn patch(data: &[u8]) {
    let (key, body) = line_of(data);
    let key = String::from_utf8_lossy(key);
    let Ok(mut patch) = Patch::of(body) else { return };
    let Ok(Value::Object(mut object)) = serde_json::from_slice(body) else {
        panic!("what is no object was taken for one");
    };
    assert_eq!(patch.get(&key).is_some(), object.contains_key(&*key));
    patch.set(&key, &Value::from(MODEL));
    object.insert(key.into_owned(), MODEL.into());
    let patched: Value = serde_json::from_slice(&patch.finish()).unwrap_or_default();
    assert_eq!(patched, Value::Object(object));
}

/// What was read in one dialect, or came in the native one, can be written in every other or is
/// refused; a client's own body is still JSON when it was changed.
pub fn request(data: &[u8]) {
    for from in ALL {
        let Ok(asked) = (from.read_request)(data) else { continue };
        write_everywhere(&asked);
        // Where a turn is empty there may be nothing to write.
        let says_something = asked.messages.iter().all(|message| !message.content.is_empty());
        if let Ok(written) = (from.write_request)(&asked)
            && says_something
        {
            let again = (from.read_request)(written.to_string().as_bytes());
            assert!(again.is_ok(), "{}: {written} {again:?}", from.api);
        }
        check_patch(from, data, asked);
    }
    if let Ok(asked) = serde_json::from_slice::<GenerateRequest>(data) {
        write_everywhere(&asked);
    }
}

fn write_everywhere(asked: &GenerateRequest) {
    for to in ALL {
        for on_unsupported in [OnUnsupported::Fail, OnUnsupported::Warn] {
            let asked = GenerateRequest { on_unsupported, ..asked.clone() };
            drop((to.write_request)(&asked));
        }
    }
}

fn check_patch(from: &Dialect, data: &[u8], mut asked: GenerateRequest) {
    asked.sampling.max_output_tokens = Some(7);
    let original =
        Original { api: from.api, body: data.to_vec(), headers: Vec::new(), streamed: true };
    let Ok(patched) = (from.patch)(&original, &asked) else { return };
    let again = (from.read_request)(&patched);
    let again = again.unwrap_or_else(|error| panic!("{}: {error}", from.api));
    assert_eq!((again.model.as_str(), again.sampling.max_output_tokens), (MODEL, Some(7)));
    // Nothing but the two has changed; a limit that was no limit is gone from among the extras.
    let said = |asked: &GenerateRequest| (asked.messages.clone(), asked.tools.clone());
    assert_eq!(said(&again), said(&asked));
    assert_eq!((again.sampling, again.output), (asked.sampling, asked.output));
}

/// What was read of one provider, or came in the native dialect, can be written in every dialect.
pub fn reply(data: &[u8]) {
    for from in ALL {
        let Ok(answer) = (from.read_reply)(data) else { continue };
        tell_everywhere(&answer);
        drop((from.read_reply)((from.write_reply)(&answer).to_string().as_bytes()));
    }
    if let Ok(answer) = serde_json::from_slice::<GenerateResponse>(data) {
        tell_everywhere(&answer);
    }
}

fn tell_everywhere(answer: &GenerateResponse) {
    let events = events_of(answer.clone());
    for to in ALL {
        drop((to.write_reply)(answer));
        drop((to.write_stream)(&events));
    }
}

/// A stream says the same wherever it was cut, its events fold, and every dialect can write them.
pub fn stream(data: &[u8]) {
    let (sizes, bytes) = sizes_of(data);
    for from in ALL {
        let told = read(from, &[bytes]);
        assert_eq!(told, read(from, &pieces(bytes, sizes)), "{}", from.api);
        let mut fold = Fold::new();
        for event in told.0.clone() {
            if let Err(error) = fold.push(event) {
                panic!("{}: its events do not fold: {error}", from.api);
            }
        }
        for to in ALL {
            drop((to.write_stream)(&told.0));
        }
    }
}

/// The events of a stream, and how it failed.
fn read(from: &Dialect, pieces: &[&[u8]]) -> (Vec<StreamEvent>, Option<Error>) {
    let mut payloads = Payloads::new(from.framing);
    let mut decoder = (from.decoder)();
    let mut events = Vec::new();
    let mut take = |payloads: &mut Payloads| -> Result<()> {
        while let Some(payload) = payloads.next_payload() {
            let was_done = decoder.is_done();
            let more = decoder.push(&payload)?;
            assert!(!was_done || more.is_empty(), "{}: something came after the end", from.api);
            events.extend(more);
        }
        Ok(())
    };
    for piece in pieces {
        if payloads.push(piece).is_err() {
            break;
        }
        if let Err(error) = take(&mut payloads) {
            return (events, Some(error));
        }
    }
    payloads.end();
    let failure = match take(&mut payloads) {
        Ok(()) => match decoder.end() {
            Ok(more) => {
                events.extend(more);
                None
            }
            Err(error) => Some(error),
        },
        Err(error) => Some(error),
    };
    (events, failure)
}

/// Whatever a provider answers becomes an error that says something.
pub fn upstream_error(data: &[u8]) {
    const NAMES: [&str; 5] = [
        "retry-after",
        "retry-after-ms",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-request-id",
    ];
    let (status, mut rest) = match data {
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]) % 1000, rest),
        _ => (500, data),
    };
    let mut headers = HeaderMap::new();
    for name in NAMES {
        let (value, after) = line_of(rest);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
        rest = after;
    }
    let error = decode_error(status, &headers, rest, "p");
    assert!(!error.message().is_empty());
    for to in ALL {
        let written = (to.write_error)(&error);
        assert!(written.get("error").is_some(), "{}: {written}", to.api);
    }
}

/// Requests for vectors, their answers, lists of models and the like.
pub fn embed(data: &[u8]) {
    let all = || ALL.iter().filter_map(|dialect| dialect.embed.as_ref());
    let write = |asked: &EmbedRequest| all().for_each(|to| drop((to.write)(asked)));
    for from in all() {
        if let Ok(asked) = (from.read)(data) {
            write(&asked);
        }
        if let Ok(answer) = (from.read_reply)(data) {
            for to in all() {
                drop((to.write_reply)(&answer));
            }
        }
    }
    if let Ok(asked) = serde_json::from_slice(data) {
        write(&asked);
    }
    for dialect in ALL {
        dialect.others.iter().for_each(|read| read(data));
    }
}

/// The first bytes say how long the pieces of the others are.
fn sizes_of(data: &[u8]) -> (&[u8], &[u8]) {
    data.split_at(data.len().min(4))
}

fn pieces<'a>(bytes: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut sizes = sizes.iter().cycle();
    from_fn(|| {
        if rest.is_empty() {
            return None;
        }
        let size = usize::from(sizes.next().copied().unwrap_or(1)).clamp(1, rest.len());
        let (piece, after) = rest.split_at(size);
        rest = after;
        Some(piece)
    })
    .collect()
}

fn cut(framing: Framing, pieces: &[&[u8]]) -> Vec<String> {
    let mut payloads = Payloads::new(framing);
    let mut all = Vec::new();
    for piece in pieces {
        if payloads.push(piece).is_err() {
            break;
        }
        all.extend(from_fn(|| payloads.next_payload()));
    }
    payloads.end();
    all.extend(from_fn(|| payloads.next_payload()));
    all
}

/// The first line and the rest.
fn line_of(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (data.get(..at).unwrap_or_default(), data.get(at + 1..).unwrap_or_default()),
        None => (&[], data),
    }
}
