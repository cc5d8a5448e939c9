//! The stream of log lines and of events, from which the caller pulls items.

use std::fmt;

use crate::{Error, Result, Until, UntilError};

/// The result of one pull.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "the item is taken from the stream"]
pub enum Pull<T> {
    /// The next item.
    Item(T),
    /// The limit of this pull has ended. The stream can still be used.
    Pending,
    /// The stream has ended.
    End,
}

/// A stream of log lines ([`Container::logs`](crate::Container::logs)) or of events
/// ([`ContainerRuntime::events`](crate::ContainerRuntime::events)). It is live from its creation
/// on.
///
/// The caller pulls items. If it does not, nothing is lost: the engine's log reader waits as soon
/// as the pipe is full.
///
/// Failures are never silent. If the container does not exist, or the engine or its stream fails,
/// the stream ends with an error. If a log was truncated or replaced before all of it was read, the
/// stream continues, and ends with an error of kind [`Incomplete`](crate::ErrorKind::Incomplete).
///
/// Dropping the stream closes it.
///
/// ```
/// use std::time::Duration;
///
/// use rt_null::{LogScript, NullRuntime};
/// use rt_protocol::{ContainerName, ContainerRuntime, ContainerState, LogOptions, Until};
///
/// let runtime = NullRuntime::new();
/// runtime.set_state("job", ContainerState::Running)?;
/// runtime.set_logs("job", LogScript::new().line("one").line("two"))?;
///
/// let job = runtime.container(&ContainerName::new("job")?);
/// let mut log = job.logs(&LogOptions::new(), &Until::forever())?;
/// let lines: Result<Vec<_>, _> = log.iter(Duration::from_secs(10)).collect();
/// assert_eq!(lines?.len(), 2);
/// # Ok::<(), rt_protocol::Error>(())
/// ```
pub trait PullStream<T>: fmt::Debug + Send {
    /// Returns the next item.
    ///
    /// `until` limits this pull alone. If it ends first, by a deadline or a cancellation, the
    /// result is [`Pull::Pending`].
    ///
    /// # Errors
    /// [`NoSuchContainer`](crate::ErrorKind::NoSuchContainer);
    /// [`Incomplete`](crate::ErrorKind::Incomplete) instead of the end; [engine
    /// errors](crate::Container#engine-errors). After an error the stream has ended.
    fn pull(&mut self, until: &Until) -> Result<Pull<T>>;

    /// Ends the stream, and frees its processes, threads and descriptors. A second call has no
    /// effect; a later pull returns [`Pull::End`].
    ///
    /// To end a stream from another thread, cancel the token in the `until` of its pull.
    ///
    /// # Errors
    /// [`System`](crate::ErrorKind::System) if something could not be freed.
    fn close(&mut self) -> Result<()>;
}

impl<T> dyn PullStream<T> + '_ {
    /// Iterates over the items until the stream or `until` ends.
    ///
    /// An error of the stream is the last item. If `until` ends, the last item is an error of kind
    /// [`TimedOut`](crate::ErrorKind::TimedOut) or [`Cancelled`](crate::ErrorKind::Cancelled); the
    /// stream can still be used then.
    pub fn iter(&mut self, until: impl Into<Until>) -> impl Iterator<Item = Result<T>> {
        let until = until.into();
        let mut ended = false;
        std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let next = match self.pull(&until) {
                Ok(Pull::Item(item)) => return Some(Ok(item)),
                Ok(Pull::End) => None,
                // A virtual clock may pass a deadline before the real one does.
                Ok(Pull::Pending) => {
                    let stop = until.check().err().unwrap_or(UntilError::DeadlineExceeded);
                    Some(Err(Error::stopped(stop, "follow the stream")))
                }
                Err(error) => Some(Err(error)),
            };
            ended = true;
            next
        })
    }
}

impl<T, S: PullStream<T> + ?Sized> PullStream<T> for Box<S> {
    fn pull(&mut self, until: &Until) -> Result<Pull<T>> {
        (**self).pull(until)
    }

    fn close(&mut self) -> Result<()> {
        (**self).close()
    }
}
