//! Names and time zones that make sense.

use super::AdminError;
use crate::store::StoreError;

/// The longest name, bytes.
const MAX_BYTES: usize = 128;

/// Refuses what cannot be the name of a user, a team or an organisation.
pub(super) fn check_name(name: &str) -> Result<(), AdminError> {
    let wrong = |why: &str| Err(AdminError::invalid("name", format!("{name:?} {why}")));
    if name.len() > MAX_BYTES {
        return Err(AdminError::invalid(
            "name",
            format!("a name has at most {MAX_BYTES} bytes, this one has {}", name.len()),
        ));
    }
    if name.trim().is_empty() || name.trim() != name {
        return wrong("cannot be a name: it is empty, or begins or ends with a space");
    }
    // What is deleted is called `name#id`.
    if name.contains('#') || name.chars().any(char::is_control) {
        return wrong("cannot be a name: it has a # or a control character in it");
    }
    Ok(())
}

/// Refuses what is no time zone.
pub(super) fn check_zone(zone: &str) -> Result<(), AdminError> {
    if jiff::tz::TimeZone::get(zone).is_ok() {
        return Ok(());
    }
    let message = format!("{zone:?} is no time zone, use a name like Europe/Berlin");
    Err(AdminError::invalid("time_zone", message))
}

/// A name that is taken is the caller's mistake, not the database's.
pub(super) fn taken(kind: &'static str, name: &str) -> impl FnOnce(StoreError) -> AdminError {
    let message = format!("there is a {kind} called {name:?} already");
    move |error| match error {
        StoreError::Taken => AdminError::InTheWay(message),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let long = "x".repeat(129);
        for wrong in ["", " ", " a", "a ", "a#b", "a\nb", "a\0", &long] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
        for right in ["a", "Red Team", "Müller & Söhne", "'; drop table users; --"] {
            check_name(right).unwrap();
        }
        assert!(check_zone("Mars/Olympus").is_err() && check_zone("").is_err());
        check_zone("Europe/Berlin").unwrap();
    }
}
