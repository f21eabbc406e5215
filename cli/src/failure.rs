//! Why a command did not do what it was asked, and what the reader can do about it.

use crate::show;
use std::{
    io::{self, ErrorKind as IoErrorKind, Write},
    process::ExitCode,
};
use tollgate_types::{Blame, Error, ErrorKind};

pub(crate) type Result<T> = std::result::Result<T, Failure>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server, or the way to it.
    #[error("{}", .0.message())]
    Call(#[from] Error),
    #[error("{0}")]
    Usage(String),
    #[error("cannot read or write: {0}")]
    Io(#[from] io::Error),
    #[error("the answer cannot be printed as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// Tells the reader, and gives the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            // The reader of a pipe has seen enough.
            Self::Io(error) if error.kind() == IoErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Interrupted => return ExitCode::from(130),
            _ => {}
        }
        // Nothing is left to do when stderr is closed too.
        let _ = self.write(&mut io::stderr().lock());
        ExitCode::from(if matches!(self, Self::Usage(_)) { 2 } else { 1 })
    }

    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "error: {self}")?;
        let Self::Call(error) = self else { return Ok(()) };
        if let Some(id) = error.request_id() {
            writeln!(out, "  request id: {id}")?;
        }
        if let Some(quota) = &error.body().quota {
            writeln!(out, "  {}", show::budget(quota))?;
        }
        match advice(error) {
            Some(advice) => writeln!(out, "  {advice}"),
            None => Ok(()),
        }
    }
}

fn advice(error: &Error) -> Option<String> {
    let body = error.body();
    let advice = match error.kind() {
        ErrorKind::Authentication if body.blame == Blame::Upstream => {
            "the provider refuses the server's own key: tell the operator"
        }
        ErrorKind::Authentication => {
            "check TOLLGATE_API_KEY: the key may be mistyped, expired or revoked"
        }
        ErrorKind::PermissionDenied => match &body.permission {
            Some(permission) => return Some(format!("the key lacks the permission {permission}")),
            None => "the key does not permit this",
        },
        ErrorKind::QuotaExceeded => "`toll budgets` shows every budget of the key",
        ErrorKind::NotFound if body.code.as_deref() == Some("not_tollgate") => return None,
        ErrorKind::NotFound => "`toll models` lists the models that the key may use",
        // With a code, the message says itself what to do.
        ErrorKind::Connection if body.code.is_none() => {
            "is the server running, and is TOLLGATE_URL its address?"
        }
        _ => {
            let seconds = error.retry_after()?.as_secs_f64().ceil();
            return Some(format!("try again in {seconds} s"));
        }
    };
    Some(advice.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(error: Error) -> String {
        let mut out = Vec::new();
        Failure::Call(error).write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_exhausted_budget_is_told_with_its_numbers() {
        let quota = serde_json::json!({
            "budget": "b1", "owner": "user:alice", "resource": "cost", "window": "total",
            "cap": 5_000_000_000_i64, "spent": 4_900_000_000_i64, "held": 50_000_000,
        });
        let error = Error::new(ErrorKind::QuotaExceeded, "the budget is used up").with(|body| {
            body.request_id = Some("req-7".to_owned());
            body.quota = serde_json::from_value(quota).unwrap();
        });
        let text = text(error);
        for part in ["used up", "req-7", "user:alice", "$5.00", "$4.90", "$0.05"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn a_refused_key_and_a_wait_are_explained() {
        let refused = Error::new(ErrorKind::Authentication, "no such key");
        assert!(text(refused).contains("TOLLGATE_API_KEY"));
        let busy = Error::new(ErrorKind::RateLimited, "too many requests")
            .with(|body| body.retry_after_ms = Some(1500));
        assert!(text(busy).contains("in 2 s"));
    }
}
