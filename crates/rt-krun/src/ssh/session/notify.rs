//! Wakes those who wait for a change of the pool.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rt_protocol::{Until, UntilError};

/// Wakes all who wait for a change, and counts the changes, so that none is missed between a look and a wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notify(Arc<(Mutex<u64>, Condvar)>);

impl Notify {
    pub(crate) fn notify(&self) {
        *self.lock() += 1;
        self.0.1.notify_all();
    }

    pub(crate) fn count(&self) -> u64 {
        *self.lock()
    }

    /// Waits for a change after the first `seen` of them.
    pub(crate) fn wait(&self, seen: u64, until: &Until) -> Result<(), UntilError> {
        let _registration = until.cancel_token().map(|token| {
            let notify = self.clone();
            token.on_cancel(move || notify.notify())
        });
        let mut count = self.lock();
        while *count == seen {
            until.check()?;
            count = match until.remaining() {
                None => self.0.1.wait(count).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.0.1.wait_timeout(count, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
