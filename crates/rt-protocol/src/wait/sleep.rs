//! Waits for nothing but the end of an [`Until`].

use std::time::Duration;

use crate::sync::Notify;
use crate::{Until, UntilError};

impl Until {
    /// Sleeps for `duration`, or until this ends.
    ///
    /// # Errors
    /// The reason if this ended first.
    pub fn sleep(&self, duration: Duration) -> Result<(), UntilError> {
        let _ = Notify::default().wait_for(&self.clone().or_after(duration), || None::<()>);
        self.check()
    }

    /// Blocks until this ends; forever if nothing can end it.
    pub fn wait_for_stop(&self) -> UntilError {
        loop {
            if let Err(stop) = Notify::default().wait_for(self, || None::<()>) {
                return stop;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CancelToken;

    #[test]
    fn a_cancel_from_another_thread_ends_a_sleep() {
        let token = CancelToken::new();
        let until = Until::cancelled(&token);
        let sleeper = std::thread::spawn(move || until.sleep(Duration::from_secs(3600)));
        token.cancel();
        assert_eq!(sleeper.join().unwrap(), Err(UntilError::Cancelled));
    }

    #[test]
    fn a_sleep_ends_by_itself_or_at_the_deadline() {
        assert_eq!(Until::forever().sleep(Duration::from_millis(1)), Ok(()));
        let soon = Until::after(Duration::from_millis(1));
        assert_eq!(soon.sleep(Duration::from_secs(3600)), Err(UntilError::DeadlineExceeded));
        assert_eq!(soon.wait_for_stop(), UntilError::DeadlineExceeded);
    }
}
