//! A bridged command on a thread of its own.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use super::command_control::CommandControl;
use crate::sync::{Notify, Waker, lock};
use crate::{
    CancelToken, Capabilities, Capability, Error, ErrorKind, KillReport, Result, Signal, StdioResult,
    TerminalSize, Until, UntilError,
};

/// Sends a signal to a command.
type SignalFn = dyn Fn(Signal) -> Result<()> + Send + Sync;

/// Changes the size of a command's terminal.
type ResizeFn = dyn Fn(TerminalSize) -> Result<()> + Send + Sync;

/// A call of [`Container::exec_stdio`](crate::Container::exec_stdio) on a thread of its own. For
/// backends whose [`spawn`](crate::Container::spawn) adds signals or resizes to it; without
/// them, callers get it by default.
pub struct BackgroundCommand {
    shared: Arc<Shared>,
    token: CancelToken,
    thread: Option<JoinHandle<()>>,
    signals: Option<Box<SignalFn>>,
    resizes: Option<Box<ResizeFn>>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Shared {
    progress: Mutex<Progress>,
    /// Notified when the call is over.
    ended: Notify,
}

#[derive(Default)]
enum Progress {
    #[default]
    Running,
    Ended(Result<StdioResult>),
    Panicked,
}

/// Says that the call is over, also if it panics.
struct EndGuard(Arc<Shared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        let mut progress = lock(&self.0.progress);
        if matches!(*progress, Progress::Running) {
            *progress = Progress::Panicked;
        }
        drop(progress);
        self.0.ended.notify();
    }
}

impl BackgroundCommand {
    /// Starts a thread that makes this call. The call must end the command and return when its
    /// `Until` is cancelled.
    ///
    /// # Errors
    /// [`System`](ErrorKind::System) if no thread can be started.
    pub fn start(call: impl FnOnce(&Until) -> Result<StdioResult> + Send + 'static) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let token = CancelToken::new();
        let until = Until::forever().or_cancelled(&token);
        let end_guard = EndGuard(Arc::clone(&shared));
        let thread = Builder::new()
            .name(String::from("rt-command"))
            .spawn(move || {
                let result = call(&until);
                *lock(&end_guard.0.progress) = Progress::Ended(result);
            })
            .map_err(|error| Error::out_of_resources("exec in", error.to_string()))?;
        Ok(Self { shared, token, thread: Some(thread), signals: None, resizes: None, waker: None })
    }

    /// Adds what sends a signal to the command, if it still runs.
    #[must_use]
    pub fn with_signals(mut self, send: impl Fn(Signal) -> Result<()> + Send + Sync + 'static) -> Self {
        self.signals = Some(Box::new(send));
        self
    }

    /// Adds what changes the size of the command's terminal, if it still runs.
    #[must_use]
    pub fn with_resizes(
        mut self,
        resize: impl Fn(TerminalSize) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.resizes = Some(Box::new(resize));
        self
    }

    fn is_over(&self) -> bool {
        !matches!(*lock(&self.shared.progress), Progress::Running)
    }
}

impl CommandControl for BackgroundCommand {
    fn try_wait(&mut self) -> Option<Result<StdioResult>> {
        if !self.is_over() {
            return None;
        }
        // The thread ends now. A panic of the call goes on here.
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
        match &*lock(&self.shared.progress) {
            Progress::Ended(result) => Some(result.clone()),
            Progress::Running => None,
            // It went on above, at the first call.
            Progress::Panicked => {
                Some(Err(Error::new(ErrorKind::BackendFailed, "exec in", "the thread of its call panicked")))
            }
        }
    }

    fn wait(&mut self, until: &Until) -> std::result::Result<(), UntilError> {
        self.shared.ended.wait_for(until, || self.is_over().then_some(()))
    }

    fn kill(&mut self) -> KillReport {
        self.token.cancel();
        let thread = self.thread.take().map(JoinHandle::join);
        drop(thread);
        match &*lock(&self.shared.progress) {
            Progress::Ended(Err(error)) => match error.kill_report() {
                Some(report) => report.clone(),
                None if error.never_started() => KillReport::never_started(),
                None => KillReport::unknown(format!("it had ended: {error}")),
            },
            Progress::Ended(Ok(_)) => KillReport::unknown("it had ended by itself; what it left runs on"),
            Progress::Running | Progress::Panicked => KillReport::unknown("the thread of its call panicked"),
        }
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        match &self.signals {
            Some(_) if self.is_over() => Ok(()),
            Some(send) => send(signal),
            None => Err(Error::unsupported(
                "signal a command in",
                Capabilities::none().with(Capability::SendSignal),
            )),
        }
    }

    fn resize(&mut self, size: TerminalSize) -> Result<()> {
        match &self.resizes {
            Some(_) if self.is_over() => Ok(()),
            Some(resize) => resize(size),
            None => {
                Err(Error::unsupported("resize a terminal in", Capabilities::none().with(Capability::Spawn)))
            }
        }
    }

    fn readiness(&mut self) -> io::Result<OwnedFd> {
        let waker = match self.waker.take() {
            Some(waker) => waker,
            None => self.shared.ended.waker()?,
        };
        // It may have ended before there was a waker.
        if self.is_over() {
            waker.wake();
        }
        let descriptor = waker.as_fd().try_clone_to_owned();
        self.waker = Some(waker);
        descriptor
    }
}

impl fmt::Debug for BackgroundCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundCommand").field("is_over", &self.is_over()).finish_non_exhaustive()
    }
}

impl Drop for BackgroundCommand {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
