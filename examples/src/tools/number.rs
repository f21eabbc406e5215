//! Numbers in words for a model.

/// Twelve significant digits, so that 0.1 + 0.2 reads 0.3.
pub(super) fn show(value: f64) -> String {
    let rounded: f64 = format!("{value:.11e}").parse().unwrap_or(value);
    // Not "-0".
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}
