//! The byte streams of a bridged command: the source of its stdin, and the sinks of its output.

use std::fmt;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::{
    ExecRequest, Line, LineSink, OutputLimit, PartialOutput, Result, SinkFilter, StdioResult, StreamEnd,
    TeeCapture,
};

/// The three streams of [`Container::exec_stdio`](crate::Container::exec_stdio).
///
/// The default has no stdin, and discards both outputs. They are still drained, so the command
/// never blocks.
///
/// ```
/// use rt_protocol::{ExecStdio, Sink, Source};
///
/// let mut answer = Vec::new();
/// let stdio = ExecStdio::new(Source::bytes("ping\n"), Sink::borrowed(&mut answer));
/// # drop(stdio);
/// ```
///
/// For backends: the lifetime is invariant, because a borrowed writer is a `&mut`. To hold streams
/// beside local variables, take them apart and shorten the lifetimes one by one.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ExecStdio<'a> {
    /// The source of the command's stdin.
    pub stdin: Source<'a>,
    /// The sink of its stdout.
    pub stdout: Sink<'a>,
    /// The sink of its stderr.
    pub stderr: Sink<'a>,
}

impl<'a> ExecStdio<'a> {
    /// Connects stdin and stdout. stderr is discarded, unless [`stderr`](Self::stderr) connects it.
    pub fn new(stdin: Source<'a>, stdout: Sink<'a>) -> Self {
        Self { stdin, stdout, stderr: Sink::discard() }
    }

    /// Connects stderr too.
    #[must_use]
    pub fn stderr(mut self, sink: Sink<'a>) -> Self {
        self.stderr = sink;
        self
    }

    /// Makes a bridged call; for backends, which run the command with the given streams.
    ///
    /// Applies the output limits of the request to the sinks. Afterwards sets the ends of the
    /// copies of [`Sink::tee`] as reported.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn bridge(
        self,
        request: &ExecRequest,
        call: impl FnOnce(Self) -> Result<StdioResult>,
    ) -> Result<StdioResult> {
        let copies = [self.stdout.copies(), self.stderr.copies()];
        let answer = call(Self {
            stdin: self.stdin,
            stdout: self.stdout.limited(request.stdout_limit()),
            stderr: self.stderr.limited(request.stderr_limit()),
        });
        let ends = match &answer {
            Ok(result) => [result.stdout.end, result.stderr.end],
            Err(error) => match error.partial() {
                Some(PartialOutput::Streams { stdout, stderr, .. }) => [stdout.end, stderr.end],
                _ => [StreamEnd::Stopped; 2],
            },
        };
        for (copies, end) in copies.into_iter().zip(ends) {
            for copy in copies {
                copy.set_end(end);
            }
        }
        answer
    }
}

/// The source of a command's stdin.
///
/// The end of the source becomes the end of stdin. If the source fails, the command is ended, and
/// the call returns [`SourceFailed`](crate::ErrorKind::SourceFailed). A command that stops reading
/// is no error: the rest of the source is not read, and the [`StreamReport`](crate::StreamReport)
/// says [`ReaderGone`](crate::StreamEnd::ReaderGone).
#[derive(Default)]
pub struct Source<'a>(SourceKind<'a>);

/// The kinds of [`Source`]; for backends.
#[derive(Default)]
#[non_exhaustive]
pub enum SourceKind<'a> {
    /// No stdin.
    #[default]
    Empty,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// A descriptor.
    Descriptor(StreamFd<'a>),
    /// A reader, which a thread of its own reads.
    Reader(Box<dyn Read + Send>),
}

impl<'a> Source<'a> {
    /// Returns a source without stdin: the command sees the end at once.
    ///
    /// Not the same as zero [`bytes`](Self::bytes) on every backend. podman then runs without `-i`,
    /// which avoids a known loss of output (see `rt-podman`).
    pub fn empty() -> Self {
        Self::default()
    }

    /// Returns a source of these bytes, then the end.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(SourceKind::Bytes(bytes.into()))
    }

    /// Returns a source that owns and reads a descriptor: a pipe, a stream socket, a terminal or a
    /// file.
    ///
    /// The descriptor is polled, and its flags are never changed. No more is read than the
    /// command's stdin can take. So what the command does not read stays in the descriptor, except
    /// for what the kernel's pipe in between holds.
    ///
    /// Message-oriented sockets (`SOCK_DGRAM`, `SOCK_SEQPACKET`) are rejected with
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) before the command starts: a short read
    /// would lose the rest of a message, and an empty message looks like the end. Use a
    /// [`reader`](Self::reader) that keeps messages whole instead.
    pub fn descriptor(fd: impl Into<OwnedFd>) -> Self {
        Self(SourceKind::Descriptor(StreamFd::Owned(fd.into())))
    }

    /// Returns a source that borrows a descriptor; otherwise like [`descriptor`](Self::descriptor).
    pub fn borrowed_descriptor(fd: BorrowedFd<'a>) -> Self {
        Self(SourceKind::Descriptor(StreamFd::Borrowed(fd)))
    }

    /// Returns a source that reads any reader, on a thread of its own.
    ///
    /// When the command ends, up to one chunk (64 KiB) may have been read and not delivered. A
    /// thread in a blocking `read` stays until that returns. If this matters, use a descriptor.
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Self(SourceKind::Reader(Box::new(reader)))
    }

    /// Returns whether the command gets no stdin.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, SourceKind::Empty)
    }

    /// Returns the descriptor, if the source is one.
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            SourceKind::Descriptor(descriptor) => Some(descriptor.as_fd()),
            _ => None,
        }
    }

    /// Returns the kind of the source; for backends.
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

/// The sink of a command's output.
///
/// Bytes are passed on as they arrive, without buffering. If the sink fails, the command is ended,
/// and the call returns [`SinkFailed`](crate::ErrorKind::SinkFailed) with the kill report.
#[derive(Default)]
pub struct Sink<'a>(SinkKind<'a>);

/// The kinds of [`Sink`]; for backends.
#[derive(Default)]
#[non_exhaustive]
pub enum SinkKind<'a> {
    /// Drained, counted and discarded.
    #[default]
    Discard,
    /// A descriptor.
    Descriptor(StreamFd<'a>),
    /// A writer that may outlive the call, on a thread of its own.
    Owned(Box<dyn Write + Send>),
    /// A writer of the caller, used until the call returns.
    Borrowed(&'a mut (dyn Write + Send)),
    /// A closure of the caller for lines, used until the call returns.
    Lines(LineSink<'a>),
    /// A sink behind a limit, or with a copy; see [`Sink::into_parts`].
    Filtered(SinkFilter, Box<Sink<'a>>),
}

impl<'a> Sink<'a> {
    /// Returns a sink that drains, counts and discards the output.
    pub fn discard() -> Self {
        Self::default()
    }

    /// Returns a sink that owns and writes a descriptor: a pipe, a stream socket, a terminal or a
    /// file.
    ///
    /// The descriptor is polled, and its flags are never changed. Message-oriented sockets are
    /// rejected, as for [`Source::descriptor`].
    pub fn descriptor(fd: impl Into<OwnedFd>) -> Self {
        Self(SinkKind::Descriptor(StreamFd::Owned(fd.into())))
    }

    /// Returns a sink that borrows a descriptor; otherwise like [`descriptor`](Self::descriptor).
    pub fn borrowed_descriptor(fd: BorrowedFd<'a>) -> Self {
        Self(SinkKind::Descriptor(StreamFd::Borrowed(fd)))
    }

    /// Returns a sink that owns a writer. If `write` blocks, a deadline still ends the call; the
    /// thread stays until `write` returns.
    pub fn writer(writer: impl Write + Send + 'static) -> Self {
        Self(SinkKind::Owned(Box::new(writer)))
    }

    /// Returns a sink that borrows a writer. If `write` blocks, a deadline still ends the command
    /// in time, but the call returns only after `write` does.
    pub fn borrowed(writer: &'a mut (dyn Write + Send)) -> Self {
        Self(SinkKind::Borrowed(writer))
    }

    /// Returns a sink that hands each line to a closure as soon as it is complete.
    ///
    /// A line longer than `max_bytes` (at least 1) arrives in pieces. The output's last line
    /// arrives even if it has no newline. [`Line::end`] tells these cases apart. To stop early,
    /// cancel the call.
    ///
    /// A thread of the call may run the closure. As with [`borrowed`](Self::borrowed), a closure
    /// that blocks holds back the command, but a deadline still ends it in time; the call returns
    /// only after the closure does. If the closure panics, the sink has failed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::{ExecReply, NullRuntime};
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # runtime.set_exec("job", ["make"], ExecReply::stdout("cc a.c\ncc b.c\nld"))?;
    /// let mut lines = Vec::new();
    /// let sink = Sink::lines(64 * 1024, |line| lines.push(line));
    /// let stdio = ExecStdio::new(Source::empty(), sink);
    /// job.exec_stdio(&ExecRequest::new(["make"])?, stdio, &until)?.exit_ok()?;
    /// assert_eq!(lines[0].text(), "cc a.c");
    /// assert_eq!(lines[2].end, LineEnd::OutputEnd);
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    pub fn lines(max_bytes: usize, each: impl FnMut(Line) + Send + 'a) -> Self {
        Self(SinkKind::Lines(LineSink::new(max_bytes, each)))
    }

    /// Returns a sink that does the same, and also keeps a copy of at most `limit`.
    ///
    /// The copy has what the sink is given, in the same order. It stays readable if the sink fails,
    /// and may then have bytes that the sink did not accept.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use rt_null::{ExecReply, NullRuntime};
    /// # use rt_protocol::*;
    /// # let runtime = NullRuntime::new();
    /// # let until = Until::after(Duration::from_secs(60));
    /// # let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, &until)?;
    /// # runtime.set_exec("job", ["make"], ExecReply::stdout("compiled\n"))?;
    /// let screen = Sink::writer(std::io::stdout());
    /// let (sink, copy) = screen.tee(OutputLimit::bytes(64 * 1024));
    /// let stdio = ExecStdio::new(Source::empty(), sink);
    /// job.exec_stdio(&ExecRequest::new(["make"])?, stdio, &until)?;
    /// assert_eq!(copy.take(), "compiled\n");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    pub fn tee(self, limit: OutputLimit) -> (Self, TeeCapture) {
        let (filter, copy) = SinkFilter::copying(limit);
        (self.filtered(filter), copy)
    }

    /// Returns whether the output is discarded, and no copy is kept.
    pub fn is_discard(&self) -> bool {
        matches!(self.0, SinkKind::Discard)
    }

    /// Returns the descriptor, if the sink is one.
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            SinkKind::Descriptor(descriptor) => Some(descriptor.as_fd()),
            _ => None,
        }
    }

    /// Returns the kind of the sink; for backends.
    pub fn into_kind(self) -> SinkKind<'a> {
        self.0
    }

    /// Returns the limit and the copies of the sink, and the kind of the sink behind them, which is
    /// not [`Filtered`](SinkKind::Filtered); for backends.
    pub fn into_parts(self) -> (SinkFilter, SinkKind<'a>) {
        match self.0 {
            SinkKind::Filtered(filter, inner) => {
                let (rest, kind) = inner.into_parts();
                (filter.then(rest), kind)
            }
            kind => (SinkFilter::default(), kind),
        }
    }

    /// Puts a filter in front of the sink; for backends that took it [apart](Self::into_parts).
    #[must_use]
    pub fn filtered(self, filter: SinkFilter) -> Self {
        if filter.is_empty() { self } else { Self(SinkKind::Filtered(filter, Box::new(self))) }
    }

    fn limited(self, limit: OutputLimit) -> Self {
        if limit.is_unlimited() { self } else { self.filtered(SinkFilter::limiting(limit)) }
    }

    fn copies(&self) -> Vec<TeeCapture> {
        match &self.0 {
            SinkKind::Filtered(filter, inner) => {
                filter.copies().map(TeeCapture::share).chain(inner.copies()).collect()
            }
            _ => Vec::new(),
        }
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
            Self::Lines(_) => "Lines",
            Self::Filtered(..) => "Filtered",
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
