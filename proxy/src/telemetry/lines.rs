//! Log lines on their way out: collected for a moment, so that a call does not write to a file or a
//! terminal while its caller waits.

use std::{
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long a line may wait for others.
const PAUSE: Duration = Duration::from_millis(20);
/// With as many bytes waiting, whoever logs writes them itself: the log is never longer in memory.
const MOST: usize = 256 * 1024;

/// Lines that are not written yet.
pub(super) struct Lines {
    waiting: Mutex<Vec<u8>>,
    some: Condvar,
    /// There is no thread: every line is written by whoever logs it.
    alone: AtomicBool,
    out: Mutex<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

impl Lines {
    /// Writes to a place, in a thread of its own, which ends when nobody else keeps the lines.
    pub(super) fn to(out: Box<dyn Write + Send>) -> Arc<Self> {
        let lines = Arc::new(Self {
            waiting: Mutex::default(),
            some: Condvar::new(),
            alone: AtomicBool::new(false),
            out: Mutex::new(out),
        });
        let writer = Arc::downgrade(&lines);
        let write = move || {
            while let Some(lines) = writer.upgrade() {
                lines.wait();
                drop(lines);
                std::thread::sleep(PAUSE);
                if let Some(lines) = writer.upgrade() {
                    lines.flush();
                }
            }
        };
        let spawned = std::thread::Builder::new().name("log".to_owned()).spawn(write);
        lines.alone.store(spawned.is_err(), Ordering::Relaxed);
        lines
    }

    /// Writes all that waits.
    pub(super) fn flush(&self) {
        // Taken first, so that lines are written in their order.
        let mut out = lock(&self.out);
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        // There is nowhere to tell that the log cannot be written.
        drop(out.write_all(&waiting).and_then(|()| out.flush()));
    }

    fn wait(&self) {
        let waiting = lock(&self.waiting);
        let none = |waiting: &mut Vec<u8>| waiting.is_empty();
        drop(self.some.wait_timeout_while(waiting, Duration::from_secs(1), none));
    }
}

impl Write for &Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut waiting = lock(&self.waiting);
        let first = waiting.is_empty();
        waiting.extend_from_slice(bytes);
        let full = waiting.len() >= MOST || self.alone.load(Ordering::Relaxed);
        drop(waiting);
        if full {
            Lines::flush(self);
        } else if first {
            self.some.notify_one();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_in_their_order_by_themselves_and_at_the_end() {
        let out = Out::default();
        let lines = Lines::to(Box::new(out.clone()));
        (&*lines).write_all(b"one\n").unwrap();
        let started = Instant::now();
        while lock(&out.0).is_empty() {
            assert!(started.elapsed() < Duration::from_secs(30), "the line does not come");
            std::thread::yield_now();
        }
        let many = "x".repeat(MOST);
        (&*lines).write_all(many.as_bytes()).unwrap();
        (&*lines).write_all(b"last\n").unwrap();
        lines.flush();
        assert_eq!(String::from_utf8_lossy(&lock(&out.0)), format!("one\n{many}last\n"));
    }
}
