//! One output of a process, and the caller's sink that takes it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rt_protocol::{Capture, CapturedOutput, OutputStream, StreamEnd, StreamReport};
use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;
use rustix::io::ioctl_fionread;

use super::drain::Drain;
use super::fd::{self, CHUNK, FdKind, Transfer};
use super::line_splitter::LineSplitter;
use super::output_target::OutputTarget;
use super::poll_set::{PollSet, Ready, Token};

/// Takes one output of a process and hands it on.
#[derive(Debug)]
pub(crate) struct OutputPump<'a> {
    stream: OutputStream,
    /// Our end of the process's output; `None` before the start, and once its end was read or it was left.
    pipe: Option<OwnedFd>,
    target: OutputTarget<'a>,
    copy: Option<Capture>,
    /// Bytes that were read and that a socket has not taken yet, from `written` on.
    carry: Vec<u8>,
    written: usize,
    /// Runs from the exit of the process on.
    drain: Option<Drain>,
    /// The sink held us back when the last pass ended.
    was_blocked: bool,
    failed: bool,
    /// Out of the pipe; the sink may not have taken all of it yet.
    read: u64,
    bytes: u64,
    /// `None` while it goes on.
    end: Option<StreamEnd>,
}

impl<'a> OutputPump<'a> {
    pub(crate) fn new(stream: OutputStream, target: OutputTarget<'a>, copy: Option<Capture>) -> Self {
        Self {
            stream,
            pipe: None,
            target,
            copy,
            carry: Vec::new(),
            written: 0,
            drain: None,
            was_blocked: false,
            failed: false,
            read: 0,
            bytes: 0,
            end: None,
        }
    }

    /// Takes our end of the pipe, which does not block, and begins; without one it ends here.
    pub(crate) fn attach(&mut self, pipe: Option<OwnedFd>) {
        self.pipe = pipe;
        if self.pipe.is_none() {
            self.stop();
        }
    }

    /// Gives our end of the pipe away, if it is still open, and ends here.
    pub(crate) fn detach(&mut self) -> Option<OwnedFd> {
        let pipe = self.pipe.take();
        self.stop();
        pipe
    }

    /// Whether everything was read, or left, and handed on.
    pub(crate) fn is_done(&self) -> bool {
        self.end.is_some()
    }

    /// Whether the process itself still has bytes in the pipe, after its exit, that could be read now.
    pub(crate) fn has_pending(&self) -> bool {
        self.end.is_none() && !self.is_blocked() && self.drain.as_ref().is_some_and(Drain::has_pending)
    }

    /// How many bytes were written into the pipe until now.
    pub(crate) fn written(&self) -> u64 {
        self.read + self.pipe.as_ref().map_or(0, |pipe| ioctl_fionread(pipe).unwrap_or(0))
    }

    /// Lets the pipe hold this much, or as much of it as the system grants. A writer that waits for room goes on.
    pub(crate) fn grow_pipe(&self, bytes: usize) {
        if let Some(pipe) = &self.pipe {
            fd::grow_pipe(pipe, bytes);
        }
    }

    /// Whether the pipe may have been full since the sink took something last. It holds pages, which may be filled by half.
    pub(crate) fn may_be_full(&self) -> bool {
        let waits = self.written() - self.bytes;
        self.pipe.as_ref().is_some_and(|pipe| waits >= fd::pipe_capacity(pipe) as u64 / 2)
    }

    /// Whether the sink has not taken what was read; the process is held back until it has.
    fn is_blocked(&self) -> bool {
        match &self.target {
            OutputTarget::Discard | OutputTarget::File(_) => false,
            OutputTarget::Pipe { full, .. } => *full,
            OutputTarget::Socket(_) => self.written < self.carry.len(),
            OutputTarget::Writer { busy, .. } => *busy,
            OutputTarget::Lines(splitter) => !splitter.is_empty(),
        }
    }

    /// What to wait for.
    pub(crate) fn register<'p>(&'p self, poll_set: &mut PollSet<'p>) {
        if self.is_done() {
            return;
        }
        match (&self.target, &self.pipe) {
            (OutputTarget::Pipe { sink, .. } | OutputTarget::Socket(sink), _) if self.is_blocked() => {
                poll_set.add(Token::Sink(self.stream), sink, PollFlags::OUT);
            }
            // A writer's thread wakes the loop when it is done, and lines are taken by the caller.
            (_, Some(pipe)) if !self.is_blocked() => {
                poll_set.add(Token::Output(self.stream), pipe, PollFlags::IN);
            }
            _ => {}
        }
    }

    /// When the drain is over and the stream may be [abandoned](Self::abandon), unless bytes come before.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        if self.is_done() || self.is_blocked() { None } else { self.drain.as_ref()?.end() }
    }

    /// Moves what can be moved now; whether anything was.
    ///
    /// # Errors
    /// What the sink failed with, once. The stream is drained and dropped from then on.
    pub(crate) fn advance(&mut self, ready: &Ready, now: Instant) -> io::Result<bool> {
        if self.is_done() {
            return Ok(false);
        }
        let advanced = self.try_advance(ready, now);
        if advanced.is_err() {
            self.failed = true;
            self.discard();
        }
        if self.pipe.is_none() && !self.is_blocked() {
            self.finish(StreamEnd::Eof);
        }
        self.was_blocked = self.is_blocked();
        advanced
    }

    /// The process has exited: from here on the stream is read for a bounded time.
    pub(crate) fn process_exited(&mut self, now: Instant) {
        if let Some(pipe) = &self.pipe {
            self.drain = Some(Drain::new(ioctl_fionread(pipe).unwrap_or(0), now));
        }
    }

    /// Whether the drain's time is over at `now`.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.wake_at().is_some_and(|end| end <= now)
    }

    /// Leaves a stream that somebody else holds open.
    pub(crate) fn abandon(&mut self) {
        if self.end.is_none() && self.pipe.is_some() && !self.is_blocked() {
            self.finish(StreamEnd::LeftOpen);
        }
    }

    /// Takes note of time that has passed: what the sink takes is not the drain's.
    pub(crate) fn advance_clock(&mut self, time: Duration) {
        if self.was_blocked
            && let Some(drain) = &mut self.drain
        {
            drain.extend(time);
        }
        self.was_blocked = self.is_blocked();
    }

    /// Drops what comes from here on; what the sink has not taken is forgotten. The stream goes on being drained.
    pub(crate) fn discard(&mut self) {
        self.target = OutputTarget::Discard;
        self.carry = Vec::new();
        self.written = 0;
    }

    /// Closes the stream and lets go of the sink, wherever they are.
    pub(crate) fn stop(&mut self) {
        if self.end.is_none() {
            self.finish(StreamEnd::Stopped);
        }
    }

    pub(crate) fn report(&self) -> StreamReport {
        StreamReport::new(self.bytes, self.end.unwrap_or(StreamEnd::Stopped))
    }

    /// What was kept so far.
    pub(crate) fn take_copy(&mut self) -> CapturedOutput {
        let end = self.report().end;
        self.copy.take().map(|copy| copy.finish(end)).unwrap_or_default()
    }

    /// The lines, if this is where the output goes.
    pub(crate) fn splitter(&mut self) -> Option<&mut LineSplitter> {
        match &mut self.target {
            OutputTarget::Lines(splitter) => Some(splitter),
            _ => None,
        }
    }

    fn try_advance(&mut self, ready: &Ready, now: Instant) -> io::Result<bool> {
        let before = self.bytes;
        let sink_ready = ready.is(Token::Sink(self.stream));
        let output = ready.of(Token::Output(self.stream));
        let mut readable = !output.is_empty();
        match &mut self.target {
            OutputTarget::Writer { worker, busy } => {
                if let Some((buffer, outcome)) = worker.take_result() {
                    *busy = false;
                    outcome?;
                    self.bytes += buffer.len() as u64;
                    self.carry = buffer;
                    self.carry.clear();
                }
            }
            OutputTarget::Pipe { full, .. } if sink_ready => {
                *full = false;
                readable = self.pipe.is_some();
            }
            // The end, with nothing before it. It has to be known here: splice(2) looks at its target first, and a sink
            // whose reader has gone, having heard everything, is no failure.
            OutputTarget::Pipe { .. } if readable && !output.contains(PollFlags::IN) => self.pipe = None,
            OutputTarget::Socket(_) if sink_ready => self.send_carry()?,
            _ => {}
        }
        let mut read = false;
        if readable && !self.is_blocked() {
            read = if matches!(self.target, OutputTarget::Pipe { .. }) {
                self.splice_to_sink(now)?
            } else {
                self.read(now)?
            };
        }
        Ok(read || self.bytes > before)
    }

    /// From the process's pipe to the caller's, within the kernel.
    fn splice_to_sink(&mut self, now: Instant) -> io::Result<bool> {
        let (Some(pipe), OutputTarget::Pipe { sink, full }) = (&self.pipe, &mut self.target) else {
            return Ok(false);
        };
        let moved = if let Some(copy) = &mut self.copy {
            let moved = fd::tee(pipe, sink)?;
            if let Transfer::Bytes(count) = moved {
                consume(pipe, count, &mut self.carry, copy)?;
            }
            moved
        } else {
            fd::splice(pipe, sink)?
        };
        match moved {
            Transfer::Bytes(count) => {
                self.bytes += count as u64;
                self.read += count as u64;
                self.record_drained(count, now);
            }
            // Poll said that there are bytes, and nobody else takes them: it is the sink that has no room.
            Transfer::WouldBlock => *full = true,
            Transfer::Eof => self.pipe = None,
        }
        Ok(moved != Transfer::WouldBlock)
    }

    fn read(&mut self, now: Instant) -> io::Result<bool> {
        let Some(pipe) = &self.pipe else { return Ok(false) };
        let mut buffer = match &mut self.target {
            OutputTarget::Lines(splitter) => splitter.take_buffer(),
            _ => std::mem::take(&mut self.carry),
        };
        buffer.clear();
        buffer.reserve_exact(CHUNK);
        let count = match fd::read(FdKind::Other, pipe, spare_capacity(&mut buffer)) {
            Ok(Transfer::Bytes(count)) => count,
            Ok(Transfer::WouldBlock) => {
                self.carry = buffer;
                return Ok(false);
            }
            // Reading a pipe of our own fails in no way that is known; there is nothing more to come then.
            Ok(Transfer::Eof) | Err(_) => {
                self.pipe = None;
                return Ok(true);
            }
        };
        self.read += count as u64;
        self.record_drained(count, now);
        if let Some(copy) = &mut self.copy {
            copy.push(&buffer);
        }
        self.forward(buffer)?;
        Ok(true)
    }

    fn forward(&mut self, buffer: Vec<u8>) -> io::Result<()> {
        let count = buffer.len() as u64;
        match &mut self.target {
            OutputTarget::Writer { worker, busy } => {
                worker.submit(buffer);
                *busy = true;
                return Ok(());
            }
            OutputTarget::Socket(_) => {
                (self.carry, self.written) = (buffer, 0);
                return self.send_carry();
            }
            OutputTarget::Lines(splitter) => splitter.fill(buffer),
            OutputTarget::File(file) => {
                fd::write_file(file, &buffer)?;
                self.carry = buffer;
            }
            OutputTarget::Discard | OutputTarget::Pipe { .. } => self.carry = buffer,
        }
        self.written = self.carry.len();
        self.bytes += count;
        Ok(())
    }

    fn send_carry(&mut self) -> io::Result<()> {
        let OutputTarget::Socket(socket) = &self.target else { return Ok(()) };
        if let Transfer::Bytes(count) = fd::send_nonblocking(socket, &self.carry[self.written..])? {
            self.written += count;
            self.bytes += count as u64;
        }
        Ok(())
    }

    fn record_drained(&mut self, count: usize, now: Instant) {
        if let Some(drain) = &mut self.drain {
            drain.read(count, now);
        }
    }

    fn finish(&mut self, end: StreamEnd) {
        self.pipe = None;
        self.end = Some(if self.failed { StreamEnd::Stopped } else { end });
        // Lines that were read are the caller's; every other sink is let go, so that its reader sees the end.
        if !matches!(self.target, OutputTarget::Lines(_)) {
            self.discard();
        }
    }
}

/// Takes exactly the bytes out of the pipe that tee(2) has already handed on.
fn consume(pipe: &OwnedFd, mut count: usize, scratch: &mut Vec<u8>, copy: &mut Capture) -> io::Result<()> {
    // Not one byte more than was handed on may be taken, so the slice has to be exact.
    scratch.resize(CHUNK, 0);
    while count > 0 {
        let most = count.min(scratch.len());
        match fd::read(FdKind::Other, pipe, &mut scratch[..most])? {
            Transfer::Bytes(read) => {
                copy.push(&scratch[..read]);
                count -= read;
            }
            // They are there, and nobody else reads here.
            Transfer::WouldBlock | Transfer::Eof => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
    Ok(())
}
