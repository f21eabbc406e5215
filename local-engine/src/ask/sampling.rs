//! Checks how tokens are to be chosen. llama.cpp's defaults stand in for what is absent.

use crate::sampler::Choice;
use std::{
    hash::{BuildHasher, RandomState},
    ops::RangeInclusive,
};
use tollgate_types::{Error, Sampling};

const MOST_STOPS: usize = 16;
const LONGEST_STOP: usize = 256;
const MOST_LOGPROBS: u8 = 20;

pub(super) fn choice(sampling: &Sampling) -> Result<Choice, Error> {
    let top_k = sampling.top_k.map_or(40, |k| usize::try_from(k).unwrap_or(usize::MAX));
    if sampling.logprobs.is_some_and(|count| count > MOST_LOGPROBS) {
        return Err(invalid("logprobs", format!("logprobs must be at most {MOST_LOGPROBS}")));
    }
    Ok(Choice {
        temperature: number("temperature", sampling.temperature, 0.8, 0.0..=2.0)?,
        top_k,
        top_p: number("top_p", sampling.top_p, 0.95, 0.0..=1.0)?,
        min_p: number("min_p", sampling.min_p, 0.05, 0.0..=1.0)?,
        presence_penalty: number("presence_penalty", sampling.presence_penalty, 0.0, -2.0..=2.0)?,
        frequency_penalty: number(
            "frequency_penalty",
            sampling.frequency_penalty,
            0.0,
            -2.0..=2.0,
        )?,
        seed: sampling.seed.map_or_else(|| RandomState::new().hash_one(0), i64::cast_unsigned),
        logprobs: sampling.logprobs.map(usize::from),
    })
}

/// A number in its range; NaN is in none.
fn number(
    name: &str,
    value: Option<f64>,
    default: f32,
    range: RangeInclusive<f64>,
) -> Result<f32, Error> {
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked, digits may go")]
    match value {
        None => Ok(default),
        Some(value) if range.contains(&value) => Ok(value as f32),
        Some(value) => {
            let (low, high) = range.into_inner();
            Err(invalid(name, format!("{name} must be between {low} and {high}, not {value}")))
        }
    }
}

pub(super) fn stop(sampling: &Sampling) -> Result<Vec<String>, Error> {
    if sampling.stop.len() > MOST_STOPS {
        return Err(invalid("stop", format!("at most {MOST_STOPS} stop texts are possible")));
    }
    if sampling.stop.iter().any(|stop| stop.is_empty() || stop.len() > LONGEST_STOP) {
        return Err(invalid("stop", format!("a stop text must have 1 to {LONGEST_STOP} bytes")));
    }
    Ok(sampling.stop.clone())
}

pub(super) fn max_output(sampling: &Sampling) -> Result<Option<u32>, Error> {
    match sampling.max_output_tokens {
        Some(0) => Err(invalid("max_output_tokens", "max_output_tokens must be at least 1".into())),
        limit => Ok(limit),
    }
}

fn invalid(field: &str, message: String) -> Error {
    Error::invalid(format!("sampling.{field}"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_chosen_as_llama_cpp_would() {
        let found = choice(&Sampling { seed: Some(-1), ..Sampling::default() }).unwrap();
        assert_eq!((found.top_k, found.seed, found.logprobs), (40, u64::MAX, None));
        assert!((found.temperature - 0.8).abs() < 0.001);
    }

    #[test]
    fn numbers_out_of_range_and_nan_are_refused_by_name() {
        let empty = Sampling::default;
        let cases = [
            ("temperature", Sampling { temperature: Some(f64::NAN), ..empty() }),
            ("temperature", Sampling { temperature: Some(-0.1), ..empty() }),
            ("temperature", Sampling { temperature: Some(2.1), ..empty() }),
            ("top_p", Sampling { top_p: Some(1.5), ..empty() }),
            ("min_p", Sampling { min_p: Some(f64::INFINITY), ..empty() }),
            ("presence_penalty", Sampling { presence_penalty: Some(3.0), ..empty() }),
            ("frequency_penalty", Sampling { frequency_penalty: Some(-2.1), ..empty() }),
            ("logprobs", Sampling { logprobs: Some(21), ..empty() }),
        ];
        for (name, sampling) in cases {
            let error = choice(&sampling).unwrap_err();
            assert_eq!(error.body().param.as_deref(), Some(format!("sampling.{name}").as_str()));
        }
    }

    #[test]
    fn stop_texts_have_limits() {
        let with = |stop: Vec<String>| stop_error(&Sampling { stop, ..Sampling::default() });
        assert!(!with(vec!["a".into(); 16]));
        assert!(with(vec!["a".into(); 17]));
        assert!(with(vec![String::new()]));
        assert!(with(vec!["a".repeat(257)]));
    }

    fn stop_error(sampling: &Sampling) -> bool {
        stop(sampling).is_err()
    }
}
