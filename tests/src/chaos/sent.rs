//! A signal that the chaos sends, and those that it has sent.

use std::fmt;

use fastrand::Rng;
use rt_process::census::ProcessEntry;
use rustix::process::Signal;

use super::victims::Role;

/// One that was delivered.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) role: Role,
    pub(super) signal: Signal,
    pub(super) entry: ProcessEntry,
}

/// TERM, INT, HUP and KILL end, STOP holds.
pub(super) fn random(rng: &mut Rng) -> Signal {
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL, Signal::STOP][rng.usize(..5)]
}

impl Sent {
    /// The code that a shell, and podman, give a process that this signal has ended; `None` for one that ends nobody.
    pub(super) fn code(&self) -> Option<i32> {
        (self.signal != Signal::STOP).then(|| 128 + self.signal.as_raw())
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} to {:?} {} ({})", self.signal, self.role, self.entry.pid, self.entry.name)
    }
}
