//! The time budget of one call, and its waiting. What a call waits for is checked by the call
//! itself.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use rt_protocol::sync::Notify;
use rt_protocol::{CancelRegistration, Until, UntilError};

use super::notify::{Registration, WaiterList};
use crate::clock::NullClock;

/// Accounts for the time of one call; see [`NullClock`] for the rules.
#[derive(Debug)]
pub(crate) struct Waiter {
    until: Until,
    clock: NullClock,
    registration: Registration,
    began: Duration,
    advanced_before: Duration,
    spent: Cell<Duration>,
    /// Wakes the call on a cancel; dropped with the call.
    _cancel: Option<CancelRegistration>,
}

impl Waiter {
    pub(crate) fn new(until: Until, clock: &NullClock, waiters: &Arc<WaiterList>) -> Self {
        let registration = waiters.register();
        let cancel = registration.notify().notify_on_cancel(&until);
        Self {
            until,
            clock: clock.clone(),
            registration,
            began: clock.real_elapsed(),
            advanced_before: clock.advanced(),
            spent: Cell::new(Duration::ZERO),
            _cancel: cancel,
        }
    }

    /// Fails if the call must end.
    pub(crate) fn check(&self) -> Result<(), UntilError> {
        self.until.check()?;
        match self.left() {
            Some(Duration::ZERO) => Err(UntilError::DeadlineExceeded),
            _ => Ok(()),
        }
    }

    /// Returns what is left of the budget; `None` without a deadline.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.until.remaining().map(|real| real.saturating_sub(self.used()))
    }

    /// Returns how long the call has taken by the clock, without time that other calls skipped.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.real_elapsed().saturating_sub(self.began).saturating_add(self.used())
    }

    /// Takes a scripted delay from the budget.
    pub(crate) fn spend(&self, delay: Duration) -> Result<(), UntilError> {
        self.check()?;
        let payable = match self.left() {
            Some(left) if delay >= left => left,
            _ => delay,
        };
        self.clock.skip(payable);
        self.spent.set(self.spent.get().saturating_add(payable));
        if payable < delay || self.left() == Some(Duration::ZERO) {
            return Err(UntilError::DeadlineExceeded);
        }
        Ok(())
    }

    /// Waits until `look` finds something inside the runtime.
    pub(crate) fn wait_for<T>(&self, mut look: impl FnMut() -> Option<T>) -> Result<T, UntilError> {
        self.wait(true, &mut look)
    }

    /// Waits until `look` finds something that comes from the caller, which no clock can speed up.
    pub(crate) fn wait_for_caller<T>(&self, mut look: impl FnMut() -> Option<T>) -> Result<T, UntilError> {
        self.wait(false, &mut look)
    }

    /// Waits for the end of the budget, and skips to it if nothing could cancel the call before.
    pub(crate) fn hang<T>(&self, look: impl FnMut() -> Option<T>) -> Result<T, UntilError> {
        if self.until.deadline().is_some() && self.until.cancel_token().is_none() {
            self.spend(Duration::MAX)?;
        }
        self.wait_for(look)
    }

    pub(crate) fn notify(&self) -> &Notify {
        self.registration.notify()
    }

    fn used(&self) -> Duration {
        let advanced = self.clock.advanced().saturating_sub(self.advanced_before);
        self.spent.get().saturating_add(advanced)
    }

    fn wait<T>(&self, skippable: bool, look: &mut dyn FnMut() -> Option<T>) -> Result<T, UntilError> {
        loop {
            let seen = self.notify().count();
            if let Some(found) = look() {
                return Ok(found);
            }
            self.check()?;
            if skippable && self.clock.skips_waits() && self.until.deadline().is_some() {
                self.spend(Duration::MAX)?;
            }
            self.notify().wait_beyond(seen, self.left());
        }
    }
}

impl NullClock {
    /// Waits by this clock until `until` ends, and returns how it ended. Waits forever if nothing
    /// can end it. For idle streams.
    pub fn wait_for_end(&self, until: &Until) -> UntilError {
        loop {
            if let Err(end) = Waiter::new(until.clone(), self, self.waiters()).wait_for(|| None::<()>) {
                return end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(until: Until) -> (NullClock, Waiter) {
        let waiters = Arc::<WaiterList>::default();
        let clock = NullClock::new(Arc::clone(&waiters));
        let waiter = Waiter::new(until, &clock, &waiters);
        (clock, waiter)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn delays_are_paid_from_the_budget_and_end_it() {
        let (clock, waiter) = waiter(Until::after(HOUR));
        assert_eq!(waiter.spend(HOUR / 2), Ok(()));
        assert_eq!(waiter.spend(HOUR / 2), Err(UntilError::DeadlineExceeded));
        assert_eq!(waiter.check(), Err(UntilError::DeadlineExceeded));
        assert!(clock.elapsed() > HOUR / 2 && clock.elapsed() < HOUR + HOUR / 2);
    }

    #[test]
    fn what_one_call_skips_is_not_taken_from_another() {
        let (clock, waiter) = waiter(Until::after(HOUR));
        clock.skip(HOUR * 2);
        assert_eq!(waiter.check(), Ok(()));
        clock.advance(HOUR * 2);
        assert_eq!(waiter.check(), Err(UntilError::DeadlineExceeded));
    }

    #[test]
    fn an_advance_wakes_a_waiting_call() {
        let (clock, waiter) = waiter(Until::after(HOUR));
        let mover = std::thread::spawn(move || clock.advance(HOUR));
        assert_eq!(waiter.wait_for(|| None::<()>), Err(UntilError::DeadlineExceeded));
        mover.join().unwrap();
    }

    #[test]
    fn waits_are_skipped_on_request() {
        let (clock, waiter) = waiter(Until::after(HOUR));
        clock.skip_waits(true);
        assert_eq!(waiter.wait_for(|| None::<()>), Err(UntilError::DeadlineExceeded));
    }
}
