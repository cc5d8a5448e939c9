//! What a call on one thread tells other threads about its command.

use std::sync::Mutex;

use rt_protocol::sync::{Notify, lock};
use rt_protocol::{Error, ErrorKind, Result, Until};

/// Where a call on one thread puts what other threads need to give orders to its command, such as
/// signals, once the command has been started.
#[derive(Debug)]
pub struct CommandSlot<T> {
    command: Mutex<State<T>>,
    changed: Notify,
}

#[derive(Debug)]
enum State<T> {
    Opening,
    Started(T),
    Over,
}

impl<T> Default for CommandSlot<T> {
    fn default() -> Self {
        Self { command: Mutex::new(State::Opening), changed: Notify::default() }
    }
}

impl<T: Clone> CommandSlot<T> {
    /// Notes that the command has been started.
    pub fn start(&self, command: T) {
        self.set(State::Started(command));
    }

    /// Notes that the call is over. Orders have no effect from here on.
    pub fn close(&self) {
        self.set(State::Over);
    }

    fn set(&self, state: State<T>) {
        *lock(&self.command) = state;
        self.changed.notify();
    }

    /// Waits until the command has been started, and returns it; `None` if the call is over.
    ///
    /// # Errors
    /// [`BackendUnresponsive`](ErrorKind::BackendUnresponsive) if `until` ended first.
    pub fn command(&self, operation: &'static str, until: &Until) -> Result<Option<T>> {
        let started = || match &*lock(&self.command) {
            State::Opening => None,
            State::Started(command) => Some(Some(command.clone())),
            State::Over => Some(None),
        };
        self.changed.wait_for(until, started).map_err(|_| Self::not_begun(operation))
    }

    /// Returns the error of an order to a command that has not begun in time.
    pub fn not_begun(operation: &'static str) -> Error {
        Error::new(ErrorKind::BackendUnresponsive, operation, "the command has not begun")
            .with_hint("try again")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_order_waits_for_the_command_and_has_no_effect_after_the_call() {
        let slot = Arc::<CommandSlot<u32>>::default();
        let late = slot.command("signal", &Until::after(Duration::ZERO)).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::BackendUnresponsive);
        let waiting = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.command("signal", &Until::forever()))
        };
        slot.start(7);
        assert_eq!(waiting.join().unwrap().unwrap(), Some(7));
        slot.close();
        assert_eq!(slot.command("signal", &Until::forever()).unwrap(), None);
    }
}
