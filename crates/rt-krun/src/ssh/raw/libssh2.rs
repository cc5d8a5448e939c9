//! Channels, by libssh2's own functions: the only file of the workspace with `unsafe` code.
//!
//! `ssh2` handles the handshake, the authentication and the host key. Its channels lack what this
//! backend needs: whether an exit status arrived at all (its `exit_status` is 0 without one,
//! libssh2#2515), signal requests, and a view of what is queued. It also takes a lock for every
//! call. So a [`Channel`] calls libssh2 itself, on the session of a non-blocking [`ssh2::Session`].
//! Its packets are sent through an [`Outbox`] and received through an [`Inbox`].
//!
//! # Safety conditions of all `unsafe` blocks
//!
//! - **The session lives.** A [`Channel`] holds its [`RawSession`], which holds the
//!   `ssh2::Session`. libssh2 frees a session only when the last clone is dropped.
//!   `libssh2_session_free` then frees the channels that were not freed before.
//! - **The buffers live as long as the session.** A [`RawSession`] owns both, and returns no clone
//!   of the session that could outlive it. Its fields are dropped in their order, the session
//!   first.
//! - **The channel lives.** Its pointer comes from `libssh2_channel_open_ex` of that session. Only
//!   [`Channel::free`], which removes the pointer, ever frees it.
//! - **One thread.** A raw pointer makes a [`Channel`] neither `Send` nor `Sync`, and it is created
//!   on the thread that owns the session. No call of `ssh2` runs at the same time, since there is
//!   no other clone.

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
use rt_protocol::{OutputStream, TerminalSize};
use rustix::io::Errno;
use ssh2::Session;

use super::inbox::Inbox;
use super::outbox::Outbox;
use super::request_kind::RequestKind;
use super::terminal_request::TerminalRequest;

/// `libssh2.h`: the replacement of send(2): socket, bytes, their number, flags, and the session's
/// `abstract`. Returns the number of bytes that were taken, or the negative errno.
type SendCallback = unsafe extern "C" fn(c_int, *const c_void, usize, c_int, *mut *mut c_void) -> isize;

/// `libssh2.h`: the replacement of recv(2), with the same arguments and result.
type ReceiveCallback = unsafe extern "C" fn(c_int, *mut c_void, usize, c_int, *mut *mut c_void) -> isize;

/// `libssh2.h`: called when the server ends the connection with a message: the session, a reason
/// (RFC 4253, section 11.1), the message and its length, its language, and the session's
/// `abstract`.
type DisconnectCallback = unsafe extern "C" fn(
    *mut raw::LIBSSH2_SESSION,
    c_int,
    *const c_char,
    c_int,
    *const c_char,
    c_int,
    *mut *mut c_void,
);

/// `libssh2.h`: the type by which callbacks of any kind are passed.
type AnyCallback = unsafe extern "C" fn();

/// `libssh2.h`: `LIBSSH2_CALLBACK_DISCONNECT`.
const CALLBACK_DISCONNECT: c_int = 2;

/// `libssh2.h`: `LIBSSH2_CALLBACK_SEND`.
const CALLBACK_SEND: c_int = 5;

/// `libssh2.h`: `LIBSSH2_CALLBACK_RECV`.
const CALLBACK_RECEIVE: c_int = 6;

unsafe extern "C" {
    /// `libssh2.h`: sets a callback. All callbacks are pointers to functions, whatever their
    /// arguments are. Since 1.11.1.
    fn libssh2_session_callback_set2(
        session: *mut raw::LIBSSH2_SESSION,
        kind: c_int,
        callback: Option<AnyCallback>,
    ) -> Option<AnyCallback>;
    /// `libssh2.h`: returns the version, if it is at least the given one.
    fn libssh2_version(wanted: c_int) -> *const c_char;
    /// `libssh2.h`: returns 1 if the channel received an exit-status request. Since 1.11.2.
    fn libssh2_channel_has_exit_status(channel: *mut raw::LIBSSH2_CHANNEL) -> c_int;
    /// `libssh2.h`: sends a signal request (RFC 4254, section 6.9). Since 1.11.0.
    fn libssh2_channel_signal_ex(
        channel: *mut raw::LIBSSH2_CHANNEL,
        name: *const c_char,
        length: usize,
    ) -> c_int;
}

/// How much a guest may send on one channel before it must wait for us, in bytes. Memory stays
/// flat, and throughput is high.
pub(crate) const WINDOW: u32 = 2 << 20;

/// The most bytes of output in a packet; most servers use 32 KiB. libssh2 accepts no packet over
/// 40,000 bytes (`LIBSSH2_PACKET_MAXPAYLOAD`), and this leaves room for the longest header, padding
/// and check. It truncates a packet with more output, which ends the connection here: see
/// [`IoBuffers::note_dropped`].
const PACKET: u32 = 39_600;

/// The number of an output. stderr is the first of the extended streams (RFC 4254, section 5.2).
const fn number(stream: OutputStream) -> c_int {
    match stream {
        OutputStream::Stdout => 0,
        OutputStream::Stderr => 1,
    }
}

/// Returns the version of libssh2 that is linked, in its own words.
pub fn linked_libssh2() -> String {
    // Safety: `libssh2_version` returns a static string if the given version is 0, and takes no
    // other pointer.
    let text = unsafe { libssh2_version(0) };
    if text.is_null() {
        return String::new();
    }
    // Safety: it is not null, and libssh2 documents it as a NUL-terminated static string.
    unsafe { std::ffi::CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// An error of libssh2: its number, and its text or ours. The text never comes from the guest.
#[derive(Debug, thiserror::Error)]
#[error("{words} (libssh2 error {code})")]
pub(crate) struct Refusal {
    code: c_int,
    words: String,
}

impl Refusal {
    /// Returns whether it only concerns one channel. Every other error ends the connection.
    pub(crate) fn is_of_channel(&self) -> bool {
        matches!(
            self.code,
            raw::LIBSSH2_ERROR_CHANNEL_FAILURE
                | raw::LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED
                | raw::LIBSSH2_ERROR_CHANNEL_CLOSED
                | raw::LIBSSH2_ERROR_CHANNEL_EOF_SENT
        )
    }
}

/// An attempt that may have to be repeated with the same arguments when the socket is ready.
pub(crate) type PollResult<T> = Poll<Result<T, Refusal>>;

/// A session that never blocks. Its packets are never sent in part, and its bytes are counted.
pub(crate) struct RawSession {
    /// The first field, because freeing it may send.
    session: Session,
    buffers: Box<IoBuffers>,
    /// The channel that awaits an answer. There is at most one: libssh2 takes the next answer that
    /// arrives, and treats the answer to another channel as the end of the session.
    pub(crate) asked: Cell<Option<usize>>,
    /// How many requests were started.
    pub(crate) questions: Cell<u64>,
    /// How many bytes of output were read from channels.
    delivered: Cell<u64>,
    /// How many bytes had been sent at the last check.
    sent: Cell<u64>,
    /// How often the keys were renewed, as far as it was noticed.
    renewals: Cell<u64>,
}

/// In one call, libssh2 sends fewer than this many bytes in addition to its input, unless keys are
/// renewed. Then it answers with the list of its algorithms.
const LEAST_OF_RENEWAL: u64 = 300;

/// Both directions of a session's socket.
struct IoBuffers {
    session: *mut raw::LIBSSH2_SESSION,
    inbox: Inbox,
    outbox: Outbox,
    disconnect: RefCell<Option<Disconnect>>,
    /// libssh2 has dropped output.
    has_dropped: Cell<bool>,
}

impl IoBuffers {
    /// Notes whether libssh2 has dropped output: a server that sends larger packets than it was
    /// told, or beyond the window, has the rest dropped and every call succeed. Only the last error
    /// of the session shows it, until the next error. With AES, libssh2 sets another one only after
    /// an error or another read of the socket. So a look before each read and after each call
    /// misses nothing.
    fn note_dropped(&self) {
        // Safety: the session lives, and libssh2 only reads a number.
        let last = unsafe { raw::libssh2_session_last_errno(self.session) };
        if matches!(
            last,
            raw::LIBSSH2_ERROR_CHANNEL_PACKET_EXCEEDED | raw::LIBSSH2_ERROR_CHANNEL_WINDOW_EXCEEDED
        ) {
            self.has_dropped.set(true);
        }
    }
}

/// The message with which a server ended the connection.
#[derive(Clone, Debug)]
pub(crate) struct Disconnect {
    /// RFC 4253, section 11.1.
    pub(crate) reason: i32,
    /// The first bytes of the guest's text.
    pub(crate) words: Vec<u8>,
}

/// The most that is kept of a server's message, in bytes.
const LONGEST_WORDS: usize = 256;

impl RawSession {
    /// Creates a session over a connected, non-blocking socket.
    pub(crate) fn new(socket: Arc<TcpStream>) -> Result<Rc<Self>, ssh2::Error> {
        let mut session = Session::new()?;
        session.set_blocking(false);
        session.set_tcp_stream(Arc::clone(&socket));
        let buffers = Box::new(IoBuffers {
            session: &raw mut *session.raw(),
            inbox: Inbox::new(Arc::clone(&socket)),
            outbox: Outbox::new(socket),
            disconnect: RefCell::default(),
            has_dropped: Cell::default(),
        });
        {
            let mut raw = session.raw();
            let place: *const IoBuffers = &raw const *buffers;
            // Safety: the session lives, and libssh2 returns the address of its `abstract`. It is
            // ours, since `ssh2` uses none. The buffers are not moved while the session lives.
            unsafe { *raw::libssh2_session_abstract(&raw mut *raw) = place.cast_mut().cast() };
            // Safety: both are pointers to functions, and libssh2 calls this kind with the type
            // that was set.
            let send = unsafe { mem::transmute::<SendCallback, AnyCallback>(send_by_outbox) };
            // Safety: as above.
            let receive = unsafe { mem::transmute::<ReceiveCallback, AnyCallback>(receive_by_inbox) };
            // Safety: as above.
            let hear = unsafe { mem::transmute::<DisconnectCallback, AnyCallback>(hear_disconnect) };
            // Safety: the session lives, and the callback has the type with which this kind is
            // called.
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

    /// Returns the session for what `ssh2` does itself. Its clones must not outlive this object.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Returns the bytes that wait for the socket.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.buffers.outbox
    }

    /// Returns the bytes from the socket.
    pub(crate) fn inbox(&self) -> &Inbox {
        &self.buffers.inbox
    }

    /// Returns the message with which the server ended the connection, if there was one.
    pub(crate) fn disconnect(&self) -> Option<Disconnect> {
        self.buffers.disconnect.borrow().clone()
    }

    /// Returns whether an answer is awaited, so that no other request can be sent.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.asked.get().is_some()
    }

    /// Returns how many bytes have arrived that were not output of a command.
    pub(crate) fn overhead(&self) -> u64 {
        self.inbox().count().saturating_sub(self.delivered.get())
    }

    /// Returns how often keys were renewed. libssh2 renews them within any call and reports
    /// nothing. But it starts with a packet of ours that is longer than every other packet that was
    /// not requested.
    pub(crate) fn renewals(&self) -> u64 {
        self.renewals.get()
    }

    /// Compares what was sent since the last check with what was given to be sent.
    fn note_sent(&self, given: usize) {
        let now = self.outbox().count();
        let sent = now - self.sent.replace(now);
        if sent > given as u64 + LEAST_OF_RENEWAL {
            self.renewals.set(self.renewals.get() + 1);
        }
    }

    /// Fails once output was dropped: what follows in any channel may have a hole.
    fn check_dropped(&self) -> Result<(), Refusal> {
        self.buffers.note_dropped();
        if self.buffers.has_dropped.get() {
            let words = String::from("the server sent more than it was allowed to");
            return Err(Refusal { code: raw::LIBSSH2_ERROR_CHANNEL_PACKET_EXCEEDED, words });
        }
        Ok(())
    }

    /// Returns how many bytes of output were read.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.get()
    }
}

/// Sends through the session's outbox, which takes everything.
unsafe extern "C" fn send_by_outbox(
    _socket: c_int,
    bytes: *const c_void,
    length: usize,
    _flags: c_int,
    buffers: *mut *mut c_void,
) -> isize {
    // Safety: libssh2 passes the address of the session's `abstract`, which `RawSession::new` has
    // set before the first packet. The buffers live as long as the session.
    let IoBuffers { outbox, .. } = unsafe { &*(*buffers).cast::<IoBuffers>() };
    // Safety: libssh2 passes a buffer of that length, and does not write to it during the call.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
    match outbox.take(bytes) {
        Ok(()) => isize::try_from(length).unwrap_or(isize::MAX),
        Err(error) => -(error.raw_os_error() as isize),
    }
}

/// Receives through the session's inbox.
unsafe extern "C" fn receive_by_inbox(
    _socket: c_int,
    buffer: *mut c_void,
    length: usize,
    _flags: c_int,
    buffers: *mut *mut c_void,
) -> isize {
    // Safety: libssh2 passes the address of the session's `abstract`, which `RawSession::new` has
    // set before the first packet. The buffers live as long as the session.
    let buffers = unsafe { &*(*buffers).cast::<IoBuffers>() };
    buffers.note_dropped();
    if buffers.has_dropped.get() {
        return -(Errno::PROTO.raw_os_error() as isize);
    }
    // Safety: libssh2 passes a buffer of that length. It is initialised, since a session is
    // allocated as zeros, and no other code uses it during the call.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    match buffers.inbox.take(buffer) {
        Ok(count) => isize::try_from(count).unwrap_or(isize::MAX),
        Err(error) => -(error.raw_os_error() as isize),
    }
}

/// Keeps the message with which a server ends the connection.
unsafe extern "C" fn hear_disconnect(
    _session: *mut raw::LIBSSH2_SESSION,
    reason: c_int,
    words: *const c_char,
    length: c_int,
    _language: *const c_char,
    _language_length: c_int,
    buffers: *mut *mut c_void,
) {
    // Safety: libssh2 passes the address of the session's `abstract`, which `RawSession::new` has
    // set before the first packet. The buffers live as long as the session.
    let IoBuffers { disconnect, .. } = unsafe { &*(*buffers).cast::<IoBuffers>() };
    let length = usize::try_from(length).unwrap_or_default().min(LONGEST_WORDS);
    let words = if words.is_null() {
        Vec::new()
    } else {
        // Safety: it is not null, and libssh2 passes a buffer of at least that length.
        unsafe { std::slice::from_raw_parts(words.cast::<u8>(), length) }.to_vec()
    };
    *disconnect.borrow_mut() = Some(Disconnect { reason, words });
}

/// A channel of a non-blocking session.
pub(crate) struct Channel {
    raw: NonNull<raw::LIBSSH2_CHANNEL>,
    pub(crate) raw_session: Rc<RawSession>,
    /// Its last request.
    pub(crate) question: RequestKind,
}

impl Channel {
    /// Opens a channel. Only one opening can be on its way in a session, because libssh2 keeps its
    /// state there.
    pub(crate) fn open(raw_session: &Rc<RawSession>) -> PollResult<Self> {
        const KIND: &str = "session";
        let session = &raw_session.session;
        // Safety: the session lives; the kind is a buffer of the given length, and the message may
        // be null.
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
        raw_session.check_dropped()?;
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

    /// Sends the request for a command; see [`exec`](Self::exec).
    pub(crate) fn startup(&self, command: &[u8]) -> PollResult<()> {
        const REQUEST: &str = "exec";
        // Safety: the channel lives; both buffers have the given lengths, and libssh2 copies them
        // before it returns.
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

    /// Reads what has arrived on one output. 0 bytes do not mean the end of the stream: see
    /// [`is_eof`](Self::is_eof).
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

    /// Writes to the command's stdin. Returns how many bytes were taken; 0 while the guest or the
    /// socket takes none.
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
            // The window is closed. libssh2 reports this in two ways.
            Poll::Ready(Ok(0)) if !bytes.is_empty() => Poll::Pending,
            other => other,
        }
    }

    /// Returns how many bytes the guest takes now; 0 while too many wait for the socket.
    pub(crate) fn window(&self) -> usize {
        if self.raw_session.outbox().is_full() {
            return 0;
        }
        // Safety: the channel lives, and the second pointer may be null.
        let window = unsafe { raw::libssh2_channel_window_write_ex(self.raw.as_ptr(), ptr::null_mut()) };
        usize::try_from(window).unwrap_or(usize::MAX)
    }

    /// Returns how many received bytes of both outputs were not read. Causes no traffic.
    pub(crate) fn queued(&self) -> u64 {
        let mut queued: c_ulong = 0;
        // Safety: the channel lives, the first pointer is to a live number, and the second may be
        // null.
        unsafe { raw::libssh2_channel_window_read_ex(self.raw.as_ptr(), &raw mut queued, ptr::null_mut()) };
        queued
    }

    /// Tells the guest that stdin has ended.
    pub(crate) fn send_eof(&mut self) -> PollResult<()> {
        // Safety: the channel lives.
        let code = unsafe { raw::libssh2_channel_send_eof(self.raw.as_ptr()) };
        self.attempt(code as isize).map_ok(|_| ())
    }

    /// Returns whether both outputs have ended and all their bytes were read.
    pub(crate) fn is_eof(&self) -> bool {
        // Safety: the channel lives.
        (unsafe { raw::libssh2_channel_eof(self.raw.as_ptr()) }) == 1
    }

    /// Returns whether the guest has closed the channel, once [`is_eof`](Self::is_eof). Nothing
    /// arrives after that.
    pub(crate) fn wait_closed(&mut self) -> PollResult<()> {
        // Safety: the channel lives.
        let code = unsafe { raw::libssh2_channel_wait_closed(self.raw.as_ptr()) };
        self.attempt(code as isize).map_ok(|_| ())
    }

    /// Returns whether the guest has closed the channel, even if some output was not read yet.
    pub(crate) fn is_closed(&mut self) -> bool {
        // Before the end of the outputs has arrived, this is an error of the call.
        matches!(self.wait_closed(), Poll::Ready(Ok(())))
    }

    /// Returns the exit status, if one has arrived.
    pub(crate) fn exit_status(&self) -> Option<i32> {
        // Safety: the channel lives.
        let arrived = unsafe { libssh2_channel_has_exit_status(self.raw.as_ptr()) } == 1;
        // Safety: the channel lives.
        arrived.then(|| unsafe { raw::libssh2_channel_get_exit_status(self.raw.as_ptr()) })
    }

    /// Returns the name of the signal that ended the command, without `SIG`, if one has arrived.
    /// The bytes are the guest's.
    pub(crate) fn exit_signal(&self) -> Option<Vec<u8>> {
        let mut name: *mut c_char = ptr::null_mut();
        let mut length = 0;
        let null = ptr::null_mut();
        // Safety: the channel lives; the first two pointers are to live variables, and the others
        // may be null.
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
        // Safety: libssh2 has returned success and a buffer of that length, which the caller owns.
        let bytes = unsafe { std::slice::from_raw_parts(name.cast::<u8>(), length) }.to_vec();
        // Safety: this session allocated the buffer, and no other code has it.
        unsafe { raw::libssh2_free(&raw mut *self.raw_session.session.raw(), name.cast()) };
        Some(bytes)
    }

    /// Asks the guest's sshd to send a signal, by its name without `SIG`. OpenSSH sends it to the
    /// whole process group of the command. For a login as root it silently refuses.
    pub(crate) fn signal(&mut self, name: &str) -> PollResult<()> {
        // Safety: the channel lives; the name has the given length, and libssh2 copies it before it
        // returns.
        let code = unsafe { libssh2_channel_signal_ex(self.raw.as_ptr(), name.as_ptr().cast(), name.len()) };
        self.attempt(code as isize).map_ok(|_| ())
    }

    /// Sends the request for a variable; see [`ask`](Self::ask).
    pub(crate) fn variable(&self) -> PollResult<()> {
        const NAME: &str = "RT_STILL_THERE";
        // Safety: the channel lives; both buffers have the given lengths, and libssh2 copies them
        // before it returns.
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

    /// Sends the request for a terminal; see [`terminal`](Self::terminal).
    pub(crate) fn open_terminal(&self, request: &TerminalRequest) -> PollResult<()> {
        let (term, modes, size) = (&request.term, TerminalRequest::modes(), request.size);
        // Safety: the channel lives; both buffers have the given lengths, and libssh2 copies them
        // before it returns.
        let code = unsafe {
            raw::libssh2_channel_request_pty_ex(
                self.raw.as_ptr(),
                term.as_ptr().cast(),
                length(term),
                modes.as_ptr().cast(),
                length(&modes),
                size.columns().into(),
                size.rows().into(),
                0,
                0,
            )
        };
        self.attempt(code as isize).map_ok(|_| ())
    }

    /// Tells the guest's sshd another size of the command's terminal, which it does not answer.
    pub(crate) fn resize(&mut self, size: TerminalSize) -> PollResult<()> {
        // Safety: the channel lives.
        let code = unsafe {
            raw::libssh2_channel_request_pty_size_ex(
                self.raw.as_ptr(),
                size.columns().into(),
                size.rows().into(),
                0,
                0,
            )
        };
        self.attempt(code as isize).map_ok(|_| ())
    }

    /// Identifies the channel within its session.
    pub(crate) fn number(&self) -> usize {
        self.raw.addr().get()
    }

    /// Closes and frees the channel, once it awaits no answer and the guest has closed it too. `Ok`
    /// consumes it.
    pub(crate) fn free(mut self) -> Result<(), Self> {
        if self.owes_answer() {
            return Err(self);
        }
        // Safety: the channel lives. Unless libssh2 must be called again, it is freed now, and
        // `self` is consumed.
        let code = unsafe { raw::libssh2_channel_free(self.raw.as_ptr()) };
        self.raw_session.buffers.note_dropped();
        if code == raw::LIBSSH2_ERROR_EAGAIN { Err(self) } else { Ok(()) }
    }

    fn attempt(&self, answer: isize) -> PollResult<usize> {
        self.raw_session.note_sent(0);
        self.raw_session.check_dropped()?;
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

/// Returns the length of a buffer as libssh2 takes it. A longer one is truncated, which its server
/// then refuses.
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
