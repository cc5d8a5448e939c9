//! What the host sends to the supervisor of a command, from any thread.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, Weak};

use rt_protocol::sync::{Waker, lock};
use rt_protocol::{Signal, TerminalSize};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use crate::wire_format::Order;

/// The host's end of a control socket, and the bytes that it has not accepted yet.
pub(crate) struct Outbox {
    control: OwnedFd,
    unsent: Mutex<Vec<u8>>,
}

impl Outbox {
    pub(crate) fn new(control: OwnedFd, request: Vec<u8>) -> Self {
        Self { control, unsent: Mutex::new(request) }
    }

    pub(crate) fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !lock(&self.unsent).is_empty()
    }

    /// Sends an order after what is on its way, as far as the socket has room.
    pub(crate) fn push(&self, order: Order) {
        lock(&self.unsent).extend_from_slice(&order.to_bytes());
        self.send_rest();
    }

    pub(crate) fn send_rest(&self) {
        let mut unsent = lock(&self.unsent);
        while !unsent.is_empty() {
            match send(&self.control, &unsent, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => drop(unsent.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // The supervisor reads no more; its reports are still received.
                Err(_) => unsent.clear(),
            }
        }
    }
}

/// Omits the bytes, which contain secrets.
impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("unsent", &lock(&self.unsent).len()).finish_non_exhaustive()
    }
}

/// Gives orders to a command that another thread drives.
#[derive(Clone, Debug)]
pub struct CommandOrders {
    /// Does not keep the socket open: its end is the end of the command.
    outbox: Weak<Outbox>,
    waker: Waker,
}

impl CommandOrders {
    pub(crate) fn new(outbox: &Arc<Outbox>, waker: Waker) -> Self {
        Self { outbox: Arc::downgrade(outbox), waker }
    }

    /// Sends a signal to the process group of the command. Has no effect once it has ended.
    pub fn signal_group(&self, signal: Signal) {
        self.order(Order::SignalGroup(signal.number()));
    }

    /// Changes the size of the command's terminal. Has no effect without one, or once it has ended.
    pub fn resize(&self, size: TerminalSize) {
        self.order(Order::Resize(size.into()));
    }

    fn order(&self, order: Order) {
        let Some(outbox) = self.outbox.upgrade() else { return };
        outbox.push(order);
        if outbox.has_unsent() {
            // The thread that drives the command waits for room from here on.
            self.waker.wake();
        }
    }
}
