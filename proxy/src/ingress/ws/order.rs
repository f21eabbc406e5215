//! A frame of the client, read and checked: what is to be done, for which call.

use super::credit::{Credit, GrantError};
use crate::ingress::{body, native};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use serde::Deserialize;
use std::time::Duration;
use tollgate_types::{
    CallOptions, Error, ErrorKind, Result, Secret,
    wire::{
        header,
        socket::{Ask, AskType},
    },
};

/// What a frame asks for.
pub(super) enum Order {
    /// A new call, and the room for its events.
    Begin(Box<NewCall>, Credit),
    /// The end of an open call.
    Cancel,
    /// An open call is read no more.
    Leave,
    /// More credit for an open call, bytes.
    Grant(u64),
}

/// A call as it enters.
pub(super) struct NewCall {
    /// What is asked.
    pub(super) what: What,
    /// Labels.
    pub(super) options: CallOptions,
    /// The longest that it may take.
    pub(super) timeout: Option<Duration>,
    /// Where it is not the connection's.
    pub(super) credential: Option<Secret<String>>,
}

/// What a new call asks for.
pub(super) enum What {
    /// An answer, whole or as events.
    Answer(Question),
    /// Vectors, and the key of the logical call.
    Embed(Bytes, Option<String>),
    /// Prompt tokens.
    CountTokens(Bytes),
    /// Models.
    Models,
    /// The events of a run after one of them.
    Resume(String, Option<u64>),
    /// The end of a run.
    Cancel(String),
}

impl What {
    /// The name of the run where it outlives the connection that the call came by.
    pub(super) fn lasting(&self, request_id: &str) -> Option<String> {
        match self {
            Self::Answer(Question { key: Some(key), resumable: true, .. }) => {
                Some(format!("key:{key}"))
            }
            Self::Answer(Question { resumable: true, .. }) => Some(request_id.to_owned()),
            Self::Resume(run, _) => Some(run.clone()),
            _ => None,
        }
    }

    /// The word for logs.
    pub(super) fn as_str(&self) -> &'static str {
        let kind = match self {
            Self::Answer(question) if question.streamed => AskType::Stream,
            Self::Answer(_) => AskType::Generate,
            Self::Embed(..) => AskType::Embed,
            Self::CountTokens(_) => AskType::CountTokens,
            Self::Models => AskType::Models,
            Self::Resume(..) => AskType::Resume,
            Self::Cancel(_) => AskType::Cancel,
        };
        kind.as_str()
    }
}

/// What a model is asked.
pub(super) struct Question {
    /// A request of the native API.
    pub(super) body: Bytes,
    /// The answer goes out as events.
    pub(super) streamed: bool,
    /// One key per logical call.
    pub(super) key: Option<String>,
    /// The run outlives its connection.
    pub(super) resumable: bool,
}

/// Why a frame is not an order.
#[derive(Debug)]
pub(super) enum Malformed {
    /// It belongs to a call, which is told.
    Call(u64, Error),
    /// It belongs to none.
    Frame(&'static str),
}

/// Reads a frame: the number of its call, and what is to be done.
///
/// # Errors
/// What is wrong with it, and whom to tell.
pub(super) fn read(frame: &Bytes, max_body_bytes: usize) -> Result<(u64, Order), Malformed> {
    // An array would be read too: as the fields in their order.
    if !frame.trim_ascii_start().starts_with(b"{") {
        return Err(Malformed::Frame("a frame is not a JSON object"));
    }
    let ask: Ask<'_> = native::parse(frame).map_err(|error| match number(frame) {
        Ok(call) => Malformed::Call(call, error),
        Err(reason) => Malformed::Frame(reason),
    })?;
    let call = ask.call;
    let order = order(frame, ask, max_body_bytes);
    order.map(|order| (call, order)).map_err(|error| Malformed::Call(call, error))
}

/// The number of a frame of which nothing else can be read.
fn number(frame: &[u8]) -> Result<u64, &'static str> {
    #[derive(Deserialize)]
    struct Numbered {
        call: u64,
    }
    if serde_json::from_slice::<serde::de::IgnoredAny>(frame).is_err() {
        return Err("a frame is not JSON");
    }
    let numbered: Result<Numbered, _> = serde_json::from_slice(frame);
    numbered.map(|frame| frame.call).map_err(|_| "a frame has no number of a call")
}

fn order(frame: &Bytes, ask: Ask<'_>, max_body_bytes: usize) -> Result<Order> {
    if let Some(field) = stray(&ask) {
        let message = format!("{field} has no meaning in a frame of type {}", ask.kind.as_str());
        return Err(Error::invalid(field, message));
    }
    let body = || {
        let request = ask.request.ok_or_else(|| missing("request", ask.kind))?;
        if request.get().len() > max_body_bytes {
            let message =
                format!("the request is larger than the {max_body_bytes} bytes that are accepted");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(frame.slice_ref(request.get().as_bytes()))
    };
    let headers = headers(&ask)?;
    let run = || ask.run.clone().ok_or_else(|| missing("run", ask.kind));
    let what = match ask.kind {
        AskType::Generate | AskType::Stream => What::Answer(Question {
            body: body()?,
            streamed: ask.kind == AskType::Stream,
            key: body::idempotency_key(&headers)?,
            resumable: ask.resumable,
        }),
        AskType::Embed => What::Embed(body()?, body::idempotency_key(&headers)?),
        AskType::CountTokens => What::CountTokens(body()?),
        AskType::Models => What::Models,
        AskType::Resume => What::Resume(run()?, ask.after),
        AskType::Cancel if ask.run.is_none() => return Ok(Order::Cancel),
        AskType::Cancel => What::Cancel(run()?),
        AskType::Leave => return Ok(Order::Leave),
        AskType::Credit => {
            let bytes = ask.credit.filter(|bytes| *bytes > 0);
            return Ok(Order::Grant(bytes.ok_or_else(|| missing("credit", ask.kind))?));
        }
    };
    let call = NewCall {
        what,
        options: body::options(&headers)?,
        timeout: ask.timeout_ms.map(Duration::from_millis),
        credential: ask.credential.map(Secret::new),
    };
    let credit = Credit::of(ask.credit).map_err(of_grant)?;
    Ok(Order::Begin(Box::new(call), credit))
}

fn missing(field: &'static str, kind: AskType) -> Error {
    Error::invalid(field, format!("a frame of type {} needs {field}", kind.as_str()))
}

/// A grant that is refused.
pub(super) fn of_grant(error: GrantError) -> Error {
    Error::invalid("credit", error.to_string())
}

/// A field that is there and has no meaning in a frame of this type.
fn stray(ask: &Ask<'_>) -> Option<&'static str> {
    use AskType::{Cancel, CountTokens, Credit, Embed, Generate, Models, Resume, Stream};
    let answers: &[AskType] = &[Generate, Stream];
    let begins: &[AskType] = &[Generate, Stream, Embed, CountTokens, Models, Resume];
    let fields: [(&'static str, bool, &[AskType]); 9] = [
        ("request", ask.request.is_some(), &[Generate, Stream, Embed, CountTokens]),
        ("idempotency_key", ask.idempotency_key.is_some(), &[Generate, Stream, Embed]),
        ("resumable", ask.resumable, answers),
        ("tags", !ask.tags.is_empty(), begins),
        ("timeout_ms", ask.timeout_ms.is_some(), begins),
        ("run", ask.run.is_some(), &[Resume, Cancel]),
        ("after", ask.after.is_some(), &[Resume]),
        ("credit", ask.credit.is_some(), &[Stream, Resume, Credit]),
        ("credential", ask.credential.is_some() && !names_a_call(ask), &[]),
    ];
    let stray = fields.into_iter().find(|(_, there, kinds)| *there && !kinds.contains(&ask.kind));
    stray.map(|(field, ..)| field)
}

/// Whether the frame begins a call: a call of its own is what a credential is for.
fn names_a_call(ask: &Ask<'_>) -> bool {
    match ask.kind {
        AskType::Credit | AskType::Leave => false,
        AskType::Cancel => ask.run.is_some(),
        _ => true,
    }
}

/// What would be headers over HTTP, so that the same rules hold.
fn headers(ask: &Ask<'_>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &ask.tags {
        let field = || format!("tags.{name}");
        let refused =
            || Error::invalid(field(), format!("the label {name:?} does not fit a header"));
        let name = format!("{}{name}", header::TAG_PREFIX);
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let value = HeaderValue::from_str(value).map_err(|_| refused())?;
        if headers.insert(name, value).is_some() {
            return Err(Error::invalid(field(), "two labels have one name: case does not count"));
        }
    }
    if let Some(key) = &ask.idempotency_key {
        // What no header can hold is refused by the rule for keys.
        let value = HeaderValue::from_str(key).unwrap_or(HeaderValue::from_static(""));
        headers.insert(header::IDEMPOTENCY_KEY, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(frame: &str) -> (u64, Error) {
        match read(&Bytes::copy_from_slice(frame.as_bytes()), 100) {
            Err(Malformed::Call(call, error)) => (call, error),
            Err(Malformed::Frame(reason)) => panic!("{frame}: {reason}"),
            Ok(_) => panic!("{frame} is read"),
        }
    }

    #[test]
    fn a_bad_frame_is_told_to_its_call_with_the_field() {
        let long = format!(r#"{{"call":7,"type":"stream","request":"{}"}}"#, "x".repeat(100));
        for (frame, param) in [
            (r#"{"call":7,"type":"fly"}"#, Some("type")),
            (r#"{"call":7}"#, None),
            (r#"{"call":7,"type":"stream"}"#, Some("request")),
            (r#"{"call":7,"type":"stream","request":{},"speed":1}"#, Some("speed")),
            (r#"{"call":7,"type":"stream","request":{},"run":"a"}"#, Some("run")),
            (r#"{"call":7,"type":"models","request":{}}"#, Some("request")),
            (r#"{"call":7,"type":"generate","request":{},"credit":5}"#, Some("credit")),
            (r#"{"call":7,"type":"credit"}"#, Some("credit")),
            (r#"{"call":7,"type":"credit","credit":0}"#, Some("credit")),
            (r#"{"call":7,"type":"credit","credit":-1}"#, Some("credit")),
            (r#"{"call":7,"type":"credit","credit":1,"credential":"a"}"#, Some("credential")),
            (r#"{"call":7,"type":"cancel","credential":"a"}"#, Some("credential")),
            (r#"{"call":7,"type":"resume"}"#, Some("run")),
            (r#"{"call":7,"type":"stream","request":{},"timeout_ms":"soon"}"#, Some("timeout_ms")),
            (r#"{"call":7,"type":"stream","request":{},"credit":99999999999}"#, Some("credit")),
            (r#"{"call":7,"type":"stream","request":{},"tags":{"a b":"c"}}"#, Some("tags.a b")),
            (r#"{"call":7,"type":"stream","request":{},"tags":{"a":"1","A":"2"}}"#, Some("tags.a")),
            (
                r#"{"call":7,"type":"stream","request":{},"idempotency_key":"a\nb"}"#,
                Some("idempotency-key"),
            ),
            (long.as_str(), None),
        ] {
            let (call, error) = told(frame);
            assert_eq!((call, error.body().param.as_deref()), (7, param), "{frame}: {error}");
        }
    }

    #[test]
    fn a_frame_that_belongs_to_no_call_is_told_apart() {
        for (frame, reason) in [
            ("", "a frame is not a JSON object"),
            ("{", "a frame is not JSON"),
            ("\u{0}", "a frame is not a JSON object"),
            (r#"[1,"models"]"#, "a frame is not a JSON object"),
            ("{}", "a frame has no number of a call"),
            (r#"{"call":-1,"type":"models"}"#, "a frame has no number of a call"),
            (r#"{"call":"1","type":"models"}"#, "a frame has no number of a call"),
        ] {
            match read(&Bytes::copy_from_slice(frame.as_bytes()), 100) {
                Err(Malformed::Frame(told)) => assert_eq!(told, reason, "{frame}"),
                _ => panic!("{frame} belongs to a call"),
            }
        }
    }

    #[test]
    fn a_body_is_passed_on_byte_for_byte() {
        let frame = Bytes::from_static(br#"{"call":1,"type":"stream","request": {"x" : 1.50} }"#);
        let Ok((1, Order::Begin(call, _))) = read(&frame, 100) else { panic!("a good frame") };
        let What::Answer(question) = call.what else { panic!("a question") };
        assert_eq!(question.body, br#"{"x" : 1.50}"#[..]);
        assert!(question.streamed && question.key.is_none() && !question.resumable);
    }
}
