//! A waker that passes on only what comes from outside.
//!
//! The two halves of a connection wake each other all the time. Both are polled by the same task, in
//! turns, so such a wake needs no second run of the task.

use futures_util::task::AtomicWaker;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

/// Who is woken, and whether they are running now.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    task: AtomicWaker,
    running: AtomicBool,
    woken: AtomicBool,
}

impl Quiet {
    /// The task runs, and looks at [`Quiet::was_woken`] itself.
    pub(super) fn enter(&self, task: &Waker) {
        self.task.register(task);
        self.running.store(true, Ordering::SeqCst);
    }

    /// Whether anything was woken since this was asked last.
    pub(super) fn was_woken(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    /// The task goes to sleep: what was woken in the last moment wakes it.
    pub(super) fn leave(&self) {
        self.running.store(false, Ordering::SeqCst);
        if self.was_woken() {
            self.task.wake();
        }
    }
}

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.running.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn only_wakes_from_outside_reach_the_task() {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let quiet = Arc::new(Quiet::default());
        let inner = Waker::from(Arc::clone(&quiet));
        let wakes = || count.0.load(Ordering::SeqCst);
        quiet.enter(&task);
        inner.wake_by_ref();
        assert!(quiet.was_woken() && !quiet.was_woken());
        quiet.leave();
        assert_eq!(wakes(), 0);
        inner.wake_by_ref();
        assert_eq!(wakes(), 1);
        quiet.enter(&task);
        assert!(quiet.was_woken());
        inner.wake_by_ref();
        quiet.leave();
        assert_eq!(wakes(), 2, "a wake that nobody looked at is not lost");
    }
}
