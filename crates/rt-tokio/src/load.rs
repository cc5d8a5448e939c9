//! What an async runtime does at one moment.

use std::fmt;

/// What an [`AsyncRuntime`](crate::AsyncRuntime) does at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// How many calls are in progress, those whose futures were dropped included.
    pub running: usize,
    /// How many calls wait for their turn.
    pub waiting: usize,
    /// The limit of `running`: [`at_once`](crate::AsyncRuntimeBuilder::at_once).
    pub at_once: usize,
    /// How many threads work beside the calls: one for each open stream, for each command that is
    /// being ended or signalled, and one while anything waits for a deadline.
    pub held: usize,
    /// How many threads there are. One without work is kept for a second.
    pub threads: usize,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { running, waiting, at_once, threads, .. } = self;
        write!(f, "{running} of {at_once} calls in progress, {waiting} waiting; {threads} threads")
    }
}
