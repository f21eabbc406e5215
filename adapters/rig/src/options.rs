//! Rig's portable options: which of them a Tollgate request has a place for.

use crate::request::Refusal;
use rig_core::completion::{
    GenerationOptions, Reasoning,
    options::{Mapping, OptionFields, OptionMap},
};
use serde_json::json;
use tollgate_types::{GenerateRequest, ReasoningOptions};

/// What rig is told about its options before a request is encoded: what has no place is refused, or
/// left out with a warning where the caller asked for that.
pub(crate) fn answers(fields: OptionFields<'_>) -> OptionMap {
    let OptionFields {
        reasoning,
        cache,
        service_tier,
        verbosity,
        parallel_tool_calls,
        top_p,
        seed,
        stop,
    } = fields;
    let extras = |what: &str| {
        let reason = format!("say {what} in `additional_params`, under the provider's name");
        Mapping::unsupported(reason)
    };
    OptionMap {
        reasoning: Mapping::of(reasoning, |chosen| Mapping::Send(json!({"reasoning": chosen}))),
        cache: Mapping::of(cache, |_| extras("cache markers")),
        service_tier: Mapping::of(service_tier, |_| extras("the service tier")),
        verbosity: Mapping::of(verbosity, |_| extras("the verbosity")),
        parallel_tool_calls: Mapping::of(parallel_tool_calls, |parallel| {
            Mapping::Send(json!({"parallel_tool_calls": parallel}))
        }),
        top_p: Mapping::of(top_p, |p| Mapping::Send(json!({"sampling": {"top_p": p}}))),
        seed: Mapping::of(seed, |seed| match i64::try_from(seed) {
            Ok(seed) => Mapping::Send(json!({"sampling": {"seed": seed}})),
            Err(_) => Mapping::unsupported("a seed is at most 9223372036854775807"),
        }),
        stop: Mapping::of_stop(stop, |texts| Mapping::Send(json!({"sampling": {"stop": texts}}))),
    }
}

/// Writes the options into a request.
pub(crate) fn apply(
    request: &mut GenerateRequest,
    options: &GenerationOptions,
) -> Result<(), Refusal> {
    let fields = options.fields();
    request.parallel_tool_calls = fields.parallel_tool_calls;
    request.sampling.top_p = fields.top_p;
    request.sampling.stop = fields.stop.to_vec();
    let seed = fields.seed.map(i64::try_from).transpose();
    request.sampling.seed = seed.map_err(|_| Refusal::of("seed", "is too large"))?;
    request.reasoning = fields.reasoning.map(reasoning).transpose()?;
    Ok(())
}

fn reasoning(chosen: &Reasoning) -> Result<ReasoningOptions, Refusal> {
    let (effort, budget_tokens) = match chosen {
        Reasoning::Off => (Some("none".to_owned()), None),
        Reasoning::Effort(effort) => (Some(effort.as_str().to_owned()), None),
        Reasoning::Budget { tokens } => (None, Some(*tokens)),
        _ => return Err(Refusal::of("reasoning", "this adapter does not know that level")),
    };
    Ok(ReasoningOptions { effort, budget_tokens, include_text: None })
}
