//! Cancellation from another thread: tokens that wake waiting threads, child tokens, and a guard.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use crate::sync::lock;

/// A token with which one thread cancels the calls of others.
///
/// Clones are the same token. Cancelling is final, and may be done from any thread, more than once.
/// Waiting threads do not poll: they register a callback with [`on_cancel`](Self::on_cancel), which
/// wakes them.
///
/// ```
/// use rt_protocol::CancelToken;
///
/// let run = CancelToken::new();
/// let step = run.child();
/// step.cancel();
/// assert!(step.is_cancelled() && !run.is_cancelled());
/// run.cancel();
/// assert!(run.child().is_cancelled());
/// ```
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Keeps the registration with the parent alive as long as this token lives.
    parent: Mutex<Option<CancelRegistration>>,
}

#[derive(Default)]
struct State {
    cancelled: bool,
    next: u64,
    callbacks: BTreeMap<u64, Callback>,
}

type Callback = Box<dyn FnOnce() + Send>;

impl CancelToken {
    /// Returns a token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a token that is cancelled with this one, and can be cancelled alone.
    #[must_use]
    pub fn child(&self) -> Self {
        let child = Self::new();
        let weak = Arc::downgrade(&child.0);
        let registration = self.on_cancel(move || {
            if let Some(shared) = weak.upgrade() {
                Self(shared).cancel();
            }
        });
        *lock(&child.0.parent) = Some(registration);
        child
    }

    /// Cancels the token. Every registered callback is called once, on this thread, before the call
    /// returns.
    pub fn cancel(&self) {
        let callbacks = {
            let mut state = lock(&self.0.state);
            state.cancelled = true;
            std::mem::take(&mut state.callbacks)
        };
        for callback in callbacks.into_values() {
            callback();
        }
    }

    /// Returns whether the token is cancelled.
    pub fn is_cancelled(&self) -> bool {
        lock(&self.0.state).cancelled
    }

    /// Registers a callback for the cancellation. If the token is cancelled already, it is called
    /// at once, on this thread.
    ///
    /// The callback runs on the cancelling thread, and should only wake another one. Dropping the
    /// registration removes the callback. If a cancelling thread has already taken the callback, it
    /// may still run shortly afterwards.
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> CancelRegistration {
        let mut state = lock(&self.0.state);
        if state.cancelled {
            drop(state);
            callback();
            return CancelRegistration { entry: None };
        }
        let id = state.next;
        state.next += 1;
        state.callbacks.insert(id, Box::new(callback));
        CancelRegistration { entry: Some((Arc::downgrade(&self.0), id)) }
    }

    /// Returns a guard that cancels this token when it is dropped: for an async caller whose future
    /// may be dropped.
    #[must_use = "dropping the guard cancels at once"]
    pub fn cancel_on_drop(&self) -> CancelGuard {
        CancelGuard { token: Some(self.clone()) }
    }
}

/// Two tokens are equal when they are clones of each other.
impl PartialEq for CancelToken {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CancelToken {}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

/// A registered callback. Dropping it removes the callback.
#[must_use = "dropping the registration forgets the callback"]
pub struct CancelRegistration {
    entry: Option<(Weak<Shared>, u64)>,
}

impl Drop for CancelRegistration {
    fn drop(&mut self) {
        if let Some((shared, id)) = &self.entry
            && let Some(shared) = shared.upgrade()
        {
            // Removed under the lock, dropped outside: the callback may own anything.
            let callback = lock(&shared.state).callbacks.remove(id);
            drop(callback);
        }
    }
}

impl fmt::Debug for CancelRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelRegistration").finish_non_exhaustive()
    }
}

/// Cancels its token when dropped, unless it was [disarmed](Self::disarm).
#[derive(Debug)]
pub struct CancelGuard {
    token: Option<CancelToken>,
}

impl CancelGuard {
    /// Drops the guard without cancelling the token.
    pub fn disarm(mut self) {
        self.token = None;
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn counter() -> (Arc<AtomicUsize>, impl Fn() -> usize) {
        let count = Arc::new(AtomicUsize::new(0));
        let reader = Arc::clone(&count);
        (count, move || reader.load(Ordering::SeqCst))
    }

    #[test]
    fn a_callback_is_called_once_however_often_one_cancels() {
        let (count, read) = counter();
        let token = CancelToken::new();
        let _kept = token.on_cancel(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        token.cancel();
        token.cancel();
        assert_eq!(read(), 1);
    }

    #[test]
    fn a_dropped_registration_is_forgotten_and_leaves_nothing() {
        let (count, read) = counter();
        let token = CancelToken::new();
        for _ in 0..100 {
            let count = Arc::clone(&count);
            drop(token.on_cancel(move || {
                count.fetch_add(1, Ordering::SeqCst);
            }));
        }
        assert!(lock(&token.0.state).callbacks.is_empty());
        token.cancel();
        assert_eq!(read(), 0);
    }

    #[test]
    fn a_late_registration_is_called_at_once() {
        let (count, read) = counter();
        let token = CancelToken::new();
        token.cancel();
        let _kept = token.on_cancel(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(read(), 1);
    }

    #[test]
    fn children_follow_their_parent_and_are_forgotten_when_dropped() {
        let parent = CancelToken::new();
        let grandchild = parent.child().child();
        parent.cancel();
        // The child in between was dropped, so it does not pass the cancellation on.
        assert!(!grandchild.is_cancelled());

        let parent = CancelToken::new();
        let child = parent.child();
        let grandchild = child.child();
        parent.cancel();
        assert!(child.is_cancelled() && grandchild.is_cancelled());

        let parent = CancelToken::new();
        drop(parent.child());
        assert!(lock(&parent.0.state).callbacks.is_empty());
    }

    #[test]
    fn a_guard_cancels_unless_disarmed() {
        let token = CancelToken::new();
        token.cancel_on_drop().disarm();
        assert!(!token.is_cancelled());
        drop(token.cancel_on_drop());
        assert!(token.is_cancelled());
    }
}
