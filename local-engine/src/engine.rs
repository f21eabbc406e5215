//! One loaded model at work: a bounded queue, and one thread that owns everything that computes.

mod job;
mod queue;
mod scheduler;
mod slot;
#[cfg(test)]
mod tests;

pub(crate) use job::{End, Job, Output};
pub(crate) use queue::Refused;

use crate::backend::{Backend, BackendError, Model};
use queue::Queue;
use scheduler::Scheduler;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

/// What an engine has done since it was loaded, and does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Prompt tokens computed, in all.
    pub prompt_tokens: u64,
    /// Tokens sampled, in all.
    pub output_tokens: u64,
    /// Requests that run.
    pub running: u32,
    /// Requests that wait.
    pub queued: u32,
    /// Cells of the KV cache.
    pub cells: u64,
    /// Cells set aside for the requests that run.
    pub cells_reserved: u64,
}

#[derive(Debug, Default)]
struct Counters {
    prompt_tokens: AtomicU64,
    output_tokens: AtomicU64,
    cells: AtomicU64,
    cells_reserved: AtomicU64,
}

/// How many requests an engine takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// That run at once.
    pub(crate) places: usize,
    /// That wait.
    pub(crate) queue: usize,
}

/// Hands requests to the thread of one model. Dropping it ends the thread and waits for it.
pub(crate) struct Engine {
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the thread, which calls `work` with its side of the engine; `work` must call
    /// [`Worker::serve`]. The backend is made inside, because it may borrow what `work` owns.
    pub(crate) fn start(
        name: &str,
        room: Room,
        work: impl FnOnce(Worker) + Send + 'static,
    ) -> Result<Self, BackendError> {
        let queue = Arc::new(Queue::new(room));
        let counters = Arc::new(Counters::default());
        let (ready, opened) = mpsc::channel();
        let worker =
            Worker { queue: queue.clone(), counters: counters.clone(), places: room.places, ready };
        let thread = std::thread::Builder::new()
            .name(format!("engine-{name}"))
            .spawn(move || work(worker))
            .map_err(|error| BackendError(format!("no thread for it: {error}")))?;
        let engine = Self { queue, counters, thread: Some(thread) };
        let gone = |_| Err(BackendError("its thread ended while it started".into()));
        opened.recv().unwrap_or_else(gone)?;
        Ok(engine)
    }

    /// Puts a request into the queue.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Refused> {
        self.queue.push(job)
    }

    /// Whether the next request would be refused: asked before the work of preparing it.
    pub(crate) fn refuses(&self) -> Option<Refused> {
        self.queue.refuses()
    }

    pub(crate) fn stats(&self) -> EngineStats {
        let (running, queued) = self.queue.counts();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EngineStats {
            prompt_tokens: count(&self.counters.prompt_tokens),
            output_tokens: count(&self.counters.output_tokens),
            running: u32::try_from(running).unwrap_or(u32::MAX),
            queued: u32::try_from(queued).unwrap_or(u32::MAX),
            cells: count(&self.counters.cells),
            cells_reserved: count(&self.counters.cells_reserved),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic was logged where it was caught; there is nobody left to tell.
            drop(thread.join());
        }
    }
}

/// The thread's side of an engine.
pub(crate) struct Worker {
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    places: usize,
    ready: mpsc::Sender<Result<(), BackendError>>,
}

impl Worker {
    /// Serves requests until the engine is dropped. A failed step or a panic costs the requests
    /// that ran; the backend is then made anew. Only a backend that cannot be made ends the
    /// thread early, and whoever asks later is told so.
    pub(crate) fn serve<B: Backend>(
        self,
        model: &dyn Model,
        mut open: impl FnMut() -> Result<B, BackendError>,
    ) {
        let _closed = CloseAtEnd(&self.queue);
        let mut started = false;
        loop {
            let backend = open();
            if !started {
                drop(self.ready.send(backend.as_ref().map(|_| ()).map_err(Clone::clone)));
                started = true;
            }
            let backend = match backend {
                Ok(backend) => backend,
                Err(error) => return tracing::error!(%error, "local model cannot be reopened"),
            };
            let scheduler = Scheduler::new(backend, model, &self);
            match catch_unwind(AssertUnwindSafe(|| scheduler.run())) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => tracing::error!(%error, "local model failed, starting afresh"),
                Err(_) => tracing::error!("local model panicked, starting afresh"),
            }
            self.queue.release_all();
        }
    }
}

struct CloseAtEnd<'a>(&'a Queue);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
        self.0.clear();
    }
}
