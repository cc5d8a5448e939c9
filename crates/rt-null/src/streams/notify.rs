//! How blocked calls are woken: one bell for each, one belfry for a runtime. What they wait for is theirs to look at.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Counts rings, so that one which comes between looking and waiting is not missed.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
    /// The far ends of sockets on which a call that polls descriptors hears the bell, one for each descriptor.
    lines: Mutex<Vec<UnixStream>>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *lock(&self.rings) += 1;
        self.rung.notify_all();
        for mut line in lock(&self.lines).iter() {
            // A full socket wakes just as well, and a closed one has nobody to wake.
            let _ = line.write(&[1]);
        }
    }

    /// How often it rang so far.
    pub(crate) fn count(&self) -> u64 {
        *lock(&self.rings)
    }

    /// Waits for a ring after the first `seen`, no longer than `at_most`; may return early.
    pub(crate) fn wait_past(&self, seen: u64, at_most: Option<Duration>) {
        let rings = lock(&self.rings);
        if *rings > seen {
            return;
        }
        match at_most {
            Some(at_most) => {
                drop(self.rung.wait_timeout(rings, at_most).unwrap_or_else(PoisonError::into_inner));
            }
            None => drop(self.rung.wait(rings).unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// A socket that becomes readable at every ring from now on. Nonblocking, for `poll`.
    pub(crate) fn connect(&self) -> std::io::Result<UnixStream> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        lock(&self.lines).push(far);
        Ok(near)
    }
}

/// The bells of all calls that are under way in one runtime.
#[derive(Debug, Default)]
pub(crate) struct Belfry {
    bells: Mutex<Hung>,
}

#[derive(Debug, Default)]
struct Hung {
    next: u64,
    bells: BTreeMap<u64, Arc<Bell>>,
}

impl Belfry {
    /// A bell that rings whenever something changes, until the place is dropped.
    pub(crate) fn hang(self: &Arc<Self>) -> BellPlace {
        let bell = Arc::new(Bell::default());
        let mut hung = lock(&self.bells);
        let number = hung.next;
        hung.next += 1;
        hung.bells.insert(number, Arc::clone(&bell));
        BellPlace { belfry: Arc::clone(self), number, bell }
    }

    pub(crate) fn ring_all(&self) {
        for bell in lock(&self.bells).bells.values() {
            bell.ring();
        }
    }
}

/// A bell in its belfry.
#[derive(Debug)]
pub(crate) struct BellPlace {
    belfry: Arc<Belfry>,
    number: u64,
    bell: Arc<Bell>,
}

impl BellPlace {
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }
}

impl Drop for BellPlace {
    fn drop(&mut self) {
        lock(&self.belfry.bells).bells.remove(&self.number);
    }
}

/// Locks a mutex of this crate. None is held while code of the caller runs, so a poisoned one still holds a whole state.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_between_looking_and_waiting_is_not_missed() {
        let bell = Bell::default();
        let seen = bell.count();
        bell.ring();
        bell.wait_past(seen, None);
    }

    #[test]
    fn a_dropped_place_leaves_nothing() {
        let belfry = Arc::new(Belfry::default());
        let place = belfry.hang();
        belfry.ring_all();
        assert_eq!(place.bell().count(), 1);
        drop(place);
        assert!(lock(&belfry.bells).bells.is_empty());
    }
}
