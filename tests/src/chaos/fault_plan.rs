//! The faults of one call: which process gets which signal when, and for how long it is held; or
//! all containers are frozen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Signal;

use super::sent_signal::{self, SentSignal};
use super::store_processes::{ROLES, Role, StoreProcesses, send};
use crate::live::Live;

/// Between two looks for a victim.
const PERIOD: Duration = Duration::from_millis(3);

/// What is to be done during a call.
#[derive(Clone, Debug)]
pub(super) struct FaultPlan {
    signals: Vec<SignalFault>,
    /// After which time podman pauses all containers, and for how long.
    freeze: Option<(Duration, Duration)>,
}

#[derive(Clone, Copy, Debug)]
struct SignalFault {
    role: Role,
    signal: Signal,
    /// After the victim was seen first.
    delay: Duration,
    /// Of a victim that is stopped.
    hold: Duration,
}

impl FaultPlan {
    /// Mostly one signal, sometimes two or none.
    pub(super) fn random(rng: &mut Rng) -> Self {
        let count = [0, 1, 1, 1, 1, 1, 1, 2, 2, 2][rng.usize(..10)];
        let signal_fault = |rng: &mut Rng| SignalFault {
            // The client is there in every call, the others in some.
            role: if rng.u8(..3) == 0 { Role::Client } else { ROLES[rng.usize(..ROLES.len())] },
            signal: sent_signal::random(rng),
            delay: Duration::from_micros(super::random::number(rng, 8..=18)),
            hold: Duration::from_millis(rng.u64(50..4000)),
        };
        let signals = (0..count).map(|_| signal_fault(rng)).collect();
        let freeze = (rng.u8(..10) == 0)
            .then(|| (Duration::from_millis(rng.u64(0..300)), Duration::from_millis(rng.u64(50..4000))));
        Self { signals, freeze }
    }

    /// Makes the trouble during the call; the answer, and what was done. Nobody is stopped any more
    /// afterwards.
    pub(super) fn during<T: Send>(
        &self,
        live: &Live,
        processes: &StoreProcesses,
        call: impl FnOnce() -> T + Send,
    ) -> (T, Vec<SentSignal>) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let signals =
                self.signals.iter().map(|signal_fault| scope.spawn(|| signal_fault.done(processes, &over)));
            // Begun before the call is.
            let signals: Vec<_> = signals.collect();
            let freeze = self.freeze.filter(|_| live.cgroups().is_ok());
            let frozen =
                freeze.map(|(delay, hold)| scope.spawn(move || freeze_containers(live, delay, hold)));
            let answer = call();
            over.store(true, Ordering::Relaxed);
            let mut sent: Vec<_> =
                signals.into_iter().filter_map(|signal_fault| signal_fault.join().ok().flatten()).collect();
            sent.extend(frozen.and_then(|frozen| frozen.join().ok()));
            (answer, sent)
        })
    }
}

impl SignalFault {
    fn done(&self, processes: &StoreProcesses, over: &AtomicBool) -> Option<SentSignal> {
        let entry = loop {
            if over.load(Ordering::Relaxed) {
                return None;
            }
            let found = processes.look().into_iter().find(|(role, _)| *role == self.role);
            if let Some((_, entry)) = found {
                break entry;
            }
            thread::sleep(PERIOD);
        };
        thread::sleep(self.delay);
        // It may have become something else meanwhile. What it is when it is hit decides which
        // answers are right.
        let role = processes.role_now(&entry)?;
        if !send(&entry, self.signal).unwrap_or(false) {
            return None;
        }
        if self.signal == Signal::STOP {
            let mut held = Duration::ZERO;
            // A call that has returned has not waited for it.
            while held < self.hold && !over.load(Ordering::Relaxed) {
                thread::sleep(PERIOD);
                held += PERIOD;
            }
            let _ = send(&entry, Signal::CONT);
        }
        Some(SentSignal { role, signal: self.signal, whom: format!("{} ({})", entry.pid, entry.name) })
    }
}

/// Freezes every container of the store for a while; its own client may be a victim too.
fn freeze_containers(live: &Live, delay: Duration, hold: Duration) -> SentSignal {
    thread::sleep(delay);
    let was = live.plain(&["pause", "--all"]);
    thread::sleep(hold);
    // Whatever became of the one before: nobody stays frozen.
    for _ in 0..20 {
        let _ = live.plain(&["unpause", "--all"]);
        let frozen = live.plain(&["ps", "--all", "--quiet", "--filter=status=paused"]);
        if frozen.is_ok_and(|ids| ids.trim().is_empty()) {
            break;
        }
    }
    SentSignal { role: Role::Main, signal: Signal::STOP, whom: format!("by pausing all: {was:?}") }
}
