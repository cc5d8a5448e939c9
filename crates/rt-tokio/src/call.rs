//! A call of the contract as a future.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use rt_protocol::sync::lock;
use rt_protocol::{
    CancelToken, ContainerName, ContainerRemoveResult, Error, ErrorKind, ImageRef, Result, Until, UntilError,
};

use crate::Orphan;
use crate::runtime_handle::{ClockGuard, Shared, SharedHandle};
use crate::threads::Deliver;
use crate::until_end::UntilEnd;

/// A call of the contract. It begins when it is first polled, and borrows nothing: it can be
/// spawned.
///
/// **Dropping it ends the call**: what runs in a container by it is ended there, as by a
/// cancellation, on a thread of the runtime. What became of it goes to
/// [`on_orphan`](crate::AsyncRuntimeBuilder::on_orphan). `timeout`, `select!`, an aborted task and
/// a runtime that shuts down drop futures, too.
///
/// It may be polled by any executor. If the call panics, so does the future.
#[must_use = "a call does nothing until it is awaited"]
pub struct Call<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> Call<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl<T> Future for Call<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

/// What a call does, for the errors and orphans of it.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    name: &'static str,
    container: Option<ContainerName>,
    image: Option<ImageRef>,
    /// It runs a command; whether the streams of that are the caller's.
    bridged: Option<bool>,
}

impl Operation {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, container: None, image: None, bridged: None }
    }

    pub(crate) fn in_container(mut self, name: &ContainerName) -> Self {
        self.container = Some(name.clone());
        self
    }

    pub(crate) fn of_image(mut self, reference: &ImageRef) -> Self {
        self.image = Some(reference.clone());
        self
    }

    pub(crate) fn of_command(mut self, is_bridged: bool) -> Self {
        self.bridged = Some(is_bridged);
        self
    }

    fn error(&self, error: Error) -> Error {
        let error = match (&self.container, &self.image) {
            (Some(name), _) => error.in_container(name),
            (None, Some(reference)) => error.of_image(reference),
            (None, None) => error,
        };
        match self.bridged {
            Some(is_bridged) => error.of_unstarted_command(is_bridged),
            None => error,
        }
    }

    /// The error of a call whose turn has not come in time.
    fn not_started(&self, stop: UntilError, at_once: usize) -> Error {
        let kind = match stop {
            UntilError::DeadlineExceeded => ErrorKind::TimedOut,
            UntilError::Cancelled => ErrorKind::Cancelled,
        };
        let message = format!("{at_once} other calls were in progress, and it has not begun");
        self.error(Error::new(kind, self.name, message).with_hint("allow more calls at once, or more time"))
    }

    fn no_thread(&self, error: &io::Error) -> Error {
        self.error(Error::out_of_resources(self.name, error.to_string()))
    }

    pub(crate) fn orphan(&self, result: Result<()>) -> Orphan {
        Orphan { operation: self.name, container: self.container.clone(), result }
    }
}

/// What a call returns.
pub(crate) trait Answer: Send + 'static {
    /// Returns what became of the call, if nobody takes this.
    fn outcome(&self) -> Result<()>;
}

impl<T: Send + 'static> Answer for Result<T> {
    fn outcome(&self) -> Result<()> {
        self.as_ref().map(drop).map_err(Clone::clone)
    }
}

impl Answer for Vec<ContainerRemoveResult> {
    fn outcome(&self) -> Result<()> {
        self.iter().find_map(|result| result.error.clone()).map_or(Ok(()), Err)
    }
}

type Work<T> = Box<dyn FnOnce(&Until) -> T + Send>;

/// A call on a thread. Its output is an error if it has not begun.
pub(crate) struct PendingCall<T: Answer> {
    handle: SharedHandle,
    operation: Operation,
    until: Until,
    token: CancelToken,
    state: State<T>,
}

enum State<T> {
    New(Work<T>),
    Sent { slot: Arc<Mutex<Slot<T>>>, turn: Option<(u64, UntilEnd)>, _clock: ClockGuard },
    Done,
}

/// Where a thread puts what its call returns.
enum Slot<T> {
    Empty(Option<Waker>),
    Full(std::thread::Result<T>),
    /// The future was dropped.
    Abandoned,
}

impl<T: Answer> PendingCall<T> {
    pub(crate) fn new(
        handle: &SharedHandle,
        operation: Operation,
        until: Until,
        work: impl FnOnce(&Until) -> T + Send + 'static,
    ) -> Self {
        let token = until.cancel_token().map_or_else(CancelToken::new, CancelToken::child);
        let until = until.or_cancelled(&token);
        Self { handle: handle.clone(), operation, until, token, state: State::New(Box::new(work)) }
    }

    /// Sends the work to a thread.
    fn send(&mut self, work: Work<T>, waker: &Waker) -> Result<State<T>> {
        let shared = Arc::clone(self.handle.shared());
        let slot = Arc::new(Mutex::new(Slot::Empty(Some(waker.clone()))));
        let (threads, filled) = (Arc::clone(&shared.threads), Arc::clone(&slot));
        let (until, operation) = (self.until.clone(), self.operation.clone());
        let job = move || {
            let answer = catch_unwind(AssertUnwindSafe(|| work(&until)));
            Some(Box::new(move || deliver(&filled, answer, &operation, &shared)) as Deliver)
        };
        let number = threads.submit(Box::new(job)).map_err(|error| self.operation.no_thread(&error))?;
        let deadlines = &self.handle.shared().deadlines;
        let turn = number.map(|number| (number, UntilEnd::new(self.until.clone(), deadlines)));
        let clock = ClockGuard::new(self.handle.shared());
        Ok(State::Sent { slot, turn, _clock: clock })
    }
}

fn deliver<T: Answer>(
    slot: &Mutex<Slot<T>>,
    answer: std::thread::Result<T>,
    operation: &Operation,
    shared: &Shared,
) {
    let mut slot = lock(slot);
    if let Slot::Empty(waker) = &mut *slot {
        let waker = waker.take();
        *slot = Slot::Full(answer);
        drop(slot);
        waker.inspect(Waker::wake_by_ref);
    } else {
        drop(slot);
        abandon(answer, operation, shared);
    }
}

/// Reports an answer that nobody takes.
fn abandon<T: Answer>(answer: std::thread::Result<T>, operation: &Operation, shared: &Shared) {
    shared.report(|| {
        operation.orphan(match &answer {
            Ok(answer) => answer.outcome(),
            Err(panic) => Err(operation.error_of_panic(panic.as_ref())),
        })
    });
}

impl Operation {
    fn error_of_panic(&self, panic: &(dyn Any + Send)) -> Error {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
        let error = Error::new(ErrorKind::BackendFailed, self.name, format!("the call panicked: {text}"));
        match &self.container {
            Some(name) => error.in_container(name),
            None => error,
        }
    }
}

impl<T: Answer> Future for PendingCall<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        this.state = match std::mem::replace(&mut this.state, State::Done) {
            State::New(work) => match this.send(work, cx.waker()) {
                Ok(sent) => sent,
                Err(error) => return Poll::Ready(Err(error)),
            },
            sent => sent,
        };
        let State::Sent { slot, turn, .. } = &mut this.state else {
            panic!("a call was polled after its end");
        };
        {
            let mut slot = lock(slot);
            if let Slot::Full(_) = *slot {
                let full = std::mem::replace(&mut *slot, Slot::Abandoned);
                drop(slot);
                this.state = State::Done;
                return match full {
                    Slot::Full(Ok(answer)) => Poll::Ready(Ok(answer)),
                    Slot::Full(Err(panic)) => resume_unwind(panic),
                    Slot::Empty(_) | Slot::Abandoned => unreachable!("it was full"),
                };
            }
            *slot = Slot::Empty(Some(cx.waker().clone()));
        }
        let threads = &this.handle.shared().threads;
        if let Some((number, end)) = turn
            && let Poll::Ready(end) = end.poll(cx, threads)
        {
            // Once it has begun, the backend looks at the limit itself.
            if threads.withdraw(*number) {
                let error = match end {
                    Ok(stop) => this.operation.not_started(stop, threads.at_once()),
                    Err(error) => this.operation.no_thread(&error),
                };
                this.state = State::Done;
                return Poll::Ready(Err(error));
            }
            *turn = None;
        }
        Poll::Pending
    }
}

impl<T: Answer> Drop for PendingCall<T> {
    fn drop(&mut self) {
        let State::Sent { slot, turn, .. } = std::mem::replace(&mut self.state, State::Done) else { return };
        let shared = self.handle.shared();
        if turn.is_some_and(|(number, _)| shared.threads.withdraw(number)) {
            return;
        }
        let left = std::mem::replace(&mut *lock(&slot), Slot::Abandoned);
        match left {
            Slot::Full(answer) => abandon(answer, &self.operation, shared),
            Slot::Empty(_) | Slot::Abandoned => self.token.cancel(),
        }
    }
}
