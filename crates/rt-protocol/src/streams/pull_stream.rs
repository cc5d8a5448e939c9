//! The one kind of stream: items that a caller pulls, of a log or of events.

use std::fmt;

use crate::{Error, Result, Until, UntilError};

/// What a stream answers to one pull.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "the item is taken from the stream"]
pub enum Pull<T> {
    /// The next item.
    Item(T),
    /// The time given for this pull is over. The stream stays good.
    Pending,
    /// There will be no more items.
    End,
}

/// Items as they come: lines of a log ([`Container::logs`](crate::Container::logs)), live from the moment it was made, or events
/// ([`ContainerRuntime::events`](crate::ContainerRuntime::events)).
///
/// Pulled, never pushed: a caller who does not pull holds the engine's own reader back by the pipe's capacity and loses
/// nothing. An absent container, a failing engine or a stream of it that dies is an error at the end, never a silent end and
/// never a quiet stream. Nor are items lost in silence: where a log was cut or replaced before all of it was read, the
/// stream goes on, and its end is an error of the kind [`Incomplete`](crate::ErrorKind::Incomplete).
/// Dropping it does what [`close`](Self::close) does.
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
    /// The next item.
    ///
    /// `until` bounds this pull alone: when it ends, by deadline or by cancel, the answer is [`Pull::Pending`].
    ///
    /// # Errors
    /// [`NoSuchContainer`](crate::ErrorKind::NoSuchContainer), [`Incomplete`](crate::ErrorKind::Incomplete) in the place
    /// of the end, and the engine's own failures. After an error the stream has ended.
    fn pull(&mut self, until: &Until) -> Result<Pull<T>>;

    /// Ends the stream and frees what it holds: no process, thread or descriptor is left. Twice is fine; a pull
    /// afterwards answers [`Pull::End`].
    ///
    /// To end a stream from another thread, cancel the token in the `until` of its pull.
    ///
    /// # Errors
    /// When something could not be freed.
    fn close(&mut self) -> Result<()>;
}

impl<T> dyn PullStream<T> + '_ {
    /// Iterates over the items until the stream ends, or `until` does.
    ///
    /// An error of the stream is the last item. So is the end of `until`, as an error of the kind
    /// [`TimedOut`](crate::ErrorKind::TimedOut) or [`Cancelled`](crate::ErrorKind::Cancelled); the stream stays good then.
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
                // By a clock that skips time, a deadline may be over that this one has yet to reach.
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
