//! The byte streams of a bridged command: where stdin comes from, and where output goes.

use std::fmt;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The three streams of [`Container::exec_stdio`](crate::Container::exec_stdio).
///
/// The default bridges nothing: no stdin, both outputs dropped (and still drained, so that the command never blocks).
///
/// ```
/// use rt_protocol::{ExecStdio, Sink, Source};
///
/// let mut answer = Vec::new();
/// let stdio = ExecStdio::new(Source::bytes("ping\n"), Sink::borrowed(&mut answer));
/// # drop(stdio);
/// ```
///
/// For backends: the lifetime is invariant, because a borrowed writer is a `&mut`. To hold streams beside locals of the
/// call, take them apart and shorten them one by one.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ExecStdio<'a> {
    /// Where the command's stdin comes from.
    pub stdin: Source<'a>,
    /// Where its stdout goes.
    pub stdout: Sink<'a>,
    /// Where its stderr goes.
    pub stderr: Sink<'a>,
}

impl<'a> ExecStdio<'a> {
    /// Bridges stdin and stdout; stderr is dropped until [`stderr`](Self::stderr) says otherwise.
    pub fn new(stdin: Source<'a>, stdout: Sink<'a>) -> Self {
        Self { stdin, stdout, stderr: Sink::discard() }
    }

    /// Bridges stderr too.
    #[must_use]
    pub fn stderr(mut self, sink: Sink<'a>) -> Self {
        self.stderr = sink;
        self
    }
}

/// Where the bytes for a command's stdin come from.
///
/// The end of the source is passed on as the end of stdin. A source that fails ends the command, and the call answers
/// [`SourceFailed`](crate::ErrorKind::SourceFailed). A command that stops reading is no error: the rest of the source is
/// left alone, and the [`StreamReport`](crate::StreamReport) says [`ReaderGone`](crate::StreamEnd::ReaderGone).
#[derive(Default)]
pub struct Source<'a>(SourceKind<'a>);

/// The kinds of [`Source`], for backends.
#[derive(Default)]
#[non_exhaustive]
pub enum SourceKind<'a> {
    /// No stdin at all.
    #[default]
    Empty,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// A descriptor.
    Descriptor(StreamFd<'a>),
    /// A reader, on a thread of its own.
    Reader(Box<dyn Read + Send>),
}

impl<'a> Source<'a> {
    /// The command gets no stdin: it sees the end at once. Not the same as zero [`bytes`](Self::bytes) on every backend:
    /// podman is then run without `-i`, which avoids a known loss of output (see `rt-podman`).
    pub fn empty() -> Self {
        Self::default()
    }

    /// These bytes, then the end.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(SourceKind::Bytes(bytes.into()))
    }

    /// A descriptor, which this source owns: a pipe, a stream socket, a terminal, a file.
    ///
    /// A message-oriented socket (datagram, seqpacket) is refused before anything starts, with
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest): what a read leaves of a message is lost, and a message of no
    /// bytes looks like the end. A [`reader`](Self::reader) that keeps its messages whole can stand in for it.
    ///
    /// It is polled, its flags are never changed, and no more is read from it than the command's stdin can take, so
    /// what a command leaves unread stays in it as far as the kernel's pipe on the way allows.
    pub fn descriptor(fd: impl Into<OwnedFd>) -> Self {
        Self(SourceKind::Descriptor(StreamFd::Owned(fd.into())))
    }

    /// Like [`descriptor`](Self::descriptor), borrowed.
    pub fn borrowed_descriptor(fd: BorrowedFd<'a>) -> Self {
        Self(SourceKind::Descriptor(StreamFd::Borrowed(fd)))
    }

    /// Any reader. A thread of its own calls `read`, with one chunk in flight: when the command ends, up to one chunk
    /// (64 KiB) may have been taken from the reader and not delivered, and a thread that sits in a `read` which does
    /// not return stays there until it does. Where that matters, give a descriptor.
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Self(SourceKind::Reader(Box::new(reader)))
    }

    /// Whether the command gets no stdin.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, SourceKind::Empty)
    }

    /// Takes the source apart; for backends.
    pub fn into_kind(self) -> SourceKind<'a> {
        self.0
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            SourceKind::Empty => "Source::empty",
            SourceKind::Bytes(_) => "Source::bytes",
            SourceKind::Descriptor(_) => "Source::descriptor",
            SourceKind::Reader(_) => "Source::reader",
        })
    }
}

impl fmt::Debug for SourceKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Bytes(_) => "Bytes",
            Self::Descriptor(_) => "Descriptor",
            Self::Reader(_) => "Reader",
        })
    }
}

/// Where the bytes of a command's output go.
///
/// Bytes arrive unbuffered: what the command wrote is handed on at once, whatever its length. A sink that fails ends
/// the command, and the call answers [`SinkFailed`](crate::ErrorKind::SinkFailed) with the kill report.
#[derive(Default)]
pub struct Sink<'a>(SinkKind<'a>);

/// The kinds of [`Sink`], for backends.
#[derive(Default)]
#[non_exhaustive]
pub enum SinkKind<'a> {
    /// Drained, counted and dropped.
    #[default]
    Discard,
    /// A descriptor.
    Descriptor(StreamFd<'a>),
    /// A writer that may outlive the call on a thread of its own.
    Owned(Box<dyn Write + Send>),
    /// A writer of the caller, used until the call returns.
    Borrowed(&'a mut (dyn Write + Send)),
}

impl<'a> Sink<'a> {
    /// Drains, counts and drops.
    pub fn discard() -> Self {
        Self::default()
    }

    /// A descriptor, which this sink owns: a pipe, a stream socket, a terminal, a file. It is polled, and its flags are
    /// never changed. A message-oriented socket (datagram, seqpacket) is refused before anything starts, as
    /// for a source.
    pub fn descriptor(fd: impl Into<OwnedFd>) -> Self {
        Self(SinkKind::Descriptor(StreamFd::Owned(fd.into())))
    }

    /// Like [`descriptor`](Self::descriptor), borrowed.
    pub fn borrowed_descriptor(fd: BorrowedFd<'a>) -> Self {
        Self(SinkKind::Descriptor(StreamFd::Borrowed(fd)))
    }

    /// A writer that the sink owns. When it blocks, a deadline still ends the call; the thread that sits in `write`
    /// stays until that returns.
    pub fn writer(writer: impl Write + Send + 'static) -> Self {
        Self(SinkKind::Owned(Box::new(writer)))
    }

    /// A writer of the caller. When it blocks, a deadline still ends the command in time, but the call cannot return
    /// before `write` does: the borrow has to end.
    pub fn borrowed(writer: &'a mut (dyn Write + Send)) -> Self {
        Self(SinkKind::Borrowed(writer))
    }

    /// Whether the bytes are dropped.
    pub fn is_discard(&self) -> bool {
        matches!(self.0, SinkKind::Discard)
    }

    /// Takes the sink apart; for backends.
    pub fn into_kind(self) -> SinkKind<'a> {
        self.0
    }
}

impl fmt::Debug for Sink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sink::{:?}", self.0)
    }
}

impl fmt::Debug for SinkKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discard => "Discard",
            Self::Descriptor(_) => "Descriptor",
            Self::Owned(_) => "Owned",
            Self::Borrowed(_) => "Borrowed",
        })
    }
}

/// A descriptor of a [`Source`] or [`Sink`].
#[derive(Debug)]
pub enum StreamFd<'a> {
    /// Closed when the stream ends.
    Owned(OwnedFd),
    /// Left open.
    Borrowed(BorrowedFd<'a>),
}

impl AsFd for StreamFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Owned(fd) => fd.as_fd(),
            Self::Borrowed(fd) => *fd,
        }
    }
}
