//! Waits for a socket within a caller's limit, and receives from it with the sender as reported by
//! the kernel.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rt_protocol::sync::Waker;
use rt_protocol::{Until, UntilError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::wire_format::DESCRIPTORS;

/// Waits until the descriptor is ready or broken, and returns its state. May return early with an
/// empty state.
///
/// # Errors
/// If the limit has passed. A descriptor that is ready at that time is returned.
pub(crate) fn wait(fd: &impl AsFd, flags: PollFlags, until: &Until) -> Result<PollFlags, UntilError> {
    let over = until.check();
    // A call that cannot be cancelled needs no waker. If none can be created, the wait still ends
    // at the deadline.
    let waker = until.cancel_token().and_then(|_| Waker::new().ok());
    let _registration = waker.as_ref().and_then(|waker| waker.wake_on_cancel(until));
    let time = if over.is_err() { Some(std::time::Duration::ZERO) } else { until.remaining() };
    let time = time.and_then(|time| Timespec::try_from(time).ok());
    let mut fds = vec![PollFd::new(fd, flags)];
    fds.extend(waker.as_ref().map(|waker| PollFd::new(waker, PollFlags::IN)));
    // An error of poll(2) is an interruption, or a system without memory; the caller asks again.
    let _ = poll(&mut fds, time.as_ref());
    let got = fds.first().map_or(PollFlags::empty(), PollFd::revents);
    if got.is_empty() { over.map(|()| got) } else { Ok(got) }
}

/// Receives bytes and the process id of their sender. Descriptors that come with them are closed.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, Option<u32>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1), ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
    let sender = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(sender) => {
            Some(sender.pid.as_raw_nonzero().get().unsigned_abs())
        }
        _ => None,
    });
    Ok((received.bytes, sender))
}
