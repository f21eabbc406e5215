//! A deterministic model without weights: it says the text that its prompt asks for, one byte per
//! token, and keeps account of its cells, so that tests can see every mistake of the scheduler.

use super::{Backend, BackendError, Grammar, GrammarSource, Model, Row, Token};
use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

/// Ends an answer.
pub(crate) const END: Token = 256;
const VOCABULARY: usize = 257;

/// The words of the fake: bytes, and an end.
pub(crate) struct FakeModel;

impl Model for FakeModel {
    fn tokenize(&self, text: &str) -> Vec<Token> {
        text.bytes().map(Token::from).collect()
    }

    fn bos(&self) -> Option<Token> {
        None
    }

    fn piece(&self, token: Token) -> Vec<u8> {
        u8::try_from(token).into_iter().collect()
    }

    fn is_end(&self, token: Token) -> bool {
        token == END
    }

    fn grammar(&self, source: &GrammarSource) -> Result<Box<dyn Grammar>, BackendError> {
        match source {
            GrammarSource::Gbnf(text) if text == "broken" => Err(BackendError("broken".into())),
            _ => Ok(Box::new(Anything)),
        }
    }
}

struct Anything;

impl Grammar for Anything {
    fn allowed(&mut self, tokens: &[Token]) -> Vec<bool> {
        vec![true; tokens.len()]
    }

    fn accept(&mut self, _: Token) -> Result<(), BackendError> {
        Ok(())
    }
}

/// What tests see and steer of a [`FakeBackend`].
#[derive(Default)]
pub(crate) struct Stage {
    state: Mutex<StageState>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct StageState {
    /// Sequence lengths now.
    pub(crate) used: BTreeMap<usize, usize>,
    /// The most cells ever used at once.
    pub(crate) peak: usize,
    /// The most sequences in one step.
    pub(crate) widest: usize,
    /// Rows of each step.
    pub(crate) steps: Vec<usize>,
    /// The steps that may still run; `None` is any number.
    pub(crate) allowed: Option<usize>,
    /// The next step fails, or panics.
    pub(crate) trouble: Option<Trouble>,
    /// The backend cannot be made any more.
    pub(crate) ruined: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Trouble {
    Fails,
    Panics,
}

impl Stage {
    pub(crate) fn state(&self) -> MutexGuard<'_, StageState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Lets more steps run.
    pub(crate) fn allow(&self, steps: usize) {
        let mut state = self.state();
        state.allowed = Some(state.allowed.unwrap_or(0) + steps);
        self.changed.notify_all();
    }

    /// Lets any number of steps run.
    pub(crate) fn open(&self) {
        self.state().allowed = None;
        self.changed.notify_all();
    }

    /// Waits until so many steps have run in all.
    pub(crate) fn wait_for_steps(&self, steps: usize) {
        let mut state = self.state();
        while state.steps.len() < steps {
            state = self.changed.wait(state).unwrap();
        }
    }
}

/// Says, for each sequence, the bytes of its prompt in order, then ends.
pub(crate) struct FakeBackend {
    pub(crate) stage: Arc<Stage>,
    pub(crate) cells: usize,
    texts: BTreeMap<usize, Vec<Token>>,
    said: BTreeMap<usize, usize>,
    rows: Vec<Option<Vec<f32>>>,
}

impl FakeBackend {
    pub(crate) fn open(stage: &Arc<Stage>, cells: usize) -> Result<Self, BackendError> {
        let mut state = stage.state();
        state.used.clear();
        if state.ruined {
            return Err(BackendError("ruined".into()));
        }
        let (texts, said) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { stage: stage.clone(), cells, texts, said, rows: Vec::new() })
    }

    fn compute(&mut self, row: &Row) -> Option<Vec<f32>> {
        let text = self.texts.entry(row.seq).or_default();
        assert_eq!(row.position, text.len(), "a gap in sequence {}", row.seq);
        text.push(row.token);
        if !row.wanted {
            return None;
        }
        let said = self.said.entry(row.seq).or_default();
        let prompt = text.len() - *said;
        let next = if *said < prompt { text[*said] } else { END };
        *said += 1;
        let mut logits = vec![0.0; VOCABULARY];
        logits[usize::try_from(next).unwrap()] = 10.0;
        Some(logits)
    }
}

impl Backend for FakeBackend {
    fn cells(&self) -> usize {
        self.cells
    }

    fn chunk(&self) -> usize {
        4
    }

    fn decode(&mut self, rows: &[Row]) -> Result<(), BackendError> {
        let stage = self.stage.clone();
        let mut state = stage.state();
        while state.allowed == Some(0) {
            state = stage.changed.wait(state).unwrap();
        }
        state.allowed = state.allowed.map(|steps| steps - 1);
        match state.trouble.take() {
            Some(Trouble::Fails) => return Err(BackendError("trouble".into())),
            Some(Trouble::Panics) => panic!("trouble"),
            None => {}
        }
        self.rows = rows.iter().map(|row| self.compute(row)).collect();
        state.used = self.texts.iter().map(|(seq, text)| (*seq, text.len())).collect();
        let used = state.used.values().sum();
        assert!(used <= self.cells, "{used} cells used of {}", self.cells);
        state.peak = state.peak.max(used);
        let sequences: std::collections::BTreeSet<_> = rows.iter().map(|row| row.seq).collect();
        state.widest = state.widest.max(sequences.len());
        state.steps.push(rows.len());
        stage.changed.notify_all();
        Ok(())
    }

    fn logits(&self, row: usize) -> Option<&[f32]> {
        self.rows.get(row)?.as_deref()
    }

    fn clear(&mut self, seq: usize) {
        self.texts.remove(&seq);
        self.said.remove(&seq);
        self.stage.state().used.remove(&seq);
    }
}
