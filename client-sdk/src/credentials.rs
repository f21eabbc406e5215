//! What calls are made with: an API key, a token that it is exchanged for, or the caller's own.
//!
//! Every transport asks here, so that a token is fetched once whatever it is used for.

use crate::{
    headers,
    token::{Held, Token, TokenSource, Tokens},
    transport::{Ask, Transport},
};
use bytes::Bytes;
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tollgate_types::{BoxFuture, Error, ErrorKind, Result, TokenGrant, wire::path};

/// How long the key itself is used after the server did not exchange it, or took no token.
const PLAIN: Duration = Duration::from_secs(300);
/// The server's word for a token that another one may take the place of.
const TOKEN_EXPIRED: &str = "token_expired";
/// The server's words for keys that nothing can be exchanged for.
const KEY_IS_OVER: [&str; 3] = ["revoked_api_key", "expired_api_key", "deleted_user"];

/// What calls are made with.
pub(crate) enum Credentials {
    /// A key.
    Key(HeaderValue),
    /// A key that is exchanged for tokens where the server does that.
    Exchanged {
        key: HeaderValue,
        tokens: Tokens,
        /// Until when the key itself is used.
        plain_until: Mutex<Option<Instant>>,
    },
    /// The caller's own tokens.
    Source(Tokens),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key",
            Self::Exchanged { .. } => "Exchanged",
            Self::Source(_) => "Source",
        })
    }
}

/// What one attempt is made with.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    /// For the header `Authorization`; marked as sensitive.
    pub(crate) header: HeaderValue,
    /// Which token it is; absent: a key.
    number: Option<u64>,
}

impl Bearer {
    fn key(header: &HeaderValue) -> Self {
        Self { header: header.clone(), number: None }
    }

    fn token(held: &Held) -> Result<Self> {
        Ok(Self { header: headers::bearer(held.token.secret())?, number: Some(held.number) })
    }
}

impl Credentials {
    /// A key that is exchanged for tokens, by way of a transport that adds no credential itself.
    pub(crate) fn exchanged(key: HeaderValue, transport: Arc<dyn Transport>) -> Self {
        let exchange = Exchange { transport, key: key.clone() };
        let tokens = Tokens::new(Arc::new(exchange));
        Self::Exchanged { key, tokens, plain_until: Mutex::default() }
    }

    /// What an attempt is made with now.
    ///
    /// # Errors
    /// Why there is no token.
    pub(crate) async fn bearer(&self) -> Result<Bearer> {
        match self {
            Self::Key(key) => Ok(Bearer::key(key)),
            Self::Source(tokens) => Bearer::token(&tokens.get().await?),
            Self::Exchanged { key, .. } if self.is_plain() => Ok(Bearer::key(key)),
            Self::Exchanged { key, tokens, .. } => match tokens.get().await {
                Ok(held) => Bearer::token(&held),
                // The key itself is refused, or would not get through either.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::Authentication | ErrorKind::Connection | ErrorKind::Timeout
                    ) =>
                {
                    Err(error)
                }
                Err(error) => {
                    tracing::debug!(kind = error.kind().as_str(), "the key is not exchanged");
                    if !error.is_retryable() {
                        self.use_key();
                    }
                    Ok(Bearer::key(key))
                }
            },
        }
    }

    /// The key itself, where there is one: what is made of it may outlive a token.
    pub(crate) fn key(&self) -> Option<&HeaderValue> {
        match self {
            Self::Key(key) | Self::Exchanged { key, .. } => Some(key),
            Self::Source(_) => None,
        }
    }

    /// Whether the attempt that failed is worth another one with what [`Credentials::bearer`] gives
    /// next. At most once for each attempt: a refusal after that is final.
    pub(crate) fn refused(&self, bearer: &Bearer, error: &Error) -> bool {
        let (Some(number), ErrorKind::Authentication) = (bearer.number, error.kind()) else {
            return false;
        };
        match self {
            Self::Key(_) => false,
            Self::Source(tokens) => {
                tokens.refused(number);
                true
            }
            Self::Exchanged { tokens, .. } => {
                let code = error.body().code.as_deref();
                if code.is_some_and(|code| KEY_IS_OVER.contains(&code)) {
                    return false;
                }
                tokens.refused(number);
                if code != Some(TOKEN_EXPIRED) {
                    // A server that knows no tokens takes one for a wrong key.
                    self.use_key();
                }
                true
            }
        }
    }

    fn is_plain(&self) -> bool {
        let Self::Exchanged { plain_until, .. } = self else { return false };
        let until = *plain_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn use_key(&self) {
        if let Self::Exchanged { plain_until, .. } = self {
            let until = Instant::now().checked_add(PLAIN);
            *plain_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }
}

/// The exchange of a key at the server.
struct Exchange {
    transport: Arc<dyn Transport>,
    key: HeaderValue,
}

impl TokenSource for Exchange {
    fn token(&self) -> BoxFuture<'_, Result<Token>> {
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, self.key.clone());
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let ask = Ask {
                method: Method::POST,
                path: path::TOKEN.to_owned(),
                query: Vec::new(),
                headers,
                body: Some(Bytes::from_static(b"{}")),
            };
            let reply = self.transport.ask(&ask).await?;
            let grant: TokenGrant = serde_json::from_slice(&reply.body).map_err(|error| {
                // Its text is not told: it may hold a token.
                reply.head.protocol(format!("the token cannot be read: line {}", error.line()))
            })?;
            let lifetime = Duration::from_secs(u64::from(grant.expires_in));
            Ok(Token::new(grant.token).expires_in(lifetime))
        })
    }
}
