//! A value that cannot be printed: keys and tokens travel through the program inside it.

use std::fmt;

/// Holds a secret. It has no `Display` and no `Serialize`, and its `Debug` prints stars, so that
/// no log line, error, snapshot or panic message can leak it by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Hands out the secret. Every call of this is a place to look at in a review.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let holder = Some(Secret::new("sk-very-secret".to_owned()));
        assert_eq!(format!("{holder:?}"), "Some(***)");
    }
}
