//! Tools that a model calls.

use super::{Check, Outcome, Scene, Subject, Verdict, answers::holds, answers::same_both_ways};
use crate::{
    FinishReason, FunctionTool, GenerateRequest, GenerateResponse, Message, Tool, ToolCall,
};
use std::collections::BTreeSet;

/// What the tool answers.
const RESULT: &str = "42";

pub(super) fn checks(subject: &dyn Subject) -> Vec<Check<'_>> {
    vec![
        ("a tool call is the same both ways", Box::pin(called(subject, 1))),
        ("calls of one turn are told apart", Box::pin(called(subject, 3))),
        ("the result of a tool is taken", Box::pin(answered(subject))),
    ]
}

async fn called(subject: &dyn Subject, times: u8) -> Outcome {
    let Some(request) = subject.request(&Scene::Calls(times)) else { return Ok(Verdict::Skipped) };
    let answer = same_both_ways(subject, request).await?;
    let calls = good_calls(&answer)?;
    holds(calls.len() == usize::from(times), || format!("{calls:?}"))
}

/// The calls of an answer, which are calls of the scene's tool.
fn good_calls(answer: &GenerateResponse) -> Result<Vec<ToolCall>, String> {
    let calls: Vec<ToolCall> = answer.tool_calls().cloned().collect();
    if answer.finish.reason != FinishReason::ToolCalls {
        return Err(format!("the calls are not why it ended: {answer:?}"));
    }
    let Tool::Function(FunctionTool { name, .. }) = Scene::tool() else {
        return Err("the tool is no function".to_owned());
    };
    for call in &calls {
        if call.name != name || call.id.is_empty() {
            return Err(format!("another tool, or a call without an id: {call:?}"));
        }
        match call.parse() {
            Ok(arguments) if arguments.is_object() => {}
            other => return Err(format!("arguments that are no object: {call:?}: {other:?}")),
        }
    }
    let ids: BTreeSet<&str> = calls.iter().map(|call| call.id.as_str()).collect();
    if ids.len() != calls.len() {
        return Err(format!("two calls have one id: {calls:?}"));
    }
    Ok(calls)
}

async fn answered(subject: &dyn Subject) -> Outcome {
    let Some(request) = subject.request(&Scene::Agent) else { return Ok(Verdict::Skipped) };
    let answer = same_both_ways(subject, request.clone()).await?;
    let calls = good_calls(&answer)?;
    let answer = same_both_ways(subject, continued(request, answer, &calls)).await?;
    let said = answer.text();
    holds(said.contains(RESULT) && answer.tool_calls().count() == 0, || format!("{answer:?}"))
}

/// The next request of an agent's loop.
fn continued(
    mut request: GenerateRequest,
    answer: GenerateResponse,
    calls: &[ToolCall],
) -> GenerateRequest {
    request.messages.push(answer.into_message());
    request.messages.extend(calls.iter().map(|call| Message::tool_result(call, RESULT)));
    request.tool_choice = None;
    request
}
