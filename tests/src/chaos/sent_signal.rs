//! What the chaos does to a process or to all containers, and what it has done.

use std::fmt;

use fastrand::Rng;
use rustix::process::Signal;

use super::store_processes::Role;

/// Something that was done.
#[derive(Clone, Debug)]
pub(super) struct SentSignal {
    pub(super) role: Role,
    pub(super) signal: Signal,
    /// To whom, for people.
    pub(super) whom: String,
}

/// TERM, INT, HUP and KILL end, STOP holds.
pub(super) fn random(rng: &mut Rng) -> Signal {
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL, Signal::STOP][rng.usize(..5)]
}

impl SentSignal {
    /// The code that a shell, and podman, give a process that this signal has ended; `None` for one
    /// that ends nobody.
    pub(super) fn code(&self) -> Option<i32> {
        (self.signal != Signal::STOP).then(|| 128 + self.signal.as_raw())
    }
}

impl SentSignal {
    /// What it was to whom, without a name.
    pub(super) fn kind(&self) -> String {
        let names = [
            (Signal::TERM, "TERM"),
            (Signal::INT, "INT"),
            (Signal::HUP, "HUP"),
            (Signal::KILL, "KILL"),
            (Signal::STOP, "STOP"),
        ];
        let name = names.iter().find(|(signal, _)| *signal == self.signal).map_or("?", |(_, name)| name);
        format!("{name} to {:?}", self.role)
    }
}

impl fmt::Display for SentSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.whom)
    }
}
