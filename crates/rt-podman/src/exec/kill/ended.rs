//! What became of a command that had to end.

use rt_protocol::{KillOutcome, Survivor};

/// What became of a command.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: KillOutcome,
    pub(crate) killed: usize,
    pub(crate) survivors: Vec<Survivor>,
}
