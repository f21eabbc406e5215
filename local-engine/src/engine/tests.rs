//! The scheduler on the fake backend, which panics when a cell too many is used or a position
//! is skipped.

use super::{End, Engine, Job, Output, Refused, Room};
use crate::{
    backend::{
        Token,
        fake::{END, FakeBackend, FakeModel, Stage, Trouble},
    },
    sampler::{Choice, Sampler},
    text::Assembler,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::sync::mpsc;
use tollgate_types::{ErrorKind, GPU_MS, Usage};

const GREEDY: Choice = Choice {
    temperature: 0.0,
    top_k: 0,
    top_p: 1.0,
    min_p: 0.0,
    presence_penalty: 0.0,
    frequency_penalty: 0.0,
    seed: 0,
    logprobs: None,
};

struct Call {
    outputs: mpsc::Receiver<Output>,
    cancelled: Arc<AtomicBool>,
}

/// How a call ended, the text before, and what it used.
#[derive(Debug, PartialEq)]
enum Ended {
    Done(End, String, Usage),
    Failed(ErrorKind, Usage),
    /// The thread ended without a word.
    Gone,
}

impl Call {
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn wait(mut self) -> Ended {
        let mut text = String::new();
        loop {
            match self.outputs.blocking_recv() {
                None => return Ended::Gone,
                Some(Output::Started) => {}
                Some(Output::Piece(piece)) => text.push_str(&piece.text),
                Some(Output::Done(end, usage)) => return Ended::Done(end, text, timeless(usage)),
                Some(Output::Failed(error, usage)) => {
                    return Ended::Failed(error.kind(), timeless(usage));
                }
            }
        }
    }
}

/// Time is told exactly for what was computed; how much of it passed is nothing to compare.
fn timeless(mut usage: Usage) -> Usage {
    assert_eq!(usage.tool_fees.contains_key(GPU_MS), usage.input > 0, "{usage:?}");
    usage.tool_fees.remove(GPU_MS);
    usage
}

fn done(end: End, text: &str, input: u64, output: u64) -> Ended {
    Ended::Done(end, text.into(), Usage::tokens(input, output))
}

fn job(prompt: &str, max_output: usize, stops: &[&str]) -> (Job, Call) {
    let (sender, outputs) = Job::channel(max_output);
    let cancelled = Arc::new(AtomicBool::new(false));
    let job = Job {
        prompt: prompt.bytes().map(Token::from).collect(),
        max_output,
        sampler: Sampler::new(GREEDY, None),
        text: Assembler::new(stops.iter().map(|stop| (*stop).to_owned()).collect()),
        deadline: None,
        outputs: sender,
        cancelled: cancelled.clone(),
    };
    (job, Call { outputs, cancelled })
}

struct Bench {
    engine: Engine,
    stage: Arc<Stage>,
}

/// An engine whose steps run only as far as the test lets them.
fn bench(cells: usize, places: usize, queue: usize) -> Bench {
    let stage = Arc::new(Stage::default());
    stage.allow(0);
    let backstage = stage.clone();
    let engine = Engine::start("fake", Room { places, queue }, move |worker| {
        worker.serve(&FakeModel, || FakeBackend::open(&backstage, cells));
    });
    Bench { engine: engine.unwrap(), stage }
}

impl Bench {
    fn ask(&self, prompt: &str, max_output: usize) -> Call {
        self.ask_until(prompt, max_output, &[])
    }

    fn ask_until(&self, prompt: &str, max_output: usize, stops: &[&str]) -> Call {
        let (job, call) = job(prompt, max_output, stops);
        self.engine.submit(job).unwrap();
        call
    }

    /// Nothing runs, nothing waits, nothing is used.
    fn assert_empty(&self) {
        let stats = self.engine.stats();
        assert_eq!((stats.running, stats.queued, stats.cells_reserved), (0, 0, 0));
        assert!(self.stage.state().used.is_empty());
    }
}

/// A test that fails must not leave the thread waiting for a step that nobody allows.
impl Drop for Bench {
    fn drop(&mut self) {
        self.stage.open();
    }
}

#[test]
fn an_answer_ends_by_itself_at_the_limit_or_at_a_stop_text() {
    let bench = bench(100, 2, 8);
    bench.stage.open();
    assert_eq!(bench.ask("hello", 50).wait(), done(End::Stop, "hello", 5, 6));
    assert_eq!(bench.ask("hello", 3).wait(), done(End::Length, "hel", 5, 3));
    assert_eq!(bench.ask_until("hello", 50, &["ll"]).wait(), done(End::Stop, "he", 5, 4));
    bench.assert_empty();
    let stats = bench.engine.stats();
    assert_eq!((stats.prompt_tokens, stats.output_tokens), (15, 13));
}

#[test]
fn text_that_looked_like_a_stop_text_comes_at_the_end() {
    let bench = bench(100, 2, 8);
    bench.stage.open();
    assert_eq!(bench.ask_until("hel", 50, &["else"]).wait(), done(End::Stop, "hel", 3, 4));
}

#[test]
fn long_prompts_are_read_in_chunks_and_others_write_meanwhile() {
    let bench = bench(100, 2, 8);
    let short = bench.ask("ab", 10);
    bench.stage.allow(1);
    bench.stage.wait_for_steps(1);
    let long = bench.ask("abcdefghij", 10);
    bench.stage.open();
    assert_eq!(short.wait(), done(End::Stop, "ab", 2, 3));
    assert_eq!(long.wait(), done(End::Length, "abcdefghij", 10, 10));
    let state = bench.stage.state();
    assert_eq!(state.widest, 2);
    assert!(state.steps.iter().all(|rows| *rows <= 5), "{:?}", state.steps);
}

#[test]
fn many_requests_share_the_steps_and_never_the_cells() {
    let bench = bench(90, 4, 64);
    let calls: Vec<(String, Call)> = (1..=20)
        .map(|n| "x".repeat(n))
        .map(|prompt| (prompt.clone(), bench.ask(&prompt, 20)))
        .collect();
    bench.stage.open();
    for (prompt, call) in calls {
        let tokens = prompt.len() as u64;
        let (end, output) = if tokens < 20 { (End::Stop, tokens + 1) } else { (End::Length, 20) };
        assert_eq!(call.wait(), done(end, &prompt, tokens, output));
    }
    bench.assert_empty();
    let state = bench.stage.state();
    assert!(state.peak <= 90 && state.widest > 1, "peak {} widest {}", state.peak, state.widest);
}

#[test]
fn a_request_waits_until_its_whole_allowance_fits() {
    let bench = bench(20, 4, 8);
    let first = bench.ask("aaaa", 10);
    let second = bench.ask("bbbb", 10);
    bench.stage.allow(1);
    bench.stage.wait_for_steps(1);
    let stats = bench.engine.stats();
    assert_eq!((stats.running, stats.queued, stats.cells_reserved), (1, 1, 14));
    bench.stage.open();
    assert_eq!(first.wait(), done(End::Stop, "aaaa", 4, 5));
    assert_eq!(second.wait(), done(End::Stop, "bbbb", 4, 5));
    assert_eq!(bench.stage.state().widest, 1);
}

#[test]
fn a_full_queue_refuses_and_a_free_place_is_no_queue() {
    let bench = bench(100, 1, 1);
    let running = bench.ask("a", 5);
    let waiting = bench.ask("b", 5);
    let (job, _call) = job("c", 5, &[]);
    assert_eq!(bench.engine.submit(job), Err(Refused::Full));
    assert_eq!(bench.engine.refuses(), Some(Refused::Full));
    bench.stage.open();
    assert_eq!(running.wait(), done(End::Stop, "a", 1, 2));
    assert_eq!(waiting.wait(), done(End::Stop, "b", 1, 2));
    assert_eq!(bench.engine.refuses(), None);
}

#[test]
fn cancelling_tells_exactly_what_was_computed_and_frees_the_cells() {
    let bench = bench(30, 1, 8);
    let reading = bench.ask("abcdefghij", 10);
    bench.stage.allow(1);
    bench.stage.wait_for_steps(1);
    let queued = bench.ask("xyz", 10);
    queued.cancel();
    reading.cancel();
    bench.stage.allow(1);
    // The step that was already being computed counts: its tokens were read.
    let Ended::Done(End::Cancelled, _, usage) = reading.wait() else { panic!("not cancelled") };
    assert!([4, 8].contains(&usage.input) && usage.output == 0, "{usage:?}");
    assert_eq!(bench.engine.stats().prompt_tokens, usage.input);
    assert_eq!(queued.wait(), done(End::Cancelled, "", 0, 0));
    bench.assert_empty();
}

#[test]
fn cancelling_while_it_writes_counts_every_sampled_token() {
    let bench = bench(30, 1, 8);
    let call = bench.ask("abc", 10);
    bench.stage.allow(2);
    bench.stage.wait_for_steps(2);
    call.cancel();
    bench.stage.open();
    let Ended::Done(End::Cancelled, _, usage) = call.wait() else { panic!("not cancelled") };
    let stats = bench.engine.stats();
    assert_eq!((usage.input, usage.output), (stats.prompt_tokens, stats.output_tokens));
    assert!(usage.input == 3 && (2..=3).contains(&usage.output), "{usage:?}");
    bench.assert_empty();
}

#[test]
fn a_reader_that_leaves_cancels_its_request() {
    let bench = bench(30, 1, 8);
    drop(bench.ask("abc", 10));
    let next = bench.ask("z", 10);
    bench.stage.open();
    assert_eq!(next.wait(), done(End::Stop, "z", 1, 2));
    bench.assert_empty();
}

#[test]
fn a_deadline_ends_a_request_that_waits_and_one_that_runs() {
    let bench = bench(30, 1, 8);
    let (mut late, call) = job("abc", 10, &[]);
    late.deadline = Some(Instant::now());
    bench.engine.submit(late).unwrap();
    bench.stage.open();
    let Ended::Failed(kind, usage) = call.wait() else { panic!("not failed") };
    assert_eq!(kind, ErrorKind::Timeout);
    assert_eq!(usage.output, 0);
}

#[test]
fn a_failed_step_costs_those_who_ran_and_nobody_else() {
    let bench = bench(30, 1, 8);
    bench.stage.state().trouble = Some(Trouble::Fails);
    let failed = bench.ask("abc", 10);
    let next = bench.ask("xy", 10);
    bench.stage.open();
    assert_eq!(failed.wait(), Ended::Failed(ErrorKind::Internal, Usage::default()));
    assert_eq!(next.wait(), done(End::Stop, "xy", 2, 3));
    bench.assert_empty();
}

#[test]
fn a_panic_costs_those_who_ran_and_nobody_else() {
    let bench = bench(30, 1, 8);
    bench.stage.state().trouble = Some(Trouble::Panics);
    let failed = bench.ask("abc", 10);
    let next = bench.ask("xy", 10);
    bench.stage.open();
    assert_eq!(failed.wait(), Ended::Gone);
    assert_eq!(next.wait(), done(End::Stop, "xy", 2, 3));
    bench.assert_empty();
}

#[test]
fn an_engine_that_cannot_start_again_answers_instead_of_hanging() {
    let bench = bench(30, 1, 8);
    bench.stage.state().trouble = Some(Trouble::Fails);
    let failed = bench.ask("abc", 10);
    let waiting = bench.ask("xy", 10);
    bench.stage.state().ruined = true;
    bench.stage.open();
    assert!(matches!(failed.wait(), Ended::Failed(ErrorKind::Internal, _)));
    assert_eq!(waiting.wait(), Ended::Gone);
    assert_eq!(bench.engine.refuses(), Some(Refused::Closed));
}

#[test]
fn a_backend_that_cannot_be_made_is_an_error_of_the_start() {
    let stage = Arc::new(Stage::default());
    stage.state().ruined = true;
    let engine = Engine::start("fake", Room { places: 1, queue: 1 }, move |worker| {
        worker.serve(&FakeModel, || FakeBackend::open(&stage, 10));
    });
    assert_eq!(engine.err().map(|error| error.0), Some("ruined".into()));
}

#[test]
fn dropping_the_engine_ends_what_runs_and_what_waits() {
    let bench = bench(30, 1, 8);
    let running = bench.ask("abc", 10);
    let waiting = bench.ask("xy", 10);
    bench.stage.allow(1);
    bench.stage.wait_for_steps(1);
    let stage = bench.stage.clone();
    let dropping = std::thread::spawn(move || drop(bench));
    stage.open();
    dropping.join().unwrap();
    assert!(matches!(running.wait(), Ended::Failed(ErrorKind::Internal, _) | Ended::Done(..)));
    assert!(matches!(waiting.wait(), Ended::Gone | Ended::Done(..)));
}

#[test]
fn the_end_token_is_no_text() {
    assert!(crate::backend::Model::is_end(&FakeModel, END));
    assert!(crate::backend::Model::piece(&FakeModel, END).is_empty());
}
