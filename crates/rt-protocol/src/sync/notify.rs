//! Wakes threads that wait for a change of shared state.

use std::io;
use std::sync::{self, Arc, Mutex};
use std::time::Duration;

use super::lock::lock;
use super::waker::Waker;
use crate::{CancelRegistration, Until, UntilError};

/// Wakes all threads that wait for a change, and counts the changes, so that none is missed between
/// a check and a wait. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Notify(Arc<Shared>);

#[derive(Debug, Default)]
#[allow(clippy::disallowed_types, reason = "the one place that waits by it")]
struct Shared {
    count: Mutex<u64>,
    notified: sync::Condvar,
    wakers: Mutex<Vec<Waker>>,
}

impl Notify {
    /// Wakes all waiting threads: something has changed.
    pub fn notify(&self) {
        *lock(&self.0.count) += 1;
        self.0.notified.notify_all();
        lock(&self.0.wakers).iter().for_each(Waker::wake);
    }

    /// Calls `look` after each notification until it returns a value.
    ///
    /// # Errors
    /// Why `until` ended first.
    pub fn wait_for<T>(&self, until: &Until, mut look: impl FnMut() -> Option<T>) -> Result<T, UntilError> {
        let _registration = self.notify_on_cancel(until);
        loop {
            let seen = self.count();
            if let Some(found) = look() {
                return Ok(found);
            }
            until.check()?;
            self.wait_beyond(seen, until.remaining());
        }
    }

    /// Returns the number of notifications so far.
    pub fn count(&self) -> u64 {
        *lock(&self.0.count)
    }

    /// Waits until there are more than `seen` notifications, at most for `at_most`. May return
    /// early.
    pub fn wait_beyond(&self, seen: u64, at_most: Option<Duration>) {
        let count = lock(&self.0.count);
        if *count > seen {
            return;
        }
        match at_most {
            Some(at_most) => drop(self.0.notified.wait_timeout(count, at_most)),
            None => drop(self.0.notified.wait(count)),
        }
    }

    /// Notifies when `until` is cancelled, as long as the registration lives; `None` without a
    /// token.
    pub fn notify_on_cancel(&self, until: &Until) -> Option<CancelRegistration> {
        let notify = self.clone();
        until.cancel_token().map(|token| token.on_cancel(move || notify.notify()))
    }

    /// Returns a waker for a poll loop, which every notification from now on wakes.
    ///
    /// # Errors
    /// The operating system has no sockets left.
    pub fn waker(&self) -> io::Result<Waker> {
        let waker = Waker::new()?;
        lock(&self.0.wakers).push(waker.clone());
        Ok(waker)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;
    use crate::CancelToken;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_notification_between_looking_and_waiting_is_not_missed() {
        let notify = Notify::default();
        let mut looks = 0;
        let found = notify.wait_for(&Until::forever(), || {
            looks += 1;
            // After the count was read, and before the wait.
            notify.notify();
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, Ok(3));
    }

    #[test]
    fn every_waiting_thread_is_woken() {
        let (notify, state) = (Notify::default(), Mutex::new(0));
        let look = || (*lock(&state) == 8).then_some(());
        thread::scope(|scope| {
            let waiters: Vec<_> =
                (0..8).map(|_| scope.spawn(|| notify.wait_for(&Until::after(LONG), look))).collect();
            for _ in 0..8 {
                *lock(&state) += 1;
                notify.notify();
            }
            assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap() == Ok(())));
        });
    }

    #[test]
    fn what_is_there_is_found_although_the_limit_is_over() {
        let over = Until::after(Duration::ZERO);
        assert_eq!(Notify::default().wait_for(&over, || Some(1)), Ok(1));
        assert_eq!(Notify::default().wait_for(&over, || None::<()>), Err(UntilError::DeadlineExceeded));
    }

    #[test]
    fn a_cancel_from_another_thread_ends_a_wait() {
        let (notify, token) = (Notify::default(), CancelToken::new());
        let until = Until::after(LONG).or_cancelled(&token);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| notify.wait_for(&until, || None::<()>));
            token.cancel();
            assert_eq!(waiter.join().unwrap(), Err(UntilError::Cancelled));
        });
    }

    #[test]
    fn a_wait_leaves_no_registration_with_the_token() {
        let (notify, token) = (Notify::default(), CancelToken::new());
        for _ in 0..100 {
            let until = Until::after(Duration::ZERO).or_cancelled(&token);
            assert!(notify.wait_for(&until, || None::<()>).is_err());
        }
        assert_eq!(Arc::strong_count(&notify.0), 1);
    }

    #[test]
    fn a_waker_is_readable_after_a_notification_until_it_is_drained() {
        let notify = Notify::default();
        let waker = notify.waker().unwrap();
        let mut polled = UnixStream::from(waker.as_fd().try_clone_to_owned().unwrap());
        let mut is_woken = || polled.read(&mut [0]).is_ok();
        assert!(!is_woken());
        // More of them than the socket holds do not block.
        (0..100_000).for_each(|_| notify.notify());
        assert!(is_woken());
        waker.drain();
        assert!(!is_woken());
        notify.notify();
        assert!(is_woken());
    }
}
