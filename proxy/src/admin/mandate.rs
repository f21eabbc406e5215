//! On whose behalf something is changed.

use super::AdminError;

/// The longest idempotency key, and name of an actor, in bytes.
const MAX_BYTES: usize = 255;

/// Who changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// Somebody with a shell on the server's machine: a user of the operating system.
    pub fn shell(user: &str) -> Self {
        Self(format!("cli:{user}"))
    }

    /// The holder of a key.
    pub fn key(id: &str) -> Self {
        Self(format!("key:{id}"))
    }

    /// The server itself.
    pub fn server() -> Self {
        Self("server:tollgate".to_owned())
    }

    /// As the audit trail names it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// On whose behalf something is changed, and how a repetition of the request is recognised.
#[derive(Clone, Debug)]
pub struct Mandate {
    actor: Actor,
    idempotency_key: Option<String>,
}

impl Mandate {
    /// A request that is carried out as often as it comes.
    pub fn of(actor: Actor) -> Self {
        Self { actor, idempotency_key: None }
    }

    /// A request that is carried out once, however often it comes under this key.
    ///
    /// # Errors
    /// When the key is empty, too long, or not printable ASCII.
    pub fn once(actor: Actor, idempotency_key: &str) -> Result<Self, AdminError> {
        let printable = idempotency_key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if idempotency_key.is_empty() || idempotency_key.len() > MAX_BYTES || !printable {
            let message = format!("an idempotency key has 1 to {MAX_BYTES} ASCII letters");
            return Err(AdminError::invalid("idempotency-key", message));
        }
        Ok(Self { actor, idempotency_key: Some(idempotency_key.to_owned()) })
    }

    /// Who.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The key, where there is one.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }
}
