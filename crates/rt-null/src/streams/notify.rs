//! How blocked calls are woken: one notifier for each, one list of them for a runtime. What they wait for is theirs to
//! look at.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Counts notifications, so that one which comes between looking and waiting is not missed.
#[derive(Debug, Default)]
pub(crate) struct Notify {
    count: Mutex<u64>,
    notified: Condvar,
    /// The far ends of sockets on which a call that polls descriptors is woken, one for each descriptor.
    sockets: Mutex<Vec<UnixStream>>,
}

impl Notify {
    pub(crate) fn notify(&self) {
        *lock(&self.count) += 1;
        self.notified.notify_all();
        for mut socket in lock(&self.sockets).iter() {
            // A full socket wakes just as well, and a closed one has nobody to wake.
            let _ = socket.write(&[1]);
        }
    }

    /// How often it was notified so far.
    pub(crate) fn count(&self) -> u64 {
        *lock(&self.count)
    }

    /// Waits for a notification after the first `seen`, no longer than `at_most`; may return early.
    pub(crate) fn wait_beyond(&self, seen: u64, at_most: Option<Duration>) {
        let count = lock(&self.count);
        if *count > seen {
            return;
        }
        match at_most {
            Some(at_most) => {
                drop(self.notified.wait_timeout(count, at_most).unwrap_or_else(PoisonError::into_inner));
            }
            None => drop(self.notified.wait(count).unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// A socket that becomes readable at every notification from now on. Nonblocking, for `poll`.
    pub(crate) fn wake_socket(&self) -> std::io::Result<UnixStream> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        lock(&self.sockets).push(far);
        Ok(near)
    }
}

/// The notifiers of all calls that are under way in one runtime.
#[derive(Debug, Default)]
pub(crate) struct WaiterList {
    registered: Mutex<Registered>,
}

#[derive(Debug, Default)]
struct Registered {
    next: u64,
    notifiers: BTreeMap<u64, Arc<Notify>>,
}

impl WaiterList {
    /// A notifier that is woken whenever something changes, until the registration is dropped.
    pub(crate) fn register(self: &Arc<Self>) -> Registration {
        let notify = Arc::new(Notify::default());
        let mut registered = lock(&self.registered);
        let number = registered.next;
        registered.next += 1;
        registered.notifiers.insert(number, Arc::clone(&notify));
        Registration { waiters: Arc::clone(self), number, notify }
    }

    pub(crate) fn notify_all(&self) {
        for notify in lock(&self.registered).notifiers.values() {
            notify.notify();
        }
    }
}

/// A notifier in its list, until it is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    waiters: Arc<WaiterList>,
    number: u64,
    notify: Arc<Notify>,
}

impl Registration {
    pub(crate) fn notify(&self) -> &Arc<Notify> {
        &self.notify
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.waiters.registered).notifiers.remove(&self.number);
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
    fn a_notification_between_looking_and_waiting_is_not_missed() {
        let notify = Notify::default();
        let seen = notify.count();
        notify.notify();
        notify.wait_beyond(seen, None);
    }

    #[test]
    fn a_dropped_registration_leaves_nothing() {
        let waiters = Arc::new(WaiterList::default());
        let registration = waiters.register();
        waiters.notify_all();
        assert_eq!(registration.notify().count(), 1);
        drop(registration);
        assert!(lock(&waiters.registered).notifiers.is_empty());
    }
}
