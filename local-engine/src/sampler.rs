//! Chooses the next token from the logits.
//!
//! In Rust and not through llama.cpp's sampler chain: the same code runs on the fake backend, and a
//! grammar that meets a token it does not know throws through the FFI there, which ends the process.
#![expect(clippy::float_arithmetic, reason = "probabilities are floats")]

use crate::backend::{BackendError, Grammar, Token};
use std::collections::HashMap;

/// How tokens are chosen; checked by `crate::ask` before it comes here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Choice {
    /// 0 takes the likeliest.
    pub(crate) temperature: f32,
    /// 0 is all.
    pub(crate) top_k: usize,
    pub(crate) top_p: f32,
    pub(crate) min_p: f32,
    pub(crate) presence_penalty: f32,
    pub(crate) frequency_penalty: f32,
    pub(crate) seed: u64,
    /// How many alternatives to report beside each token.
    pub(crate) logprobs: Option<usize>,
}

/// A token with its natural log-probability, and the likeliest alternatives, best first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Logprobs {
    pub(crate) chosen: f64,
    pub(crate) top: Vec<(Token, f64)>,
}

/// Why no token could be chosen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SampleError {
    #[error("the model computed no usable logits")]
    NoLogits,
    #[error("the grammar allows no token")]
    NoToken,
    #[error("the grammar failed: {0}")]
    Grammar(#[from] BackendError),
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    token: Token,
    logit: f32,
}

/// Chooses the tokens of one answer.
pub(crate) struct Sampler {
    choice: Choice,
    grammar: Option<Box<dyn Grammar>>,
    random: fastrand::Rng,
    seen: HashMap<Token, u32>,
}

impl Sampler {
    pub(crate) fn new(choice: Choice, grammar: Option<Box<dyn Grammar>>) -> Self {
        let random = fastrand::Rng::with_seed(choice.seed);
        Self { choice, grammar, random, seen: HashMap::new() }
    }

    /// Chooses a token. A free choice is checked against the grammar first: masking the whole
    /// vocabulary costs milliseconds and is needed only when the free choice is not allowed.
    pub(crate) fn sample(&mut self, logits: &[f32]) -> Result<Token, SampleError> {
        let free = if self.choice.temperature == 0.0 && self.seen.is_empty() {
            likeliest(logits).ok_or(SampleError::NoLogits)?
        } else {
            let candidates = self.candidates(logits);
            self.draw(candidates).ok_or(SampleError::NoLogits)?
        };
        let Some(grammar) = &mut self.grammar else { return Ok(free) };
        if grammar.allowed(&[free]).first() == Some(&true) {
            return Ok(free);
        }
        let candidates = self.masked(logits);
        self.draw(candidates).ok_or(SampleError::NoToken)
    }

    /// Moves on after a token that does not end the answer.
    pub(crate) fn accept(&mut self, token: Token) -> Result<(), SampleError> {
        if self.choice.presence_penalty != 0.0 || self.choice.frequency_penalty != 0.0 {
            *self.seen.entry(token).or_default() += 1;
        }
        if let Some(grammar) = &mut self.grammar {
            grammar.accept(token)?;
        }
        Ok(())
    }

    /// Log-probabilities of the model itself, before penalties and temperature; when asked for.
    pub(crate) fn logprobs(&self, logits: &[f32], token: Token) -> Option<Logprobs> {
        let wanted = self.choice.logprobs?;
        let all = || finite(logits).map(|candidate| f64::from(candidate.logit));
        let max = all().fold(f64::NEG_INFINITY, f64::max);
        let norm = max + all().map(|logit| (logit - max).exp()).sum::<f64>().ln();
        let mut best: Vec<Candidate> = finite(logits).collect();
        keep_best(&mut best, wanted);
        let index = usize::try_from(token).ok()?;
        Some(Logprobs {
            chosen: f64::from(*logits.get(index)?) - norm,
            top: best.iter().map(|c| (c.token, f64::from(c.logit) - norm)).collect(),
        })
    }

    fn candidates(&self, logits: &[f32]) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = finite(logits).collect();
        if self.seen.is_empty() {
            return candidates;
        }
        for candidate in &mut candidates {
            if let Some(times) = self.seen.get(&candidate.token) {
                #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^24")]
                let times = *times as f32;
                candidate.logit -=
                    self.choice.presence_penalty + times * self.choice.frequency_penalty;
            }
        }
        candidates
    }

    fn masked(&mut self, logits: &[f32]) -> Vec<Candidate> {
        let mut candidates = self.candidates(logits);
        let tokens: Vec<Token> = candidates.iter().map(|candidate| candidate.token).collect();
        if let Some(grammar) = &mut self.grammar {
            let mut allowed = grammar.allowed(&tokens).into_iter();
            candidates.retain(|_| allowed.next() == Some(true));
        }
        candidates
    }

    /// The order of llama.cpp's chain: top-k, top-p, min-p, temperature, draw.
    fn draw(&mut self, mut candidates: Vec<Candidate>) -> Option<Token> {
        let Choice { temperature, top_k, top_p, min_p, .. } = self.choice;
        if temperature == 0.0 {
            let best = candidates.iter().reduce(|a, b| if b.logit > a.logit { b } else { a });
            return best.map(|candidate| candidate.token);
        }
        if top_k > 0 {
            keep_best(&mut candidates, top_k);
        }
        if top_p < 1.0 {
            keep_mass(&mut candidates, top_p);
        }
        let max = candidates.iter().map(|c| c.logit).fold(f32::NEG_INFINITY, f32::max);
        if min_p > 0.0 {
            candidates.retain(|candidate| candidate.logit >= max + min_p.ln());
        }
        let weight = |c: &Candidate| f64::from((c.logit - max) / temperature).exp();
        let total: f64 = candidates.iter().map(weight).sum();
        let mut rest = self.random.f64() * total;
        let chosen = candidates.iter().find(|candidate| {
            rest -= weight(candidate);
            rest < 0.0
        });
        chosen.or(candidates.last()).map(|candidate| candidate.token)
    }
}

/// NaN and infinite logits are no candidates.
fn finite(logits: &[f32]) -> impl Iterator<Item = Candidate> {
    let numbered = (0..).zip(logits.iter().copied());
    numbered.filter(|(_, l)| l.is_finite()).map(|(token, logit)| Candidate { token, logit })
}

fn likeliest(logits: &[f32]) -> Option<Token> {
    finite(logits).reduce(|a, b| if b.logit > a.logit { b } else { a }).map(|best| best.token)
}

/// Keeps the likeliest few, best first. Equal logits are ordered by token, so that a seed decides.
fn keep_best(candidates: &mut Vec<Candidate>, count: usize) {
    let order =
        |a: &Candidate, b: &Candidate| b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token));
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count, order);
        candidates.truncate(count);
    }
    candidates.sort_unstable_by(order);
}

/// Keeps the fewest of the likeliest that together have the probability.
fn keep_mass(candidates: &mut Vec<Candidate>, mass: f32) {
    let max = candidates.iter().map(|c| c.logit).fold(f32::NEG_INFINITY, f32::max);
    let weight = |c: &Candidate| f64::from(c.logit - max).exp();
    let wanted = candidates.iter().map(weight).sum::<f64>() * f64::from(mass);
    keep_best(candidates, usize::MAX);
    let mut sum = 0.0;
    let enough = candidates.iter().position(|candidate| {
        sum += weight(candidate);
        sum >= wanted
    });
    candidates.truncate(enough.map_or(candidates.len(), |last| last + 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice() -> Choice {
        Choice {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: 7,
            logprobs: None,
        }
    }

    fn draws(choice: Choice, logits: &[f32]) -> Vec<Token> {
        let mut sampler = Sampler::new(choice, None);
        (0..200).map(|_| sampler.sample(logits).unwrap()).collect()
    }

    #[test]
    fn temperature_zero_takes_the_likeliest_and_skips_what_is_no_number() {
        let logits = [0.0, f32::NAN, 3.0, f32::INFINITY, 2.0];
        assert_eq!(draws(Choice { temperature: 0.0, ..choice() }, &logits), vec![2; 200]);
    }

    #[test]
    fn a_seed_repeats_itself_and_another_one_differs() {
        let logits = [1.0, 1.1, 0.9, 1.0];
        assert_eq!(draws(choice(), &logits), draws(choice(), &logits));
        assert_ne!(draws(choice(), &logits), draws(Choice { seed: 8, ..choice() }, &logits));
    }

    #[test]
    fn each_limit_keeps_only_the_likely_tokens() {
        let logits = [0.0, 5.0, 4.5, -2.0];
        for limited in [
            Choice { top_k: 2, ..choice() },
            Choice { top_p: 0.9, ..choice() },
            Choice { min_p: 0.3, ..choice() },
        ] {
            let drawn = draws(limited, &logits);
            assert!(drawn.iter().all(|token| [1, 2].contains(token)), "{limited:?}");
            assert!(drawn.contains(&1) && drawn.contains(&2), "{limited:?}");
        }
    }

    #[test]
    fn penalties_move_on_to_other_tokens() {
        let mut sampler =
            Sampler::new(Choice { temperature: 0.0, presence_penalty: 2.0, ..choice() }, None);
        let first = sampler.sample(&[1.0, 2.0, 1.5]).unwrap();
        sampler.accept(first).unwrap();
        assert_eq!((first, sampler.sample(&[1.0, 2.0, 1.5]).unwrap()), (1, 2));
    }

    #[test]
    fn no_usable_logits_are_an_error() {
        let mut sampler = Sampler::new(choice(), None);
        assert!(sampler.sample(&[f32::NAN, f32::NEG_INFINITY]).is_err());
    }

    #[test]
    fn logprobs_are_those_of_the_model_with_the_best_alternatives_first() {
        let sampler = Sampler::new(Choice { logprobs: Some(2), ..choice() }, None);
        let found = sampler.logprobs(&[0.0, 0.0, 1.0, -9.0], 0).unwrap();
        assert!((found.chosen - -1.551).abs() < 0.01, "{found:?}");
        assert_eq!(found.top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [2, 0]);
    }

    struct Only(Token);

    impl Grammar for Only {
        fn allowed(&mut self, tokens: &[Token]) -> Vec<bool> {
            tokens.iter().map(|token| *token == self.0).collect()
        }
        fn accept(&mut self, _: Token) -> Result<(), BackendError> {
            Ok(())
        }
    }

    #[test]
    fn a_grammar_overrules_what_is_likely() {
        let mut sampler = Sampler::new(Choice { top_k: 1, ..choice() }, Some(Box::new(Only(3))));
        assert_eq!(sampler.sample(&[9.0, 9.0, 9.0, -9.0]).unwrap(), 3);
        let mut sampler = Sampler::new(choice(), Some(Box::new(Only(9))));
        assert!(matches!(sampler.sample(&[1.0, 1.0]), Err(SampleError::NoToken)));
    }
}
