//! The text of an API key: `tg_<key id>_<secret>_<checksum>`.
//!
//! The checksum tells a typing error from a stranger without asking the database, and lets secret
//! scanners recognise leaked keys.

use tollgate_types::Secret;

/// Letters and digits of secrets: 62 of them, 5.95 bits each.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 43 letters carry 256 bits.
const SECRET_LETTERS: usize = 43;
/// No credential is longer; a longer header is not looked at.
const MAX_LENGTH: usize = 256;

/// The whole text of a key.
pub type ApiKey = Secret<String>;

/// A key taken apart.
#[derive(Debug)]
pub struct KeyParts<'k> {
    /// Id of the key.
    pub id: &'k str,
    /// The part that only its owner knows.
    pub secret: Secret<&'k str>,
}

impl<'k> KeyParts<'k> {
    /// Takes a key apart; `None` when it is not the text of a Tollgate key.
    pub fn parse(text: &'k str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let (body, checksum) = text.rsplit_once('_')?;
        let (id, secret) = body.strip_prefix("tg_")?.split_once('_')?;
        (checksum_of(body) == checksum && !id.is_empty() && !secret.is_empty())
            .then(|| Self { id, secret: Secret::new(secret) })
    }
}

fn checksum_of(body: &str) -> String {
    format!("{:08x}", crc32fast::hash(body.as_bytes()))
}

/// A new secret of 256 random bits from the operating system.
pub(super) fn new_secret() -> Result<Secret<String>, getrandom::Error> {
    let mut letters = String::with_capacity(SECRET_LETTERS);
    let mut bytes = [0u8; 64];
    while letters.len() < SECRET_LETTERS {
        getrandom::fill(&mut bytes)?;
        // Bytes of 248 and more are thrown away, so that every letter is equally likely.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let picked = fair.filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
        letters.extend(picked.take(SECRET_LETTERS - letters.len()).map(|byte| char::from(*byte)));
    }
    Ok(Secret::new(letters))
}

/// The whole text of a key.
pub(super) fn assemble(id: &str, secret: &Secret<String>) -> ApiKey {
    let body = format!("tg_{id}_{}", secret.expose());
    let checksum = checksum_of(&body);
    Secret::new(format!("{body}_{checksum}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_apart_as_it_was_put_together() {
        let secret = new_secret().unwrap();
        let key = assemble("01abc", &secret);
        let parts = KeyParts::parse(key.expose()).unwrap();
        assert_eq!((parts.id, *parts.secret.expose()), ("01abc", secret.expose().as_str()));
        assert_eq!(secret.expose().len(), SECRET_LETTERS);
        assert_ne!(new_secret().unwrap(), secret);
    }

    #[test]
    fn garbled_keys_are_recognised_without_a_database() {
        let key = assemble("01abc", &new_secret().unwrap());
        let text = key.expose();
        let typo = text.replacen("01abc", "01abd", 1);
        let long = format!("{text}{}", "0".repeat(300));
        for wrong in ["", "tg_", "tg___", "sk-proj-123", &text[..text.len() - 1], &typo, &long] {
            assert!(KeyParts::parse(wrong).is_none(), "{wrong}");
        }
    }
}
