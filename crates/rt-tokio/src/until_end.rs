//! The end of an `Until`, for tasks.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use rt_protocol::sync::lock;
use rt_protocol::{CancelRegistration, Until, UntilError};

use crate::deadlines::{Deadlines, Timer};
use crate::threads::Threads;

/// Waits for the end of an [`Until`].
#[derive(Debug)]
pub(crate) struct UntilEnd {
    until: Until,
    waker: Arc<Mutex<Option<Waker>>>,
    timer: Option<Timer>,
    _on_cancel: Option<CancelRegistration>,
}

impl UntilEnd {
    pub(crate) fn new(until: Until, deadlines: &Deadlines) -> Self {
        let waker = Arc::new(Mutex::new(None::<Waker>));
        let woken = Arc::clone(&waker);
        let on_cancel = until.cancel_token().map(|token| {
            token.on_cancel(move || {
                if let Some(waker) = lock(&woken).take() {
                    waker.wake();
                }
            })
        });
        let timer = until.deadline().map(|deadline| deadlines.at(deadline.instant()));
        Self { until, waker, timer, _on_cancel: on_cancel }
    }

    /// Returns why it has ended, or wakes the task when it does.
    ///
    /// # Errors
    /// The operating system refuses a thread for the deadline.
    pub(crate) fn poll(&mut self, cx: &Context<'_>, threads: &Arc<Threads>) -> Poll<io::Result<UntilError>> {
        // Before the check, so that a cancellation in between is not missed.
        *lock(&self.waker) = Some(cx.waker().clone());
        if let Err(stop) = self.until.check() {
            return Poll::Ready(Ok(stop));
        }
        match self.timer.as_ref().map_or(Ok(()), |timer| timer.wake_later(cx.waker(), threads)) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
