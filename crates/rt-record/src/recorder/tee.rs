//! Readers and writers that record what passes. Descriptors as sources are in `relay`.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rt_protocol::{LineSink, Sink, SinkFilter, SinkKind, StreamFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde_json::Value;

use super::transcript::TranscriptWriter;
use crate::format::json::{self, object};
use rt_null::refuse_message_socket;

/// The caller's reader, recorded.
pub(crate) struct TeeReader {
    pub(crate) inner: Box<dyn Read + Send>,
    pub(crate) transcript: TranscriptWriter,
}

impl Read for TeeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 {
            self.transcript.put(&buffer[..count]);
        } else if !buffer.is_empty() {
            self.transcript.end();
        }
        Ok(count)
    }
}

/// The caller's writer, recorded.
pub(crate) struct TeeWriter<W> {
    inner: W,
    transcript: TranscriptWriter,
}

impl<W: Write> TeeWriter<W> {
    pub(crate) fn new(inner: W, transcript: TranscriptWriter) -> Self {
        Self { inner, transcript }
    }
}

impl<W: Write> Write for TeeWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mark = self.transcript.put(bytes);
        let written = self.inner.write(bytes);
        self.transcript.keep(&mark, written.as_ref().map_or(0, |count| *count));
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Counts the bytes of the caller's archive.
pub(crate) struct CountReader<'a> {
    pub(crate) inner: &'a mut (dyn Read + Send),
    pub(crate) count: u64,
}

impl Read for CountReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// The caller's echo of a log, recorded.
pub(crate) struct Echo<'a> {
    pub(crate) inner: &'a mut dyn Write,
    pub(crate) seen: &'a RefCell<Vec<Value>>,
}

impl Write for Echo<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.seen.borrow_mut().push(object([("echo", json::bytes(&bytes[..count]))]));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The caller's sink, prepared for recording.
pub(crate) struct SinkTee<'a> {
    /// The caller's own copies. The backend applies them, and completes them.
    filter: SinkFilter,
    target: TeeTarget<'a>,
}

enum TeeTarget<'a> {
    Discard,
    Lines(TeeWriter<LineSink<'a>>),
    Borrowed(TeeWriter<&'a mut (dyn Write + Send)>),
    Owned(Option<TeeWriter<Box<dyn Write + Send>>>),
    Descriptor(Option<FdWriter>, FdWatch),
    /// A descriptor that could not be duplicated, passed on unchanged.
    Unrecorded(StreamFd<'a>, io::Error),
}

impl<'a> SinkTee<'a> {
    /// `None` means a kind of sink that this version does not know.
    pub(crate) fn new(sink: Sink<'a>, transcript: TranscriptWriter) -> Option<Self> {
        let (filter, kind) = sink.into_parts();
        let target = match kind {
            SinkKind::Discard if filter.is_empty() => TeeTarget::Discard,
            // A copy is kept, also when the recording is replayed.
            SinkKind::Discard => TeeTarget::Owned(Some(TeeWriter::new(Box::new(io::sink()), transcript))),
            SinkKind::Borrowed(inner) => TeeTarget::Borrowed(TeeWriter::new(inner, transcript)),
            SinkKind::Owned(inner) => TeeTarget::Owned(Some(TeeWriter::new(inner, transcript))),
            SinkKind::Lines(inner) => TeeTarget::Lines(TeeWriter::new(inner, transcript)),
            // The writer has its own descriptor. The caller's is closed, so that it does not hold
            // the stream open.
            SinkKind::Descriptor(fd) => match FdWriter::new(&fd, transcript) {
                Ok((writer, watch)) => TeeTarget::Descriptor(Some(writer), watch),
                Err(error) => TeeTarget::Unrecorded(fd, error),
            },
            _ => return None,
        };
        Some(Self { filter, target })
    }

    /// Returns what the backend gets, once.
    pub(crate) fn sink(&mut self) -> Sink<'_> {
        let sink = match &mut self.target {
            TeeTarget::Discard => Sink::discard(),
            TeeTarget::Lines(writer) => Sink::borrowed(writer),
            TeeTarget::Borrowed(writer) => Sink::borrowed(writer),
            TeeTarget::Owned(writer) => writer.take().map_or_else(Sink::discard, Sink::writer),
            TeeTarget::Descriptor(writer, _) => writer.take().map_or_else(Sink::discard, Sink::writer),
            TeeTarget::Unrecorded(fd, _) => Sink::borrowed_descriptor((*fd).as_fd()),
        };
        sink.filtered(std::mem::take(&mut self.filter))
    }

    /// Finishes after the call. Returns how many bytes a descriptor accepted.
    ///
    /// # Errors
    /// Why nothing was recorded.
    pub(crate) fn finish(self) -> io::Result<Option<u64>> {
        match self.target {
            TeeTarget::Descriptor(writer, watch) => {
                drop(writer);
                Ok(Some(watch.finish()))
            }
            TeeTarget::Unrecorded(_, error) => Err(error),
            // Dropping lines hands over the last one.
            TeeTarget::Discard | TeeTarget::Borrowed(_) | TeeTarget::Owned(_) | TeeTarget::Lines(_) => {
                Ok(None)
            }
        }
    }
}

/// Writes to a descriptor as a backend would: with poll, with unchanged flags, never longer than
/// the call.
pub(crate) struct FdWriter {
    fd: OwnedFd,
    /// Readable once the call has ended.
    ended: UnixStream,
    transcript: TranscriptWriter,
    written: Arc<AtomicU64>,
    _alive: Sender<()>,
}

/// The other end of an [`FdWriter`].
pub(crate) struct FdWatch {
    call: UnixStream,
    written: Arc<AtomicU64>,
    alive: Receiver<()>,
}

/// The most that a pipe accepts without blocking once it polls writable, in bytes (`PIPE_BUF` of
/// pipe(7)).
const CHUNK_BYTES: usize = 4096;

/// How long a writer may take to notice that the call has ended. It polls, so this time is never
/// used up.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

impl FdWriter {
    fn new(fd: &StreamFd<'_>, transcript: TranscriptWriter) -> io::Result<(Self, FdWatch)> {
        // Passed on unchanged, so that the backend rejects it.
        refuse_message_socket(fd)?;
        let fd = fd.as_fd().try_clone_to_owned()?;
        let (call, ended) = UnixStream::pair()?;
        let written = Arc::<AtomicU64>::default();
        let (sender, alive) = channel();
        let watch = FdWatch { call, written: Arc::clone(&written), alive };
        Ok((Self { fd, ended, transcript, written, _alive: sender }, watch))
    }
}

impl FdWatch {
    fn finish(self) -> u64 {
        // Wakes a writer that a backend left in `write`.
        drop(self.call);
        // Nothing is ever sent: `recv` returns when the writer, and its descriptor with it, is
        // gone.
        let _ = self.alive.recv_timeout(EXIT_TIMEOUT);
        self.written.load(Ordering::SeqCst)
    }
}

impl Write for FdWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = &bytes[..bytes.len().min(CHUNK_BYTES)];
        loop {
            let mut fds = [
                PollFd::from_borrowed_fd(self.fd.as_fd(), PollFlags::OUT),
                PollFd::new(&self.ended, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            if !fds[1].revents().is_empty() {
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the call has ended"));
            }
            if fds[0].revents().is_empty() {
                continue;
            }
            let mark = self.transcript.put(chunk);
            let written = rustix::io::write(&self.fd, chunk);
            self.transcript.keep(&mark, written.unwrap_or(0));
            match written {
                Ok(count) => {
                    self.written.fetch_add(count as u64, Ordering::SeqCst);
                    return Ok(count);
                }
                // Another process that shares the descriptor was faster.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
