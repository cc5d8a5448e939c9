//! The one way to lock a mutex of ours.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex under which nothing of a caller's runs and no state is half changed, so that a poisoned one still holds
/// a whole state.
#[allow(clippy::disallowed_methods, reason = "the one place that takes a poisoned lock")]
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
