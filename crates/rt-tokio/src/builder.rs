//! The settings of an async runtime.

use std::fmt;
use std::sync::Arc;

use rt_protocol::ContainerRuntime;

use crate::Orphan;
use crate::clock_hold::ClockHold;
use crate::deadlines::Deadlines;
use crate::runtime::AsyncRuntime;
use crate::runtime_handle::{OnOrphan, Shared, SharedHandle};
use crate::threads::Threads;

/// How many calls are in progress at most, unless set.
const AT_ONCE: usize = 512;

/// The size of a thread's stack in bytes, unless set.
const STACK_SIZE: usize = 256 << 10;

/// The settings of an [`AsyncRuntime`].
#[must_use = "nothing is made before `build`"]
pub struct AsyncRuntimeBuilder {
    runtime: Arc<dyn ContainerRuntime>,
    at_once: usize,
    stack_size: usize,
    on_orphan: Option<OnOrphan>,
    holds_clock: bool,
}

impl AsyncRuntime {
    /// Returns the async twin of a runtime, with the default settings. Starts nothing.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use rt_null::NullRuntime;
    /// use rt_tokio::AsyncRuntime;
    ///
    /// let runtime = AsyncRuntime::new(Arc::new(NullRuntime::new()));
    /// assert_eq!(runtime.load().threads, 0);
    /// ```
    pub fn new(runtime: Arc<dyn ContainerRuntime>) -> Self {
        Self::builder(runtime).build()
    }

    /// Returns the settings of the async twin of a runtime.
    pub fn builder(runtime: Arc<dyn ContainerRuntime>) -> AsyncRuntimeBuilder {
        AsyncRuntimeBuilder {
            runtime,
            at_once: AT_ONCE,
            stack_size: STACK_SIZE,
            on_orphan: None,
            holds_clock: false,
        }
    }
}

impl AsyncRuntimeBuilder {
    /// Sets how many calls are in progress at most: 512 by default, and at least 1.
    ///
    /// A call is in progress until it has really returned, also if its future was dropped. Others
    /// wait for their turn in the order in which they came; [`AsyncRuntime::load`] shows how many.
    /// The wait counts against the deadline of a call. If that passes first, the call returns
    /// [`TimedOut`](rt_protocol::ErrorKind::TimedOut), and has not begun.
    ///
    /// Open streams and running commands do not count, since they last as long as the program
    /// wants.
    pub fn at_once(mut self, calls: usize) -> Self {
        self.at_once = calls;
        self
    }

    /// Sets the size of each thread's stack in bytes: 256 KiB by default.
    ///
    /// The conformance suite on podman, in a build without optimization, passes with a quarter of
    /// that. Closures of the program run there too: in [`blocking`](AsyncRuntime::blocking), in
    /// sinks and sources, and the conditions of a [`ReadyWhen`](rt_protocol::ReadyWhen).
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// Sets what is called with what became of a call or command whose handle was dropped.
    ///
    /// Usually a thread of the runtime calls it, after the command was ended; it may also be the
    /// one that drops the handle. It should not block. Do not give it a handle of this runtime,
    /// which would then never be dropped.
    pub fn on_orphan(mut self, callback: impl Fn(Orphan) + Send + Sync + 'static) -> Self {
        self.on_orphan = Some(Box::new(callback));
        self
    }

    /// Keeps tokio's clock from advancing by itself while a call is in progress, and while a
    /// command's end or the next item of a stream is awaited. For tests with a paused clock; see
    /// the [guide](crate::guide#deadlines-and-a-paused-clock).
    pub fn hold_paused_clock(mut self) -> Self {
        self.holds_clock = true;
        self
    }

    /// Returns the runtime. Starts nothing.
    pub fn build(self) -> AsyncRuntime {
        let shared = Shared {
            threads: Threads::new(self.at_once, self.stack_size),
            deadlines: Deadlines::default(),
            on_orphan: self.on_orphan,
            clock: ClockHold::new(self.holds_clock),
        };
        AsyncRuntime::with_handle(self.runtime, SharedHandle::new(shared))
    }
}

impl fmt::Debug for AsyncRuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncRuntimeBuilder")
            .field("runtime", &self.runtime)
            .field("at_once", &self.at_once)
            .field("stack_size", &self.stack_size)
            .finish_non_exhaustive()
    }
}
