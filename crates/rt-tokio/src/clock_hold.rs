//! Keeps tokio's paused clock from advancing while work is done that it does not know of.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use rt_protocol::sync::lock;
use tokio::runtime::Handle;

/// tokio does not advance a paused clock while its blocking pool works: one task of that pool waits
/// while there is a guard.
#[derive(Debug, Default)]
pub(crate) struct ClockHold {
    is_wanted: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    guards: usize,
    /// The task ends when this is dropped.
    task: Option<Sender<()>>,
}

impl ClockHold {
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self { is_wanted, state: Mutex::default() }
    }

    /// Holds the clock of the runtime of this task, until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        if !self.is_wanted {
            return;
        }
        let mut state = lock(&self.state);
        state.guards += 1;
        if state.task.is_none()
            && let Ok(executor) = Handle::try_current()
        {
            let (sender, ended) = channel();
            executor.spawn_blocking(move || ended.recv());
            state.task = Some(sender);
        }
    }

    pub(crate) fn release(&self) {
        if !self.is_wanted {
            return;
        }
        let mut state = lock(&self.state);
        state.guards -= 1;
        if state.guards == 0 {
            state.task = None;
        }
    }
}
