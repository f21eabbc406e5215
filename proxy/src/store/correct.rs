//! Counters set to what holds and entries say, one window at a time and beside running servers.

use super::{
    Change, Counters, ServerLock, Store, StoreError, WindowKey,
    books::shares_of,
    engine::{Engine, Link, Text, on},
};

/// That nobody else corrects these books; given back when it is dropped, also by `kill -9`.
#[derive(Debug)]
pub struct RepairClaim {
    _file: Option<ServerLock>,
    /// An advisory lock lives as long as its connection.
    _session: Option<Link>,
}

/// `tollgate` in ASCII.
const REPAIR: i64 = 0x746f_6c6c_6761_7465;

const LOCKED: Text = Text {
    sqlite: "select cast(spent as bigint) as spent, cast(held as bigint) as held
             from budget_windows where budget_id = $1 and start_ms = $2",
    postgres: "select spent, held from budget_windows
               where budget_id = $1 and start_ms = $2 for update",
};

impl Store {
    /// Claims the right to correct the books: two at once would correct the same thing twice.
    ///
    /// # Errors
    /// `Repairing` when somebody else has it; any database failure.
    pub async fn claim_repair(&self) -> Result<RepairClaim, StoreError> {
        if let Some(path) = self.file() {
            let mut name = path.as_os_str().to_owned();
            name.push(".repair");
            return match ServerLock::take(name.as_ref()) {
                Ok(file) => Ok(RepairClaim { _file: Some(file), _session: None }),
                Err(StoreError::InUse { .. }) => Err(StoreError::Repairing),
                Err(error) => Err(error),
            };
        }
        let mut link = self.options.connect().await?;
        if let Engine::Postgres(db) = &mut link {
            let text = "select pg_try_advisory_lock($1)";
            let claimed: bool = sqlx::query_scalar(text).bind(REPAIR).fetch_one(db).await?;
            if !claimed {
                return Err(StoreError::Repairing);
            }
        }
        Ok(RepairClaim { _file: None, _session: Some(link) })
    }
}

impl Change {
    /// The counters of a window. Nobody else changes them, or holds on them, until the
    /// transaction ends.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn lock_window(
        &mut self,
        window: &WindowKey,
    ) -> Result<Option<Counters>, StoreError> {
        let text = self.link.text(LOCKED);
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(&*window.budget_id)
            .bind(window.start_ms)
            .fetch_optional(&mut **db)
            .await)?)
    }

    /// What all open holds have set aside in a window.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn held_in(&mut self, window: &WindowKey) -> Result<i128, StoreError> {
        let text = "select shares from holds where shares like '%' || $1 || '%'";
        let holds: Vec<String> = on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(&*window.budget_id)
            .fetch_all(&mut **db)
            .await)?;
        let shares = holds.iter().flat_map(|shares| shares_of(shares));
        Ok(shares.filter(|share| share.window == *window).map(|s| i128::from(s.amount)).sum())
    }

    /// Sets the counters of a window, above its cap too: what was spent was spent. Returns false
    /// when there is no such window.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn set_counters(
        &mut self,
        window: &WindowKey,
        counters: Counters,
    ) -> Result<bool, StoreError> {
        let text = "update budget_windows
                    set spent = $3, held = $4, archived = cast(archived as bigint)
                    where budget_id = $1 and start_ms = $2";
        let changed = on!(&mut self.link, db => sqlx::query(text)
            .bind(&*window.budget_id)
            .bind(window.start_ms)
            .bind(counters.spent)
            .bind(counters.held)
            .execute(&mut **db)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(changed == 1)
    }
}
