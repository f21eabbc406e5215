//! Opening a call: candidates in order until one answers, never after the first event.

use crate::{
    access::Target,
    catalog::{Candidate, Plan},
    ledger::Meter,
};
use tollgate_types::{Blame, Error, ErrorKind, EventStream, GenerateRequest, Result};

/// Sends the request to the permitted targets in order. A failure that another upstream might not
/// have moves on to the next; a request that is at fault itself does not.
///
/// # Errors
/// The last failure.
pub async fn open(
    plan: &Plan,
    targets: &[Target],
    meter: &mut Meter,
    request: GenerateRequest,
) -> Result<(EventStream, Target)> {
    let mut last = Error::new(ErrorKind::Internal, "no upstream is left to ask");
    let mut request = Some(request);
    let mut candidates = (1..).zip(candidates(plan, targets)).peekable();
    while let Some((attempt, candidate)) = candidates.next() {
        meter.reaches(&candidate.target, attempt);
        // Prompts can be large, and most models have one target.
        let sent = if candidates.peek().is_some() { request.clone() } else { request.take() };
        let Some(mut sent) = sent else { break };
        sent.model.clone_from(&candidate.target.model);
        sent.options.model_max_output = candidate.max_output;
        match candidate.provider.stream(sent).await {
            Ok(events) => return Ok((events, candidate.target.clone())),
            Err(error) if error.body().blame == Blame::Caller || was_taken(&error) => {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(target = %candidate.target, kind = %error.kind(), "an upstream failed");
                last = error;
            }
        }
    }
    Err(last)
}

/// Whether an upstream had taken the request, and may charge for it, when it failed.
pub fn was_taken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Timeout | ErrorKind::StreamInterrupted)
}

/// Candidates of the permitted targets.
pub fn candidates<'p>(
    plan: &'p Plan,
    targets: &'p [Target],
) -> impl Iterator<Item = &'p Candidate> {
    targets.iter().filter_map(|target| plan.candidate(target))
}
