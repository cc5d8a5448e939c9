//! The signals that were sent to one bridged command, and the size of its terminal.

use std::collections::VecDeque;
use std::sync::Mutex;

use rt_protocol::sync::lock;
use rt_protocol::{Signal, TerminalSize};

/// The signals and resizes of one command, and what they do to it.
#[derive(Debug, Default)]
pub(crate) struct SignalQueue(Mutex<Signals>);

#[derive(Debug, Default)]
struct Signals {
    /// A signal that comes before the command waits for it.
    has_begun: bool,
    handled: Vec<Signal>,
    waiting: VecDeque<Signal>,
    deadly: Option<Signal>,
    terminal: Option<TerminalSize>,
    resizes: VecDeque<TerminalSize>,
}

/// Signals that do not end a process by default: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH. A
/// command in memory cannot be stopped.
const HARMLESS: [u32; 8] = [17, 18, 19, 20, 21, 22, 23, 28];

impl SignalQueue {
    /// From here on, this signal waits until the command takes it. KILL cannot be handled.
    pub(crate) fn handle(&self, signal: Signal) {
        if signal != Signal::KILL {
            lock(&self.0).handled.push(signal);
        }
    }

    /// Returns whether the command handles any signal.
    pub(crate) fn is_handled(&self) -> bool {
        !lock(&self.0).handled.is_empty()
    }

    /// The command begins, and handles what was named before.
    pub(crate) fn begin(&self) {
        lock(&self.0).has_begun = true;
    }

    /// Gives the command a terminal of this size, or none.
    pub(crate) fn set_terminal(&self, terminal: Option<TerminalSize>) {
        lock(&self.0).terminal = terminal;
    }

    /// Returns the size of the command's terminal; `None` if it has none.
    pub(crate) fn terminal(&self) -> Option<TerminalSize> {
        let signals = lock(&self.0);
        signals.terminal.map(|first| signals.resizes.back().copied().unwrap_or(first))
    }

    /// Changes the size of the command's terminal, if it is another one.
    pub(crate) fn resize(&self, size: TerminalSize) {
        if self.terminal() != Some(size) {
            lock(&self.0).resizes.push_back(size);
        }
    }

    /// Returns the next change of the size that the command has not seen.
    pub(crate) fn take_resize(&self) -> Option<TerminalSize> {
        let signals = &mut *lock(&self.0);
        let size = signals.resizes.pop_front()?;
        signals.terminal = Some(size);
        Some(size)
    }

    pub(crate) fn send(&self, signal: Signal) {
        lock(&self.0).waiting.push_back(signal);
    }

    /// Returns the next signal that the command handles.
    pub(crate) fn take(&self) -> Option<Signal> {
        let signals = &mut *lock(&self.0);
        let place = signals.waiting.iter().position(|signal| signals.handled.contains(signal))?;
        signals.waiting.remove(place)
    }

    /// Returns the signal that has ended the command.
    pub(crate) fn deadly(&self) -> Option<Signal> {
        let signals = &mut *lock(&self.0);
        if signals.has_begun && signals.deadly.is_none() {
            let handled = &signals.handled;
            signals.waiting.retain(|signal| handled.contains(signal) || !HARMLESS.contains(&signal.number()));
            signals.deadly = signals.waiting.iter().find(|signal| !handled.contains(signal)).copied();
        }
        signals.deadly
    }
}
