//! The stdin of a process, and the caller's source for it.

use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;

use rt_protocol::sync::Waker;
use rt_protocol::{Source, SourceKind, StreamEnd, StreamFd, StreamReport};
use rustix::event::PollFlags;
use rustix::io::ioctl_fionread;

use super::fd::{self, CHUNK, FdKind, Transfer};
use super::poll_set::{PollSet, Ready, Token};
use super::worker::Worker;

/// Feeds the stdin of a process.
#[derive(Debug)]
pub(crate) struct StdinPump<'a> {
    /// Our end of the process's stdin; `None` if it has none or it is closed.
    pipe: Option<OwnedFd>,
    /// It is the terminal of the process.
    is_terminal: bool,
    source: StdinSource<'a>,
    /// Bytes taken from the source, up to `filled`; those before `written` are in the pipe.
    carry: Vec<u8>,
    filled: usize,
    written: usize,
    /// The pipe accepts at least `PIPE_BUF` bytes. We are its only writer, so this stays true until
    /// we write.
    room: bool,
    /// Nothing goes into the pipe for now, not even its end.
    is_held: bool,
    capacity: usize,
    bytes: u64,
    end: StreamEnd,
}

/// The source of further bytes.
#[derive(Debug)]
enum StdinSource<'a> {
    /// `/dev/null`: there is no pipe.
    Null,
    /// Nothing follows the carry.
    Exhausted,
    Descriptor(StreamFd<'a>, FdKind),
    /// The thread has a chunk to read, or its result waits, or its chunk is the carry.
    Reader(Worker),
    /// The source failed. The pipe is held open without data until the process is ended, so that no
    /// command takes half of its input for the whole.
    Failed,
}

impl<'a> StdinPump<'a> {
    /// Prepares the source; nothing is read from it before [`attach`](Self::attach).
    pub(crate) fn new(source: Source<'a>, waker: &Waker) -> io::Result<Self> {
        let mut carry = Vec::new();
        let source = match source.into_kind() {
            SourceKind::Empty => StdinSource::Null,
            SourceKind::Bytes(bytes) => {
                carry = bytes;
                StdinSource::Exhausted
            }
            SourceKind::Descriptor(fd) => {
                let kind = FdKind::of(&fd)?;
                StdinSource::Descriptor(fd, kind)
            }
            SourceKind::Reader(mut reader) => {
                StdinSource::Reader(Worker::detached(waker, move |buffer| read_chunk(&mut reader, buffer))?)
            }
            _ => return Err(ErrorKind::Unsupported.into()),
        };
        let end = if matches!(source, StdinSource::Null) { StreamEnd::Unused } else { StreamEnd::Stopped };
        let filled = carry.len();
        Ok(Self {
            pipe: None,
            is_terminal: false,
            source,
            carry,
            filled,
            written: 0,
            room: false,
            is_held: false,
            capacity: 0,
            bytes: 0,
            end,
        })
    }

    /// Returns whether the process needs a pipe as its stdin.
    pub(crate) fn wants_pipe(&self) -> bool {
        !matches!(self.source, StdinSource::Null)
    }

    /// Sets our non-blocking end of the pipe, and begins.
    pub(crate) fn attach(&mut self, pipe: Option<OwnedFd>) {
        let Some(pipe) = pipe else { return };
        self.capacity = fd::pipe_capacity(&pipe);
        self.pipe = Some(pipe);
        match &self.source {
            StdinSource::Reader(worker) => worker.submit(Vec::new()),
            StdinSource::Exhausted if self.carry.is_empty() => self.close(StreamEnd::Eof),
            _ => {}
        }
    }

    /// Sets the non-blocking end of a terminal where the source types, and begins.
    pub(crate) fn attach_terminal(&mut self, keyboard: OwnedFd) {
        self.is_terminal = true;
        self.attach(Some(keyboard));
    }

    /// Holds back bytes for the pipe, or releases them. Returns whether something is released now.
    pub(crate) fn hold(&mut self, is_held: bool) -> bool {
        std::mem::replace(&mut self.is_held, is_held) && !is_held
    }

    /// Registers what to wait for. The pipe is always included: poll reports the end of its reader
    /// without a request.
    pub(crate) fn register<'p>(&'p self, poll_set: &mut PollSet<'p>) {
        let Some(pipe) = &self.pipe else { return };
        let needs_room = match &self.source {
            _ if self.is_held => false,
            _ if self.has_carry() => true,
            StdinSource::Descriptor(..) => !self.room,
            _ => false,
        };
        poll_set.add(Token::Stdin, pipe, if needs_room { PollFlags::OUT } else { PollFlags::empty() });
        // A source that is ready while the pipe is full would wake the loop for nothing.
        if let StdinSource::Descriptor(source, _) = &self.source
            && !needs_room
            && !self.is_held
        {
            poll_set.add(Token::Source, source, PollFlags::IN);
        }
    }

    /// Moves what can be moved now. Returns whether anything was moved.
    ///
    /// # Errors
    /// The source's error, once.
    pub(crate) fn advance(&mut self, ready: &Ready) -> io::Result<bool> {
        if self.pipe.is_none() {
            return Ok(false);
        }
        let pipe = ready.of(Token::Stdin);
        if pipe.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
            self.reader_gone();
            return Ok(true);
        }
        if self.is_held {
            return Ok(false);
        }
        self.room |= pipe.contains(PollFlags::OUT);
        let before = self.bytes;
        let taken = match &self.source {
            StdinSource::Reader(worker) => match worker.take_result() {
                Some((buffer, outcome)) => outcome.map(|()| self.take_chunk(buffer)),
                None => Ok(()),
            },
            StdinSource::Descriptor(..) if self.room && !self.has_carry() && ready.is(Token::Source) => {
                self.take_from_descriptor()
            }
            _ => Ok(()),
        };
        if let Err(error) = taken {
            self.source = StdinSource::Failed;
            self.forget_carry();
            return Err(error);
        }
        self.write_carry();
        Ok(self.bytes > before || self.pipe.is_none())
    }

    /// Closes the stream because the rest will not be read: the process closed its stdin, or has
    /// exited.
    pub(crate) fn reader_gone(&mut self) {
        if self.pipe.is_some() {
            let failed = matches!(self.source, StdinSource::Failed);
            self.close(if failed { StreamEnd::Stopped } else { StreamEnd::ReaderGone });
        }
    }

    /// Closes stdin and drops the source, in whatever state they are.
    pub(crate) fn stop(&mut self) {
        if self.pipe.is_some() {
            self.close(StreamEnd::Stopped);
        }
    }

    pub(crate) fn report(&self) -> StreamReport {
        StreamReport::new(self.bytes, self.end)
    }

    fn has_carry(&self) -> bool {
        self.written < self.filled
    }

    fn forget_carry(&mut self) {
        (self.carry, self.filled, self.written) = (Vec::new(), 0, 0);
    }

    /// Takes the reader's chunk, or its end.
    fn take_chunk(&mut self, chunk: Vec<u8>) {
        if chunk.is_empty() {
            self.close(StreamEnd::Eof);
        } else {
            (self.filled, self.written) = (chunk.len(), 0);
            self.carry = chunk;
            // The pipe may have become empty meanwhile; trying is cheaper than asking.
            self.room = true;
        }
    }

    /// Takes no more than the pipe has room for.
    fn take_from_descriptor(&mut self) -> io::Result<()> {
        let (Some(pipe), StdinSource::Descriptor(source, kind)) = (&self.pipe, &mut self.source) else {
            return Ok(());
        };
        if kind.is_spliced() && !self.is_terminal {
            match fd::splice(&*source, pipe) {
                Ok(Transfer::Bytes(count)) => self.bytes += count as u64,
                // Either the source is empty again or the pipe is full; poll tells which.
                Ok(Transfer::WouldBlock) => self.room = false,
                Ok(Transfer::Eof) => self.close(StreamEnd::Eof),
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.close(StreamEnd::ReaderGone),
                // The file system does not support splice: from now on, read and write.
                Err(error) if *kind == FdKind::File && error.kind() == ErrorKind::InvalidInput => {
                    *kind = FdKind::Other;
                }
                Err(error) => return Err(error),
            }
            return Ok(());
        }
        // An empty pipe accepts its capacity. A pipe with some room accepts PIPE_BUF; how much more
        // is unknown.
        let empty = !self.is_terminal && ioctl_fionread(pipe).is_ok_and(|held| held == 0);
        let most = if empty { self.capacity.min(CHUNK) } else { rustix::pipe::PIPE_BUF };
        if self.carry.len() < most {
            self.carry.resize(most, 0);
        }
        match fd::read(*kind, source, &mut self.carry[..most])? {
            Transfer::Bytes(count) => (self.filled, self.written) = (count, 0),
            Transfer::WouldBlock => {}
            Transfer::Eof => self.close(StreamEnd::Eof),
        }
        Ok(())
    }

    fn write_carry(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        if !self.room || !self.has_carry() {
            return;
        }
        self.room = false;
        match fd::write(pipe, &self.carry[self.written..self.filled]) {
            Ok(Transfer::Bytes(count)) => {
                self.written += count;
                self.bytes += count as u64;
            }
            Ok(_) => return,
            // EPIPE. No other error is known for our own pipe, and it would be handled the same.
            Err(_) => return self.close(StreamEnd::ReaderGone),
        }
        if self.has_carry() {
            return;
        }
        match &self.source {
            StdinSource::Exhausted => self.close(StreamEnd::Eof),
            StdinSource::Reader(worker) => {
                worker.submit(std::mem::take(&mut self.carry));
                (self.filled, self.written) = (0, 0);
            }
            _ => {}
        }
    }

    /// Passes on the end at once: closes the pipe and drops the source.
    fn close(&mut self, end: StreamEnd) {
        self.pipe = None;
        self.source = StdinSource::Exhausted;
        self.forget_carry();
        self.end = end;
    }
}

/// Reads once; an empty buffer means the end of the source.
fn read_chunk(reader: &mut (dyn Read + Send), buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.resize(CHUNK, 0);
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => {
                // A reader that claims more bytes than the buffer holds is broken.
                let count = outcome?;
                if count > buffer.len() {
                    return Err(io::Error::other("the reader claims more bytes than there was room for"));
                }
                buffer.truncate(count);
                return Ok(());
            }
        }
    }
}
