//! `GET /api/v1/usage/export`: single requests, all of them, as CSV or as a JSON value a line.
//!
//! A page at a time is read and sent, so that an export of any length needs the memory of one page.
//! When the database fails in the middle the connection breaks off: half an export never looks whole.

use super::{Problem, parse, refusal, spreadsheet};
use crate::{
    ingress::front::Front,
    ledger::report::{self, Export, Format, ReportError, csv},
};
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{
        HeaderMap, HeaderValue, Response,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
};
use bytes::Bytes;
use futures_util::stream;
use std::{io, sync::Arc};
use tollgate_types::{Error, Result, UsageRow};

pub(crate) async fn export(
    State(front): State<Arc<Front>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(&headers).await?;
    let query = parse(query.as_deref().unwrap_or_default(), &caller)?;
    let format = query.format.unwrap_or(Format::Jsonl);
    if format == Format::Json {
        return Err(Error::invalid("format", "format is json, use one of: jsonl, csv").into());
    }
    let mut export = report::export(&query, front.clock.now_ms()).map_err(refusal)?;
    // The first page comes before the answer begins, so that its errors have a status.
    let mut first =
        if format == Format::Csv { csv::header().map_err(refusal)? } else { Vec::new() };
    first.extend(page(&front, &mut export, format).await.map_err(refusal)?.unwrap_or_default());
    let rest = Rest { front, export, format, first: Some(first) };
    let body = Body::from_stream(stream::try_unfold(rest, Rest::next));
    Ok(described(body, format))
}

fn described(body: Body, format: Format) -> Response<Body> {
    let (mut response, name) = match format {
        Format::Csv => (spreadsheet(body), "attachment; filename=\"usage.csv\""),
        _ => {
            let mut response = Response::new(body);
            let kind = HeaderValue::from_static("application/jsonl");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            (response, "attachment; filename=\"usage.jsonl\"")
        }
    };
    response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    response
}

struct Rest {
    front: Arc<Front>,
    export: Export,
    format: Format,
    first: Option<Vec<u8>>,
}

impl Rest {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Ok(Some((Bytes::from(first), self)));
        }
        match page(&self.front, &mut self.export, self.format).await {
            Ok(page) => Ok(page.map(|page| (Bytes::from(page), self))),
            Err(error) => {
                tracing::warn!(%error, "an export of usage broke off");
                Err(io::Error::other(error))
            }
        }
    }
}

/// The next page; none behind the last. Somebody who reads slowly keeps nobody else from a turn.
async fn page(
    front: &Front,
    export: &mut Export,
    format: Format,
) -> Result<Option<Vec<u8>>, ReportError> {
    let rows = {
        let _turn = front.reports.acquire().await;
        export.next(&front.store).await?
    };
    if rows.is_empty() {
        return Ok(None);
    }
    let page = if format == Format::Csv { csv::rows(&rows)? } else { lines(&rows)? };
    Ok(Some(page))
}

fn lines(rows: &[UsageRow]) -> Result<Vec<u8>, ReportError> {
    let mut text = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut text, row).map_err(|e| ReportError::Text(e.to_string()))?;
        text.push(b'\n');
    }
    Ok(text)
}
