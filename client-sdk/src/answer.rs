//! The body of an answer that comes whole: read only where it is Tollgate's, and never without bound.

use crate::{
    failure::{self, Head},
    transport::Reply,
};
use reqwest::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use std::time::Duration;
use tokio::time::timeout;
use tollgate_types::Result;

/// Largest answer that is read: more than vectors of the longest list of texts take.
pub(crate) const LARGEST: usize = 128 << 20;
/// Largest body of an unsuccessful answer; Tollgate's own are below 4 KiB.
const LARGEST_REFUSAL: usize = 64 << 10;
/// How long the body of an unsuccessful answer may take; without it the status alone says what
/// happened.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(5);

/// Part of the media type of events.
pub(crate) const EVENT_STREAM: &str = "event-stream";

/// Takes in an answer that may be JSON.
///
/// # Errors
/// `protocol` when it is not Tollgate's or has no end, `connection` when it breaks off.
pub(crate) async fn whole(response: Response) -> Result<Reply> {
    let head = Head::of(&response);
    check_type(&head, &response, "json")?;
    let body = bounded(response, &head).await?.into();
    Ok(Reply { head, body })
}

/// The error of an unsuccessful answer.
pub(crate) async fn refusal(mut response: Response) -> tollgate_types::Error {
    let head = Head::of(&response);
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(&piece);
            if body.len() > LARGEST_REFUSAL {
                break;
            }
        }
    };
    // What came by then may be whole, and what is not says nothing.
    drop(timeout(REFUSAL_PATIENCE, reading).await);
    head.refusal(&body)
}

/// Refuses an answer that says of itself that it is not what was asked for. One that says nothing is
/// read as JSON, which has to prove itself, but not as events.
///
/// # Errors
/// `protocol`.
pub(crate) fn check_type(head: &Head, response: &Response, wanted: &str) -> Result<()> {
    let said = |name| response.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(coding) = said(CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        let what = format!("the answer is compressed ({}), unasked", short(coding));
        return Err(head.not_tollgate(&what));
    }
    match said(CONTENT_TYPE) {
        Some(kind) if !kind.to_ascii_lowercase().contains(wanted) => {
            Err(head.not_tollgate(&format!("the answer is no {wanted} but {}", short(kind))))
        }
        None if wanted == EVENT_STREAM => {
            Err(head.not_tollgate("the answer does not say that it is a stream of events"))
        }
        _ => Ok(()),
    }
}

/// A stranger's header, cut before it could echo a request.
fn short(header: &str) -> &str {
    let end = header.find([';', ',', ' ']).unwrap_or(header.len()).min(32);
    header.get(..end).unwrap_or("?")
}

async fn bounded(mut response: Response, head: &Head) -> Result<Vec<u8>> {
    let too_large = || head.not_tollgate(&format!("the answer is longer than {LARGEST} bytes"));
    let said = response.content_length().map(usize::try_from).transpose();
    let said = said.map_err(|_| too_large())?.unwrap_or_default();
    if said > LARGEST {
        return Err(too_large());
    }
    // What is said is not believed before it came.
    let mut body = Vec::with_capacity(said.min(1 << 20));
    while let Some(piece) =
        response.chunk().await.map_err(|error| head.stamp(failure::transport(error)))?
    {
        if body.len().saturating_add(piece.len()) > LARGEST {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
