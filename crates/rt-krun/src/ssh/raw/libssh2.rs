//! Channels, by libssh2's own functions: the one file of the workspace with `unsafe` in it.
//!
//! `ssh2` does the handshake, the authentication and the host key; its channels lack what this backend stands on: whether
//! an exit status arrived at all (its `exit_status` is 0 without one, libssh2#2515), the signal request, and a way to see
//! what is queued. It also takes a lock for every call. So a [`Channel`] here calls libssh2 itself, on the session of a
//! [`ssh2::Session`] that does not block, whose packets go out through an [`Outbox`] and come in through an [`Inbox`].
//!
//! # What every `unsafe` block here relies on
//!
//! - **The session lives.** A [`Channel`] holds its [`RawSession`], and that the `ssh2::Session`; libssh2 frees a session only
//!   when the last clone is dropped. What becomes of channels that were not freed before: `libssh2_session_free` frees
//!   them.
//! - **The traffic lives as long as the session.** A [`RawSession`] owns both, hands out no clone of the session that could
//!   outlive it, and its fields are dropped in their order, the session first.
//! - **The channel lives.** Its pointer came from `libssh2_channel_open_ex` of that session, and only [`Channel::free`],
//!   which takes the pointer away for good, ever frees it.
//! - **One thread.** A raw pointer makes a [`Channel`] neither `Send` nor `Sync`, and it is made on the thread that owns
//!   the session. No call of `ssh2` is on the way at the same time: nobody else has a clone.

#![allow(unsafe_code, reason = "libssh2 has functions that ssh2 does not bind; each block says why it holds")]

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_ulong, c_void};
use std::fmt;
use std::mem;
use std::net::TcpStream;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use libssh2_sys as raw;
use rt_protocol::OutputStream;
use ssh2::Session;

use super::inbox::Inbox;
use super::outbox::Outbox;
use super::request_kind::RequestKind;

/// `libssh2.h`: what sends instead of send(2): socket, bytes, their number, flags, and the session's `abstract`. The number
/// of bytes that were taken, or the negative errno.
type SendCallback = unsafe extern "C" fn(c_int, *const c_void, usize, c_int, *mut *mut c_void) -> isize;

/// `libssh2.h`: what receives instead of recv(2), with the same arguments and answer.
type ReceiveCallback = unsafe extern "C" fn(c_int, *mut c_void, usize, c_int, *mut *mut c_void) -> isize;

/// `libssh2.h`: what is called when the server ends the connection in its own words: the session, a reason (RFC 4253, 11.1),
/// its words and their length, their language, and the session's `abstract`.
type DisconnectCallback = unsafe extern "C" fn(
    *mut raw::LIBSSH2_SESSION,
    c_int,
    *const c_char,
    c_int,
    *const c_char,
    c_int,
    *mut *mut c_void,
);

/// `libssh2.h`: what a callback of any kind is handed over as.
type AnyCallback = unsafe extern "C" fn();

/// `libssh2.h`: `LIBSSH2_CALLBACK_DISCONNECT`.
const CALLBACK_DISCONNECT: c_int = 2;

/// `libssh2.h`: `LIBSSH2_CALLBACK_SEND`.
const CALLBACK_SEND: c_int = 5;

/// `libssh2.h`: `LIBSSH2_CALLBACK_RECV`.
const CALLBACK_RECEIVE: c_int = 6;

unsafe extern "C" {
    /// `libssh2.h`: has a callback called. All callbacks are pointers to functions, whatever they take. Since 1.11.1.
    fn libssh2_session_callback_set2(
        session: *mut raw::LIBSSH2_SESSION,
        kind: c_int,
        callback: Option<AnyCallback>,
    ) -> Option<AnyCallback>;
    /// `libssh2.h`: the version, if it is at least the wanted one.
    fn libssh2_version(wanted: c_int) -> *const c_char;
    /// `libssh2.h`: 1 when the channel received an exit-status request. Since 1.11.2.
    fn libssh2_channel_has_exit_status(channel: *mut raw::LIBSSH2_CHANNEL) -> c_int;
    /// `libssh2.h`: sends a signal request (RFC 4254, 6.9). Since 1.11.0.
    fn libssh2_channel_signal_ex(
        channel: *mut raw::LIBSSH2_CHANNEL,
        name: *const c_char,
        length: usize,
    ) -> c_int;
}

/// How much a guest may send on one channel before it waits for us, in bytes: flat memory, and enough for throughput.
pub(crate) const WINDOW: u32 = 2 << 20;

/// How many bytes of output a packet may have. libssh2 cuts a longer one without a word, and takes no packet of more than
/// 40,000 bytes (`LIBSSH2_PACKET_MAXPAYLOAD`); this leaves room for the longest header, padding and check. So of a server
/// that goes beyond what it is told, 32 KiB with most, either all arrives or the connection ends.
const PACKET: u32 = 39_600;

/// The number of an output; stderr is the first of the extended streams (RFC 4254, 5.2).
const fn number(stream: OutputStream) -> c_int {
    match stream {
        OutputStream::Stdout => 0,
        OutputStream::Stderr => 1,
    }
}

/// The version of libssh2 that is linked in, as it names itself.
pub fn linked_libssh2() -> String {
    // Safety: `libssh2_version` answers a static string when the wanted version is none (0), and takes no other pointer.
    let text = unsafe { libssh2_version(0) };
    if text.is_null() {
        return String::new();
    }
    // Safety: it is not null, and libssh2 documents it as a NUL-terminated static string.
    unsafe { std::ffi::CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// What libssh2 refused, by its number and its own words. The words never come from the guest.
#[derive(Debug, thiserror::Error)]
#[error("{words} (libssh2 error {code})")]
pub(crate) struct Refusal {
    code: c_int,
    words: String,
}

impl Refusal {
    /// Whether it concerns one channel; everything else is the end of the connection.
    pub(crate) fn is_of_channel(&self) -> bool {
        matches!(
            self.code,
            raw::LIBSSH2_ERROR_CHANNEL_FAILURE
                | raw::LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED
                | raw::LIBSSH2_ERROR_CHANNEL_CLOSED
                | raw::LIBSSH2_ERROR_CHANNEL_EOF_SENT
                | raw::LIBSSH2_ERROR_CHANNEL_WINDOW_EXCEEDED
        )
    }
}

/// An attempt that may have to be repeated, with the same arguments, when the socket is ready.
pub(crate) type PollResult<T> = Poll<Result<T, Refusal>>;

/// A session that never blocks, whose packets are never sent by halves, and whose bytes are counted.
pub(crate) struct RawSession {
    /// First, because freeing it may send.
    session: Session,
    buffers: Box<IoBuffers>,
    /// The channel that was asked something and has not answered yet. There is one at most: libssh2 waits for the next
    /// answer that comes, whichever channel it is of, and takes another channel's for the end of the session.
    pub(crate) asked: Cell<Option<usize>>,
    /// How many questions were begun.
    pub(crate) questions: Cell<u64>,
    /// How many bytes of output were read from channels.
    delivered: Cell<u64>,
    /// How many bytes had been sent when that was looked at last.
    sent: Cell<u64>,
    /// How often the keys were seen to be renewed.
    renewals: Cell<u64>,
}

/// What libssh2 sends in one call beside what it was given is less than that, in bytes, unless keys are renewed: then it
/// answers with the list of its algorithms.
const LEAST_OF_RENEWAL: u64 = 300;

/// Both directions of a session's socket.
struct IoBuffers {
    inbox: Inbox,
    outbox: Outbox,
    disconnect: RefCell<Option<Disconnect>>,
}

/// How a server ended the connection in its own words.
#[derive(Clone, Debug)]
pub(crate) struct Disconnect {
    /// RFC 4253, 11.1.
    pub(crate) reason: i32,
    /// The first of the guest's own bytes.
    pub(crate) words: Vec<u8>,
}

/// The most that is kept of a server's last words, in bytes.
const LONGEST_WORDS: usize = 256;

impl RawSession {
    /// A session over a connected socket that does not block.
    pub(crate) fn new(socket: Arc<TcpStream>) -> Result<Rc<Self>, ssh2::Error> {
        let mut session = Session::new()?;
        session.set_blocking(false);
        session.set_tcp_stream(Arc::clone(&socket));
        let buffers = Box::new(IoBuffers {
            inbox: Inbox::new(Arc::clone(&socket)),
            outbox: Outbox::new(socket),
            disconnect: RefCell::default(),
        });
        {
            let mut raw = session.raw();
            let place: *const IoBuffers = &raw const *buffers;
            // Safety: the session lives, and libssh2 answers the place of its `abstract`, which is ours: `ssh2` gives a
            // session none. The traffic stays where it is as long as the session lives.
            unsafe { *raw::libssh2_session_abstract(&raw mut *raw) = place.cast_mut().cast() };
            // Safety: both are pointers to functions, and libssh2 calls this kind by the type that it was given.
            let send = unsafe { mem::transmute::<SendCallback, AnyCallback>(send_by_outbox) };
            // Safety: as above.
            let receive = unsafe { mem::transmute::<ReceiveCallback, AnyCallback>(receive_by_inbox) };
            // Safety: as above.
            let hear = unsafe { mem::transmute::<DisconnectCallback, AnyCallback>(hear_disconnect) };
            // Safety: the session lives, and the callback is of the type that this kind is called by.
            unsafe { libssh2_session_callback_set2(&raw mut *raw, CALLBACK_DISCONNECT, Some(hear)) };
            // Safety: as above.
            unsafe { libssh2_session_callback_set2(&raw mut *raw, CALLBACK_SEND, Some(send)) };
            // Safety: as above.
            unsafe { libssh2_session_callback_set2(&raw mut *raw, CALLBACK_RECEIVE, Some(receive)) };
        }
        Ok(Rc::new(Self {
            session,
            buffers,
            asked: Cell::default(),
            questions: Cell::default(),
            delivered: Cell::default(),
            sent: Cell::default(),
            renewals: Cell::default(),
        }))
    }

    /// The session, for what `ssh2` does itself. Clones of it must not outlive this.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// What waits for the socket.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.buffers.outbox
    }

    /// What comes from the socket.
    pub(crate) fn inbox(&self) -> &Inbox {
        &self.buffers.inbox
    }

    /// How the server ended the connection, if it said so.
    pub(crate) fn disconnect(&self) -> Option<Disconnect> {
        self.buffers.disconnect.borrow().clone()
    }

    /// Whether an answer is on its way, so that nothing else can be asked.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.asked.get().is_some()
    }

    /// How many bytes have come that were no output of a command.
    pub(crate) fn overhead(&self) -> u64 {
        self.inbox().count().saturating_sub(self.delivered.get())
    }

    /// How often keys were renewed. libssh2 does that inside of whatever it was asked for and tells nobody, but it begins
    /// with a packet of ours that is longer than all others that nobody gave it.
    pub(crate) fn renewals(&self) -> u64 {
        self.renewals.get()
    }

    /// Looks at what was sent since the last look, and at how much of it was given to be sent.
    fn note_sent(&self, given: usize) {
        let now = self.outbox().count();
        let sent = now - self.sent.replace(now);
        if sent > given as u64 + LEAST_OF_RENEWAL {
            self.renewals.set(self.renewals.get() + 1);
        }
    }

    /// How many bytes of output were read.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.get()
    }
}

/// Sends by the outbox of the session: it takes everything.
unsafe extern "C" fn send_by_outbox(
    _socket: c_int,
    bytes: *const c_void,
    length: usize,
    _flags: c_int,
    buffers: *mut *mut c_void,
) -> isize {
    // Safety: libssh2 hands over the place of the session's `abstract`, which `RawSession::new` has filled before the first
    // packet; the traffic lives as long as the session.
    let IoBuffers { outbox, .. } = unsafe { &*(*buffers).cast::<IoBuffers>() };
    // Safety: libssh2 hands over a buffer of that length, which nobody writes to during the call.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
    match outbox.take(bytes) {
        Ok(()) => isize::try_from(length).unwrap_or(isize::MAX),
        Err(error) => -(error.raw_os_error() as isize),
    }
}

/// Receives by the inbox of the session.
unsafe extern "C" fn receive_by_inbox(
    _socket: c_int,
    buffer: *mut c_void,
    length: usize,
    _flags: c_int,
    buffers: *mut *mut c_void,
) -> isize {
    // Safety: libssh2 hands over the place of the session's `abstract`, which `RawSession::new` has filled before the first
    // packet; the traffic lives as long as the session.
    let IoBuffers { inbox, .. } = unsafe { &*(*buffers).cast::<IoBuffers>() };
    // Safety: libssh2 hands over a buffer of that length, which it has filled before (a session is allocated as zeros),
    // and which nobody else touches during the call.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    match inbox.take(buffer) {
        Ok(count) => isize::try_from(count).unwrap_or(isize::MAX),
        Err(error) => -(error.raw_os_error() as isize),
    }
}

/// Keeps what a server says when it ends the connection.
unsafe extern "C" fn hear_disconnect(
    _session: *mut raw::LIBSSH2_SESSION,
    reason: c_int,
    words: *const c_char,
    length: c_int,
    _language: *const c_char,
    _language_length: c_int,
    buffers: *mut *mut c_void,
) {
    // Safety: libssh2 hands over the place of the session's `abstract`, which `RawSession::new` has filled before the first
    // packet; the traffic lives as long as the session.
    let IoBuffers { disconnect, .. } = unsafe { &*(*buffers).cast::<IoBuffers>() };
    let length = usize::try_from(length).unwrap_or_default().min(LONGEST_WORDS);
    let words = if words.is_null() {
        Vec::new()
    } else {
        // Safety: it is not null, and libssh2 hands over a buffer of at least that length.
        unsafe { std::slice::from_raw_parts(words.cast::<u8>(), length) }.to_vec()
    };
    *disconnect.borrow_mut() = Some(Disconnect { reason, words });
}

/// A channel of a session that does not block.
pub(crate) struct Channel {
    raw: NonNull<raw::LIBSSH2_CHANNEL>,
    pub(crate) raw_session: Rc<RawSession>,
    /// What it was asked last.
    pub(crate) question: RequestKind,
}

impl Channel {
    /// Opens a channel. Only one can be on its way in a session: libssh2 keeps the state of it there.
    pub(crate) fn open(raw_session: &Rc<RawSession>) -> PollResult<Self> {
        const KIND: &str = "session";
        let session = &raw_session.session;
        // Safety: the session lives; the kind is a buffer of the given length, and the message may be null.
        let channel = unsafe {
            raw::libssh2_channel_open_ex(
                &raw mut *session.raw(),
                KIND.as_ptr().cast(),
                length(KIND.as_bytes()),
                WINDOW,
                PACKET,
                ptr::null(),
                0,
            )
        };
        if let Some(raw) = NonNull::new(channel) {
            return Poll::Ready(Ok(Self {
                raw,
                raw_session: Rc::clone(raw_session),
                question: RequestKind::Exec,
            }));
        }
        let error = ssh2::Error::last_session_error(session);
        match error.as_ref().map(ssh2::Error::code) {
            Some(ssh2::ErrorCode::Session(raw::LIBSSH2_ERROR_EAGAIN)) => Poll::Pending,
            Some(ssh2::ErrorCode::Session(code)) => {
                let words = error.map(|error| error.message().to_owned()).unwrap_or_default();
                Poll::Ready(Err(Refusal { code, words }))
            }
            _ => Poll::Ready(Err(Refusal {
                code: raw::LIBSSH2_ERROR_CHANNEL_UNKNOWN,
                words: String::from("no channel"),
            })),
        }
    }

    /// The request for a command; see [`exec`](Self::exec).
    pub(crate) fn startup(&self, command: &[u8]) -> PollResult<()> {
        const REQUEST: &str = "exec";
        // Safety: the channel lives; both buffers have the given lengths, and libssh2 copies them before it returns.
        let code = unsafe {
            raw::libssh2_channel_process_startup(
                self.raw.as_ptr(),
                REQUEST.as_ptr().cast(),
                length(REQUEST.as_bytes()),
                command.as_ptr().cast(),
                length(command),
            )
        };
        self.raw_session.note_sent(command.len());
        self.attempt(code as isize).map_ok(|_| ())
    }

    /// Reads what has come on one output. 0 bytes are no end of the stream: see [`is_eof`](Self::is_eof).
    pub(crate) fn read(&mut self, stream: OutputStream, buffer: &mut [u8]) -> PollResult<usize> {
        // Safety: the channel lives, and the buffer has the given length.
        let count = unsafe {
            raw::libssh2_channel_read_ex(
                self.raw.as_ptr(),
                number(stream),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
            )
        };
        let attempt = self.attempt(count);
        if let Poll::Ready(Ok(count)) = attempt {
            self.raw_session.delivered.set(self.raw_session.delivered.get() + count as u64);
        }
        attempt
    }

    /// Writes to the command's stdin; some of the bytes, or none while the guest or the socket takes none.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> PollResult<usize> {
        if self.raw_session.outbox().is_full() {
            return Poll::Pending;
        }
        // Safety: the channel lives, and the buffer has the given length.
        let count = unsafe {
            raw::libssh2_channel_write_ex(self.raw.as_ptr(), 0, bytes.as_ptr().cast(), bytes.len())
        };
        self.raw_session.note_sent(usize::try_from(count).unwrap_or_default());
        match self.attempt(count) {
            // The window is shut; libssh2 says so in two ways.
            Poll::Ready(Ok(0)) if !bytes.is_empty() => Poll::Pending,
            other => other,
        }
    }

    /// How many bytes the guest takes now; none while too many wait for the socket.
    pub(crate) fn window(&self) -> usize {
        if self.raw_session.outbox().is_full() {
            return 0;
        }
        // Safety: the channel lives, and the second pointer may be null.
        let window = unsafe { raw::libssh2_channel_window_write_ex(self.raw.as_ptr(), ptr::null_mut()) };
        usize::try_from(window).unwrap_or(usize::MAX)
    }

    /// How many bytes of both outputs are here and were not read. Asks nobody.
    pub(crate) fn queued(&self) -> u64 {
        let mut queued: c_ulong = 0;
        // Safety: the channel lives, the first pointer is to a live number, and the second may be null.
        unsafe { raw::libssh2_channel_window_read_ex(self.raw.as_ptr(), &raw mut queued, ptr::null_mut()) };
        queued
    }

    /// Says that no more stdin comes.
    pub(crate) fn send_eof(&mut self) -> PollResult<()> {
        // Safety: the channel lives.
        let code = unsafe { raw::libssh2_channel_send_eof(self.raw.as_ptr()) };
        self.attempt(code as isize).map_ok(|_| ())
    }

    /// Whether both outputs have ended and everything was read.
    pub(crate) fn is_eof(&self) -> bool {
        // Safety: the channel lives.
        (unsafe { raw::libssh2_channel_eof(self.raw.as_ptr()) }) == 1
    }

    /// Whether the guest has closed the channel, once [`is_eof`](Self::is_eof). Nothing comes after that.
    pub(crate) fn wait_closed(&mut self) -> PollResult<()> {
        // Safety: the channel lives.
        let code = unsafe { raw::libssh2_channel_wait_closed(self.raw.as_ptr()) };
        self.attempt(code as isize).map_ok(|_| ())
    }

    /// The exit status, if one has arrived.
    pub(crate) fn exit_status(&self) -> Option<i32> {
        // Safety: the channel lives.
        let arrived = unsafe { libssh2_channel_has_exit_status(self.raw.as_ptr()) } == 1;
        // Safety: the channel lives.
        arrived.then(|| unsafe { raw::libssh2_channel_get_exit_status(self.raw.as_ptr()) })
    }

    /// The name of the signal that ended the command, without `SIG`, if one has arrived; the guest's own bytes.
    pub(crate) fn exit_signal(&self) -> Option<Vec<u8>> {
        let mut name: *mut c_char = ptr::null_mut();
        let mut length = 0;
        let null = ptr::null_mut();
        // Safety: the channel lives; the first two pointers are to live variables, and the others may be null.
        let code = unsafe {
            raw::libssh2_channel_get_exit_signal(
                self.raw.as_ptr(),
                &raw mut name,
                &raw mut length,
                null,
                ptr::null_mut(),
                null,
                ptr::null_mut(),
            )
        };
        if code != 0 || name.is_null() {
            return None;
        }
        // Safety: libssh2 has answered success and a buffer of that length, which is the caller's.
        let bytes = unsafe { std::slice::from_raw_parts(name.cast::<u8>(), length) }.to_vec();
        // Safety: the buffer was allocated by this session, and nobody else has it.
        unsafe { raw::libssh2_free(&raw mut *self.raw_session.session.raw(), name.cast()) };
        Some(bytes)
    }

    /// Asks the guest's sshd to send a signal, by its name without `SIG`. OpenSSH sends it to the whole process group of
    /// the command, and refuses without a word where the login is root's.
    pub(crate) fn signal(&mut self, name: &str) -> PollResult<()> {
        // Safety: the channel lives; the name has the given length, and libssh2 copies it before it returns.
        let code = unsafe { libssh2_channel_signal_ex(self.raw.as_ptr(), name.as_ptr().cast(), name.len()) };
        self.attempt(code as isize).map_ok(|_| ())
    }

    /// The request for a variable; see [`ask`](Self::ask).
    pub(crate) fn variable(&self) -> PollResult<()> {
        const NAME: &str = "RT_STILL_THERE";
        // Safety: the channel lives; both buffers have the given lengths, and libssh2 copies them before it returns.
        let code = unsafe {
            raw::libssh2_channel_setenv_ex(
                self.raw.as_ptr(),
                NAME.as_ptr().cast(),
                length(NAME.as_bytes()),
                NAME.as_ptr().cast(),
                0,
            )
        };
        self.attempt(code as isize).map_ok(|_| ())
    }

    /// Tells it from the other channels of its session.
    pub(crate) fn number(&self) -> usize {
        self.raw.addr().get()
    }

    /// Closes the channel and frees it, once it owes no answer and the guest has closed it too. Afterwards there is none:
    /// `Ok` takes it.
    pub(crate) fn free(mut self) -> Result<(), Self> {
        if self.owes_answer() {
            return Err(self);
        }
        // Safety: the channel lives; unless libssh2 wants to be asked again it is freed now, and `self` is gone with it.
        match unsafe { raw::libssh2_channel_free(self.raw.as_ptr()) } {
            raw::LIBSSH2_ERROR_EAGAIN => Err(self),
            _ => Ok(()),
        }
    }

    fn attempt(&self, answer: isize) -> PollResult<usize> {
        self.raw_session.note_sent(0);
        match usize::try_from(answer) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(_) if answer == raw::LIBSSH2_ERROR_EAGAIN as isize => Poll::Pending,
            Err(_) => {
                let code = c_int::try_from(answer).unwrap_or(raw::LIBSSH2_ERROR_PROTO);
                let words =
                    ssh2::Error::from_session_error(&self.raw_session.session, code).message().to_owned();
                Poll::Ready(Err(Refusal { code, words }))
            }
        }
    }
}

/// The length of a buffer as libssh2 takes it; a longer one is cut, which its server then refuses.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_libssh2_is_newer_than_1_11_1() {
        let version = linked_libssh2();
        let numbers: Vec<u32> = version.split(['.', '_', '-']).filter_map(|part| part.parse().ok()).collect();
        assert!(numbers >= vec![1, 11, 2], "{version}");
    }
}
