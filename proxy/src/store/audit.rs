//! The trail of administrative changes: rows are only added, and each is chained to the one before.

use super::{
    Change, Store, StoreError,
    engine::{Text, on},
};
use sqlx::FromRow;

/// What somebody changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// When.
    pub at_ms: i64,
    /// Who: `cli:<user of the operating system>` or `key:<id of an administrator's key>`.
    pub actor: String,
    /// What was done: `user.create`.
    pub action: String,
    /// To what: `user:<id>`.
    pub subject: String,
    /// JSON of what it was; `null` for nothing. Never a secret or the hash of one.
    pub before: String,
    /// JSON of what it became.
    pub after: String,
}

/// A row of the trail.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct AuditRow {
    /// Counted from 1 without gaps.
    pub seq: i64,
    /// When.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// JSON of what it was.
    pub before: String,
    /// JSON of what it became.
    pub after: String,
    /// Hash over the row and the hash of the row before, hexadecimal.
    pub hash: String,
}

impl AuditRow {
    /// The hash that the row must have after one with the hash `previous`.
    pub fn chained(&self, previous: &str) -> String {
        let numbers = [self.seq.to_le_bytes(), self.at_ms.to_le_bytes()];
        let texts = [previous, &self.actor, &self.action, &self.subject, &self.before, &self.after];
        let mut hasher = blake3::Hasher::new_derive_key("tollgate 2026 audit trail");
        for number in numbers {
            hasher.update(&number);
        }
        // With its length before it, no text can pass for a part of another.
        for text in texts {
            hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// The end of the trail, kept apart from it: rows that are cut off are missed.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Head {
    /// Number of the last row; 0 for none.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

/// Which rows of the trail are asked for.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Done at or after.
    pub since_ms: Option<i64>,
    /// Only to this subject, or to any of its kind (`user`).
    pub subject: Option<String>,
    /// Only by this actor, or by any of its kind (`cli`).
    pub actor: Option<String>,
}

/// The head, which nobody else may move until the transaction ends.
pub(super) const LOCKED_HEAD: Text = Text {
    sqlite: "select seq, hash from audit_head where id = 1",
    postgres: "select seq, hash from audit_head where id = 1 for update",
};

impl Change {
    /// Adds a row to the trail.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn record(&mut self, deed: Deed) -> Result<(), StoreError> {
        let mut row = AuditRow {
            seq: self.head.seq.saturating_add(1),
            at_ms: deed.at_ms,
            actor: deed.actor,
            action: deed.action,
            subject: deed.subject,
            before: deed.before,
            after: deed.after,
            hash: String::new(),
        };
        row.hash = row.chained(&self.head.hash);
        let text = "insert into audit (seq, at_ms, actor, action, subject, before, after, hash)
                    values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let head = "update audit_head set seq = $1, hash = $2 where id = 1";
        on!(&mut self.link, db => {
            sqlx::query(text)
                .bind(row.seq)
                .bind(row.at_ms)
                .bind(&row.actor)
                .bind(&row.action)
                .bind(&row.subject)
                .bind(&row.before)
                .bind(&row.after)
                .bind(&row.hash)
                .execute(&mut **db)
                .await?;
            sqlx::query(head).bind(row.seq).bind(&row.hash).execute(&mut **db).await.map(drop)
        })?;
        self.head = Head { seq: row.seq, hash: row.hash };
        Ok(())
    }
}

impl Store {
    /// The end of the trail; `None` when somebody took it away.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn audit_head(&self) -> Result<Option<Head>, StoreError> {
        let text = "select seq, hash from audit_head where id = 1";
        Ok(on!(&self.pool, db => sqlx::query_as(text).fetch_optional(db).await)?)
    }

    /// Rows of the trail after a number, in order.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn audit_after(&self, seq: i64, limit: i64) -> Result<Vec<AuditRow>, StoreError> {
        let text = "select seq, at_ms, actor, action, subject, before, after, hash
                    from audit where seq > $1 order by seq limit $2";
        Ok(on!(&self.pool, db => sqlx::query_as(text)
            .bind(seq)
            .bind(limit)
            .fetch_all(db)
            .await)?)
    }

    /// The newest rows of the trail before a number, the newest first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        before: i64,
        limit: i64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let text = "select seq, at_ms, actor, action, subject, before, after, hash
                    from audit
                    where seq < $1
                      and (cast($2 as bigint) is null or at_ms >= $2)
                      and (cast($3 as text) is null or subject = $3
                           or substr(subject, 1, length($3) + 1) = $3 || ':')
                      and (cast($4 as text) is null or actor = $4
                           or substr(actor, 1, length($4) + 1) = $4 || ':')
                    order by seq desc limit $5";
        Ok(on!(&self.pool, db => sqlx::query_as(text)
            .bind(before)
            .bind(filter.since_ms)
            .bind(&filter.subject)
            .bind(&filter.actor)
            .bind(limit)
            .fetch_all(db)
            .await)?)
    }
}
