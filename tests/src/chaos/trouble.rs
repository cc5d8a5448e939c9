//! Trouble for one call: which process gets which signal when, and for how long it is held; or all containers are frozen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Signal;

use super::sent::{self, Sent};
use super::victims::{ROLES, Role, Victims, send};
use crate::live::Live;

/// Between two looks for a victim.
const PERIOD: Duration = Duration::from_millis(3);

/// What is to be done during a call.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    deeds: Vec<Deed>,
    /// After which time podman pauses all containers, and for how long.
    freeze: Option<(Duration, Duration)>,
}

#[derive(Clone, Copy, Debug)]
struct Deed {
    role: Role,
    signal: Signal,
    /// After the victim was seen first.
    delay: Duration,
    /// Of a victim that is stopped.
    hold: Duration,
}

impl Trouble {
    /// Mostly one deed, sometimes two or none.
    pub(super) fn random(rng: &mut Rng) -> Self {
        let count = [0, 1, 1, 1, 1, 1, 1, 2, 2, 2][rng.usize(..10)];
        let deed = |rng: &mut Rng| Deed {
            // The client is there in every call, the others in some.
            role: if rng.u8(..3) == 0 { Role::Client } else { ROLES[rng.usize(..ROLES.len())] },
            signal: sent::random(rng),
            delay: Duration::from_micros(super::number(rng, 8..=18)),
            hold: Duration::from_millis(rng.u64(50..4000)),
        };
        let deeds = (0..count).map(|_| deed(rng)).collect();
        let freeze = (rng.u8(..10) == 0)
            .then(|| (Duration::from_millis(rng.u64(0..300)), Duration::from_millis(rng.u64(50..4000))));
        Self { deeds, freeze }
    }

    /// Makes the trouble during the call; the answer, and what was done. Nobody is stopped any more afterwards.
    pub(super) fn during<T: Send>(
        &self,
        live: &Live,
        victims: &Victims,
        call: impl FnOnce() -> T + Send,
    ) -> (T, Vec<Sent>) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let deeds = self.deeds.iter().map(|deed| scope.spawn(|| deed.done(victims, &over)));
            // Begun before the call is.
            let deeds: Vec<_> = deeds.collect();
            let freeze = self.freeze.filter(|_| live.cgroups().is_ok());
            let frozen = freeze.map(|(delay, hold)| scope.spawn(move || froze(live, delay, hold)));
            let answer = call();
            over.store(true, Ordering::Relaxed);
            let mut sent: Vec<_> = deeds.into_iter().filter_map(|deed| deed.join().ok().flatten()).collect();
            sent.extend(frozen.and_then(|frozen| frozen.join().ok()));
            (answer, sent)
        })
    }
}

impl Deed {
    fn done(&self, victims: &Victims, over: &AtomicBool) -> Option<Sent> {
        let entry = loop {
            if over.load(Ordering::Relaxed) {
                return None;
            }
            let found = victims.look().into_iter().find(|(role, _)| *role == self.role);
            if let Some((_, entry)) = found {
                break entry;
            }
            thread::sleep(PERIOD);
        };
        thread::sleep(self.delay);
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
        Some(Sent { role: self.role, signal: self.signal, whom: format!("{} ({})", entry.pid, entry.name) })
    }
}

/// Freezes every container of the store for a while; its own client may be a victim too.
fn froze(live: &Live, delay: Duration, hold: Duration) -> Sent {
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
    Sent { role: Role::Main, signal: Signal::STOP, whom: format!("by pausing all: {was:?}") }
}
