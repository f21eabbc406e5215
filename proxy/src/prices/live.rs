//! The price list of a running server: it follows the database and the clock.

use super::{PriceList, stored};
use crate::{
    clock::Clock,
    store::{PriceMark, PriceRow, Store, StoreError},
    tasks::Tasks,
};
use std::{
    ops::Range,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// How often the database is asked whether prices have changed.
const EVERY: Duration = Duration::from_secs(1);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The prices of a running server.
#[derive(Debug)]
pub struct Prices {
    /// Without the database's prices.
    base: PriceList,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
}

/// What is in force, and when.
#[derive(Debug, Default)]
struct State {
    rows: Arc<[PriceRow]>,
    list: Arc<PriceList>,
    /// The milliseconds for which the list holds: no price begins or ends within.
    holds: Range<i64>,
}

impl State {
    fn at(base: &PriceList, rows: Arc<[PriceRow]>, now_ms: i64) -> Self {
        let list = Arc::new(base.and_set(&rows, now_ms));
        let holds = stored::unchanged(&rows, now_ms);
        Self { rows, list, holds }
    }
}

impl Prices {
    /// Starts with the configuration's and the vendors' prices.
    pub fn new(base: PriceList, clock: Arc<dyn Clock>) -> Self {
        let state = RwLock::new(State::at(&base, Arc::default(), clock.now_ms()));
        Self { base, clock, state }
    }

    /// The prices in force now. A quote keeps the list that it was made with.
    pub fn current(&self) -> Arc<PriceList> {
        let now_ms = self.clock.now_ms();
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if state.holds.contains(&now_ms) {
                return Arc::clone(&state.list);
            }
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !state.holds.contains(&now_ms) {
            *state = State::at(&self.base, Arc::clone(&state.rows), now_ms);
        }
        Arc::clone(&state.list)
    }

    /// Replaces the database's prices.
    pub fn replace(&self, rows: Vec<PriceRow>) {
        let state = State::at(&self.base, rows.into(), self.clock.now_ms());
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Reads the database's prices, and goes on doing so when they change. While the database does
    /// not answer, the last prices count.
    ///
    /// # Errors
    /// When they cannot be read the first time.
    pub async fn follow(self: &Arc<Self>, store: Store, tasks: &Tasks) -> Result<(), StoreError> {
        let mut known = None;
        self.refresh(&store, &mut known).await?;
        let (prices, stop) = (Arc::clone(self), tasks.clone());
        tasks.spawn(async move {
            let mut answers = true;
            loop {
                tokio::select! {
                    () = stop.stopping() => return,
                    () = tokio::time::sleep(EVERY) => {}
                }
                let asked = tokio::time::timeout(PATIENCE, prices.refresh(&store, &mut known));
                let failed = match asked.await {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(_) => Some("it does not answer".to_owned()),
                };
                if let Some(error) = failed.as_ref().filter(|_| answers) {
                    tracing::warn!(error, "prices cannot be read: the last ones count");
                }
                answers = failed.is_none();
            }
        });
        Ok(())
    }

    async fn refresh(
        &self,
        store: &Store,
        known: &mut Option<PriceMark>,
    ) -> Result<(), StoreError> {
        let mark = store.price_mark().await?;
        if *known != Some(mark) {
            // What changes between the two is read now, and once more the next time.
            self.replace(store.living_prices().await?);
            *known = Some(mark);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::Target, clock::ManualClock, config::PriceEntry};

    const NOW: i64 = 1_795_000_000_000;

    fn row(model: &str, input: &str, effective_ms: i64) -> PriceRow {
        let entry = PriceEntry {
            model: model.into(),
            input: input.into(),
            output: "0".into(),
            ..PriceEntry::default()
        };
        PriceRow {
            id: format!("{model}-{effective_ms}"),
            model: model.into(),
            entry: serde_json::to_string(&entry).unwrap(),
            effective_ms,
            created_ms: NOW,
            ended_ms: None,
        }
    }

    fn price(prices: &Prices, model: &str) -> Option<(i64, String)> {
        let target = Target { provider: "p".into(), model: model.into() };
        let rates = prices.current().of(&target)?;
        Some((rates.input / 1_000_000_000, rates.version.clone()))
    }

    #[test]
    fn a_price_of_the_future_counts_from_its_moment_and_a_step_back_takes_it_back() {
        let clock = Arc::new(ManualClock::at(NOW));
        let prices = Prices::new(PriceList::default(), clock.clone());
        assert_eq!(price(&prices, "m"), None);
        prices.replace(vec![row("p/m", "1", NOW), row("p/m", "2", NOW + 10)]);
        assert_eq!(price(&prices, "m"), Some((1, format!("db:p/m-{NOW}"))));
        clock.set(NOW + 10);
        assert_eq!(price(&prices, "m"), Some((2, format!("db:p/m-{}", NOW + 10))));
        clock.set(NOW + 9);
        assert_eq!(price(&prices, "m").unwrap().0, 1);
        clock.set(NOW - 1);
        assert_eq!(price(&prices, "m"), None);
    }

    #[test]
    fn the_database_comes_before_the_file_and_its_exact_names_before_its_groups() {
        let entry = |model: &str, input: &str| PriceEntry {
            model: model.into(),
            input: input.into(),
            output: "0".into(),
            ..PriceEntry::default()
        };
        let base = PriceList::new(&[entry("p/m", "9"), entry("p/*", "8")]).unwrap();
        let prices = Prices::new(base, Arc::new(ManualClock::at(NOW)));
        assert_eq!(price(&prices, "m").unwrap().0, 9);
        prices.replace(vec![row("p/x", "1", NOW), row("p/*", "2", NOW), row("p/xy*", "3", NOW)]);
        let of = |model: &str| price(&prices, model).unwrap().0;
        assert_eq!((of("x"), of("xyz"), of("m")), (1, 3, 2));
        prices.replace(Vec::new());
        assert_eq!((of("x"), of("m")), (8, 9));
    }

    #[test]
    fn a_stored_price_that_cannot_be_read_spoils_only_itself() {
        let prices = Prices::new(PriceList::default(), Arc::new(ManualClock::at(NOW)));
        let broken = PriceRow { entry: "{".into(), ..row("p/a", "1", NOW) };
        let wrong = PriceRow {
            entry: r#"{"model":"p/b","input":"-1","output":"1"}"#.into(),
            ..row("p/b", "1", NOW)
        };
        prices.replace(vec![broken, wrong, row("p/m", "1", NOW)]);
        assert_eq!((price(&prices, "a"), price(&prices, "b")), (None, None));
        assert_eq!(price(&prices, "m").unwrap().0, 1);
    }

    #[test]
    fn a_quote_keeps_the_list_that_it_was_made_with() {
        let prices = Prices::new(PriceList::default(), Arc::new(ManualClock::at(NOW)));
        prices.replace(vec![row("p/m", "1", NOW)]);
        let (before, target) =
            (prices.current(), Target { provider: "p".into(), model: "m".into() });
        prices.replace(vec![row("p/m", "5", NOW)]);
        assert_eq!(before.of(&target).unwrap().input, 1_000_000_000);
        assert_eq!(price(&prices, "m").unwrap().0, 5);
    }
}
