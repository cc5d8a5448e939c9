//! Threads of a case: a panic in one is a panic of the case.

use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

use rt_protocol::{CancelToken, Until};

use crate::timeout::timeout;

/// Waits for the thread and returns its answer.
pub(crate) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Runs the call in a thread, cancels it at once, and returns its answer.
pub(crate) fn cancelled<T: Send>(call: impl FnOnce(&Until) -> T + Send) -> T {
    let token = CancelToken::new();
    let until = timeout().or_cancelled(&token);
    thread::scope(|scope| {
        let thread = scope.spawn(|| call(&until));
        token.cancel();
        joined(thread)
    })
}
