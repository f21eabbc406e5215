//! What is wrong with a price, and where.

use super::{Amounts, PriceEntry};
use std::fmt;
use tollgate_types::{GPU_MS, NanoUsd};

/// Names of [`Amounts::inputs`] and [`Amounts::outputs`].
const INPUTS: [&str; 5] =
    ["cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in"];
const OUTPUTS: [&str; 2] = ["reasoning", "audio_out"];
/// Fees that are counted, or that vendors publish. Others may be named too, but nothing that looks
/// like one of these and is not.
const KNOWN_FEES: [&str; 16] = [
    "attachment_search",
    "code_execution",
    "code_interpreter",
    "collections_search",
    "file_search",
    "google_maps",
    "google_search",
    "grounded_prompt",
    "image_generation",
    "mcp",
    "tool_search",
    "url_context",
    "web_fetch",
    "web_search",
    "web_search_preview",
    "x_search",
];
/// A year: a model that works longer on one request does not exist.
const LONGEST_S: u32 = 31_536_000;

/// What is wrong with a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceError {
    /// Name of the field, with dots: `long_context.above`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl PriceError {
    fn new(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { field: field.into(), message: message.to_string() }
    }
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl std::error::Error for PriceError {}

impl PriceEntry {
    /// Refuses names, amounts and dates that are none.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check(&self) -> Result<(), PriceError> {
        self.check_model()?;
        self.amounts().check("")?;
        for (field, text) in [("per_request", &self.per_request), ("gpu_second", &self.gpu_second)]
        {
            text.as_ref().map_or(Ok(()), |text| amount(field, text))?;
        }
        if self.max_seconds.is_some_and(|seconds| !(1..=LONGEST_S).contains(&seconds)) {
            let message = format!("must be 1 to {LONGEST_S}");
            return Err(PriceError::new("max_seconds", message));
        }
        self.tools.iter().try_for_each(|(fee, text)| check_fee(fee, text))?;
        if let Some(long) = &self.long_context {
            if long.above == 0 {
                return Err(PriceError::new("long_context.above", "must be at least 1 token"));
            }
            long.amounts().check("long_context.")?;
        }
        match &self.as_of {
            Some(day) if day.parse::<jiff::civil::Date>().is_err() => {
                let message = format!("{day:?} is not a day, write it like 2026-10-03");
                Err(PriceError::new("as_of", message))
            }
            _ => Ok(()),
        }
    }

    fn check_model(&self) -> Result<(), PriceError> {
        let name = &self.model;
        let two = name.split_once('/').is_some_and(|(p, m)| !p.is_empty() && !m.is_empty());
        if !two {
            let message = format!("the model {name:?} must be <provider>/<model>");
            return Err(PriceError::new("model", message));
        }
        if name.strip_suffix('*').unwrap_or(name).contains('*') {
            let message = format!("{name:?} has a * that does not stand at its end");
            return Err(PriceError::new("model", message));
        }
        Ok(())
    }
}

fn check_fee(fee: &str, text: &str) -> Result<(), PriceError> {
    let field = format!("tools.{fee}");
    if fee == GPU_MS {
        return Err(PriceError::new(field, "time is priced by gpu_second"));
    }
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if fee.is_empty() || !fee.bytes().all(word) {
        let message = "a tool's name has small letters, digits and _";
        return Err(PriceError::new(field, message));
    }
    if !KNOWN_FEES.contains(&fee) {
        let distance = |known: &'static str| (strsim::damerau_levenshtein(fee, known), known);
        let long = KNOWN_FEES.into_iter().filter(|known| known.len() > 3);
        let near = long.map(distance).min();
        if let Some((_, known)) = near.filter(|(distance, _)| *distance <= 2) {
            let message = format!("no tool is called {fee:?}, did you mean {known:?}?");
            return Err(PriceError::new(field, message));
        }
    }
    amount(&field, text)
}

impl Amounts<'_> {
    fn check(&self, place: &str) -> Result<(), PriceError> {
        amount(&format!("{place}input"), self.input)?;
        amount(&format!("{place}output"), self.output)?;
        let others = INPUTS.iter().zip(self.inputs).chain(OUTPUTS.iter().zip(self.outputs));
        for (field, text) in others {
            let Some(text) = text else { continue };
            amount(&format!("{place}{field}"), text)?;
        }
        Ok(())
    }
}

fn amount(field: &str, text: &str) -> Result<(), PriceError> {
    text.parse::<NanoUsd>().map(drop).map_err(|error| PriceError::new(field, error))
}
