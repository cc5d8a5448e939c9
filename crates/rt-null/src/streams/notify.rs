//! How blocked calls are woken: one notifier for each call, one list of them for a runtime. What a
//! call waits for is checked by the call itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rt_protocol::sync::Notify;
pub(crate) use rt_protocol::sync::lock;

/// The notifiers of all calls in progress in one runtime.
#[derive(Debug, Default)]
pub(crate) struct WaiterList {
    registered: Mutex<Registered>,
}

#[derive(Debug, Default)]
struct Registered {
    next: u64,
    notifiers: BTreeMap<u64, Notify>,
}

impl WaiterList {
    /// Returns a notifier that is woken on every change, until the registration is dropped.
    pub(crate) fn register(self: &Arc<Self>) -> Registration {
        let notify = Notify::default();
        let mut registered = lock(&self.registered);
        let number = registered.next;
        registered.next += 1;
        registered.notifiers.insert(number, notify.clone());
        Registration { waiters: Arc::clone(self), number, notify }
    }

    pub(crate) fn notify_all(&self) {
        for notify in lock(&self.registered).notifiers.values() {
            notify.notify();
        }
    }
}

/// A notifier in its list, until dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    waiters: Arc<WaiterList>,
    number: u64,
    notify: Notify,
}

impl Registration {
    pub(crate) fn notify(&self) -> &Notify {
        &self.notify
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.waiters.registered).notifiers.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
