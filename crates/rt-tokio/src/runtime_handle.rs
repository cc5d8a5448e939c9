//! What the handles of one async runtime share, and what happens when the last of them is dropped.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rt_protocol::Until;

use crate::Orphan;
use crate::clock_hold::ClockHold;
use crate::deadlines::Deadlines;
use crate::threads::Threads;

/// How long dropping the last handle waits for commands that are being ended. By the default limits
/// of the contract, that takes 12 s at most.
const DROP_LIMIT: Duration = Duration::from_secs(15);

pub(crate) type OnOrphan = Box<dyn Fn(Orphan) + Send + Sync>;

/// What threads and handles use.
pub(crate) struct Shared {
    pub(crate) threads: Arc<Threads>,
    pub(crate) deadlines: Deadlines,
    pub(crate) on_orphan: Option<OnOrphan>,
    pub(crate) clock: ClockHold,
}

impl Shared {
    pub(crate) fn report(&self, orphan: impl FnOnce() -> Orphan) {
        if let Some(on_orphan) = &self.on_orphan {
            // A panic in it is the program's, and was printed.
            let _ = catch_unwind(AssertUnwindSafe(|| on_orphan(orphan())));
        }
    }
}

/// Holds tokio's clock while it lives, if that is wanted.
#[derive(Debug)]
pub(crate) struct ClockGuard(Arc<Shared>);

impl ClockGuard {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.clock.hold();
        Self(Arc::clone(shared))
    }
}

impl Drop for ClockGuard {
    fn drop(&mut self) {
        self.0.clock.release();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// One handle. Everything that users hold has one, and no thread has.
#[derive(Clone, Debug)]
pub(crate) struct SharedHandle(Arc<LastHandle>);

#[derive(Debug)]
struct LastHandle(Arc<Shared>);

impl SharedHandle {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(LastHandle(Arc::new(shared))))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

impl Drop for LastHandle {
    fn drop(&mut self) {
        // The commands whose futures were dropped are being ended. If the program ended first,
        // nobody would end them.
        self.0.threads.block_until_end(&Until::after(DROP_LIMIT));
    }
}
