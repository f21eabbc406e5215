//! What operators may call things, and what permissions may say.

use super::AdminError;
use crate::{access::Permissions, store::StoreError};

/// The longest name, in bytes.
const MAX_NAME: usize = 128;
/// The most patterns of one list.
const MAX_PATTERNS: usize = 1000;

/// A name that other things are found by.
///
/// # Errors
/// When it is empty or too long, or has letters that lists could not show.
pub(super) fn check_name(name: &str) -> Result<(), AdminError> {
    // `#` stands between the name and the id of what was deleted.
    if name.is_empty() || name.contains('#') || name.trim() != name {
        return Err(AdminError::invalid("name", format!("{name:?} cannot be a name")));
    }
    check_label(name)
}

/// A name for people alone, which may be empty.
///
/// # Errors
/// When it is too long or has letters that lists could not show.
pub(super) fn check_label(name: &str) -> Result<(), AdminError> {
    if name.len() > MAX_NAME {
        return Err(AdminError::invalid("name", format!("a name has at most {MAX_NAME} bytes")));
    }
    if name.chars().any(char::is_control) {
        return Err(AdminError::invalid("name", format!("{name:?} cannot be a name")));
    }
    Ok(())
}

/// A time zone by its IANA name.
///
/// # Errors
/// When there is no such zone.
pub(super) fn check_zone(zone: &str) -> Result<(), AdminError> {
    if jiff::tz::TimeZone::get(zone).is_ok() {
        return Ok(());
    }
    let message = format!("{zone:?} is no time zone, use a name like Europe/Berlin");
    Err(AdminError::invalid("time_zone", message))
}

/// Patterns that mean what they look like.
///
/// # Errors
/// When one is empty, too long, or has a `*` before its end.
pub(super) fn check_permissions(permissions: &Permissions) -> Result<(), AdminError> {
    let lists = [
        ("permissions.providers", &permissions.providers),
        ("permissions.models", &permissions.models),
    ];
    for (field, patterns) in lists {
        let patterns = patterns.as_deref().unwrap_or_default();
        if patterns.len() > MAX_PATTERNS {
            let message = format!("a list has at most {MAX_PATTERNS} patterns");
            return Err(AdminError::invalid(field, message));
        }
        patterns.iter().try_for_each(|pattern| check_pattern(field, &pattern.0))?;
    }
    Ok(())
}

/// A change that changes something.
///
/// # Errors
/// When it has no field.
pub(super) fn something<P: Default + PartialEq>(patch: &P) -> Result<(), AdminError> {
    if *patch != P::default() {
        return Ok(());
    }
    Err(AdminError::invalid("", "nothing is to be changed: name at least one field"))
}

/// A name, or the beginning of names when it ends in `*`.
///
/// # Errors
/// When it is empty, too long, or has a `*` before its end.
pub fn check_pattern(field: &str, pattern: &str) -> Result<(), AdminError> {
    let beginning = pattern.strip_suffix('*').unwrap_or(pattern);
    let wrong = |message: String| Err(AdminError::invalid(field, message));
    if pattern.is_empty() || pattern.len() > 2 * MAX_NAME || pattern.chars().any(char::is_control) {
        return wrong(format!("{pattern:?} cannot be a pattern"));
    }
    if beginning.contains('*') {
        return wrong(format!("{pattern:?} has a * before its end, where it stands for nothing"));
    }
    Ok(())
}

/// A name that is taken is the operator's mistake, not the database's.
pub(super) fn taken(kind: &'static str, name: &str) -> impl FnOnce(StoreError) -> AdminError {
    let message = format!("another {kind} is called {name:?} already");
    move |error| match error {
        StoreError::Taken => AdminError::InTheWay(message),
        error => error.into(),
    }
}
