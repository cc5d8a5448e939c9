//! The one way to lock a mutex.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. No code of a caller runs under these mutexes and no state is half changed, so a
/// poisoned mutex still has a consistent state.
#[allow(clippy::disallowed_methods, reason = "the one place that takes a poisoned lock")]
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
