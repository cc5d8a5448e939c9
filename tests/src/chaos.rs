//! Chaos: random harm to everything that `rt` stands on, and a comparison of every answer with the
//! truth. What is harmed and asked stands in the modules below; `cargo xtask chaos` makes the
//! podman.
//!
//! Each round has a seed. It decides what is asked, what is harmed and when; how the two meet is
//! the machine's doing.

mod command;
mod fault_plan;
mod ledger;
mod main_process;
mod podman;
mod random;
mod sent_signal;
mod ssh;
mod store_processes;
mod turn;
mod verbs;
mod verdict;

use std::time::{Duration, Instant};

use crate::live::Live;
use crate::ssh_lab::Result;
use ledger::Ledger;

/// What is done to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Cuts, delays and turned bits on connections to a guest that renews its keys all the time.
    Ssh,
    /// Signals to every process of podman's that the run has started.
    Podman,
}

impl Part {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Ssh, Self::Podman];

    /// The word by which a command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Podman => "podman",
        }
    }

    fn round(self, live: &Live, seed: u64, ledger: &Ledger) -> Result<()> {
        match self {
            Self::Ssh => ssh::round(live, seed, ledger),
            Self::Podman => podman::round(live, seed, ledger),
        }
    }
}

/// Rounds in turns until the time is over, at least one of each part. Whether no fault was found;
/// they are printed.
pub fn run(live: &Live, parts: &[Part], time: Duration, seed: u64) -> bool {
    let end = Instant::now() + time;
    let ledger = Ledger::watched();
    let mut seeds = fastrand::Rng::with_seed(seed);
    // The first round's is the run's own: a round is repeated by its seed.
    let mut next = seed;
    for turn in 0.. {
        for part in parts {
            if turn > 0 && Instant::now() >= end {
                print!("{}", ledger.summary());
                return ledger.faults() == 0;
            }
            ledger.begin(part.name(), next);
            if let Err(error) = part.round(live, next, &ledger) {
                ledger.fault(&format!("the round itself failed: {error}"));
            }
        }
        next = seeds.u64(..);
    }
    unreachable!("the turns have no end of their own")
}
