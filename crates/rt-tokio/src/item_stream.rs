//! Log lines and events as a stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use rt_protocol::{CancelToken, Error, Event, LogLine, Pull, PullStream, Result, Until};
use tokio::sync::mpsc;

use crate::runtime_handle::{ClockGuard, Shared, SharedHandle};
use crate::threads::Deliver;

/// The lines of a log, from [`AsyncContainer::logs`](crate::AsyncContainer::logs).
pub type LogStream = ItemStream<LogLine>;

/// Events, from [`AsyncRuntime::events`](crate::AsyncRuntime::events).
pub type EventStream = ItemStream<Event>;

/// How many items are read ahead. A reader that stands still holds the engine back, as it does
/// without a thread in between.
const READ_AHEAD: usize = 16;

/// A stream of log lines or events: the async twin of [`PullStream`].
///
/// An error of the stream is its last item. **Dropping it ends it**, and what the engine runs for
/// it. A thread of its own pulls the items; it does not count against
/// [`at_once`](crate::AsyncRuntimeBuilder::at_once).
#[must_use = "dropping it ends the stream"]
pub struct ItemStream<T> {
    items: mpsc::Receiver<Result<T>>,
    token: CancelToken,
    handle: SharedHandle,
}

impl<T: Send + 'static> ItemStream<T> {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`System`](rt_protocol::ErrorKind::System) if there is no thread left.
    pub(crate) fn new(source: OpenStream<T>, operation: &'static str, handle: &SharedHandle) -> Result<Self> {
        // A job that could not be started has the stream, and closes it.
        Self::produced(operation, &Until::forever(), handle, move |items, until| source.pump(items, until))
    }

    /// Starts a thread on which `produce` sends the items. `until` is cancelled when the stream is
    /// dropped.
    ///
    /// # Errors
    /// [`System`](rt_protocol::ErrorKind::System) if there is no thread left.
    pub(crate) fn produced(
        operation: &'static str,
        until: &Until,
        handle: &SharedHandle,
        produce: impl FnOnce(&mpsc::Sender<Result<T>>, &Until) + Send + 'static,
    ) -> Result<Self> {
        let (sender, items) = mpsc::channel(READ_AHEAD);
        let token = until.cancel_token().map_or_else(CancelToken::new, CancelToken::child);
        let until = until.clone().or_cancelled(&token);
        let job = move || {
            produce(&sender, &until);
            None
        };
        let started = handle.shared().threads.hold(Box::new(job));
        started.map_err(|(error, _)| Error::out_of_resources(operation, error.to_string()))?;
        Ok(Self { items, token, handle: handle.clone() })
    }

    /// Returns the next item; `None` at the end. A future that is dropped takes no item.
    pub async fn next(&mut self) -> Option<Result<T>> {
        let _clock = ClockGuard::new(self.handle.shared());
        self.items.recv().await
    }
}

impl<T> Stream for ItemStream<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.items.poll_recv(cx)
    }
}

impl<T> Drop for ItemStream<T> {
    fn drop(&mut self) {
        // The thread waits for room in the channel, or for an item.
        self.items.close();
        self.token.cancel();
    }
}

impl<T> fmt::Debug for ItemStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemStream").finish_non_exhaustive()
    }
}

/// A stream that was opened. Closing one may block, so one that is dropped is closed on a thread.
pub(crate) struct OpenStream<T: Send + 'static> {
    source: Option<Box<dyn PullStream<T>>>,
    shared: Arc<Shared>,
}

impl<T: Send + 'static> OpenStream<T> {
    pub(crate) fn new(source: Box<dyn PullStream<T>>, shared: &Arc<Shared>) -> Self {
        Self { source: Some(source), shared: Arc::clone(shared) }
    }

    /// Passes the items on until the stream ends, or nobody takes them.
    fn pump(mut self, items: &mpsc::Sender<Result<T>>, until: &Until) {
        let Some(mut source) = self.source.take() else { return };
        while until.check().is_ok() {
            let item = match source.pull(until) {
                Ok(Pull::Item(item)) => Ok(item),
                Ok(Pull::Pending) => continue,
                Ok(Pull::End) => break,
                Err(error) => Err(error),
            };
            let is_last = item.is_err();
            if items.blocking_send(item).is_err() || is_last {
                break;
            }
        }
        // What could not be freed is in the backend's log, as after a drop.
        let _ = source.close();
    }
}

impl<T: Send + 'static> Drop for OpenStream<T> {
    fn drop(&mut self) {
        let Some(source) = self.source.take() else { return };
        let job = move || {
            drop(source);
            None
        };
        if let Err((_, job)) = self.shared.threads.hold(Box::new(job)) {
            let _: Option<Deliver> = job();
        }
    }
}
