//! One output of a process, and the caller's sink for it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rt_protocol::{Capture, CapturedOutput, OutputStream, SinkFilter, StreamEnd, StreamReport};
use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;
use rustix::io::ioctl_fionread;

use super::drain::{DRAIN_IDLE, Drain};
use super::fd::{self, CHUNK, FdKind, Transfer};
use super::line_splitter::LineSplitter;
use super::output_target::OutputTarget;
use super::poll_set::{PollSet, Ready, Token};

/// What was handed on after the last bytes of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// The stream has not ended.
    Open,
    /// What the filter had held back. The stream is about to end like this.
    Rest(StreamEnd),
    /// Also the end, to a sink that takes it.
    End(StreamEnd),
}

/// Reads one output of a process and hands it on.
#[derive(Debug)]
pub(crate) struct OutputPump<'a> {
    stream: OutputStream,
    /// Our end of the process's output; `None` before the start, and after its end was read or it
    /// was abandoned.
    pipe: Option<OwnedFd>,
    target: OutputTarget<'a>,
    copy: Option<Capture>,
    filter: SinkFilter,
    /// Bytes that were read and that a socket has not accepted yet, from `written` on.
    carry: Vec<u8>,
    written: usize,
    /// Runs from the exit of the process.
    drain: Option<Drain>,
    /// The sink was blocking when the last pass ended.
    was_blocked: bool,
    failed: bool,
    /// Bytes read from the pipe; the sink may not have accepted all of them yet.
    read: u64,
    /// The bytes of the last chunk that was read, as long as the sink has not accepted it.
    in_flight: u64,
    bytes: u64,
    closing: Closing,
    /// `None` until the stream ends.
    end: Option<StreamEnd>,
}

impl<'a> OutputPump<'a> {
    pub(crate) fn new(stream: OutputStream, target: OutputTarget<'a>, copy: Option<Capture>) -> Self {
        Self {
            stream,
            pipe: None,
            target,
            copy,
            filter: SinkFilter::default(),
            carry: Vec::new(),
            written: 0,
            drain: None,
            was_blocked: false,
            failed: false,
            read: 0,
            in_flight: 0,
            bytes: 0,
            closing: Closing::Open,
            end: None,
        }
    }

    /// Sets the limit and the copies of the caller's sink.
    pub(crate) fn with_filter(self, filter: SinkFilter) -> Self {
        Self { filter, ..self }
    }

    /// Sets our non-blocking end of the pipe and begins; without one the stream ends here.
    pub(crate) fn attach(&mut self, pipe: Option<OwnedFd>) {
        self.pipe = pipe;
        if self.pipe.is_none() {
            self.stop();
        }
    }

    /// Returns our end of the pipe, if it is still open, and ends here.
    pub(crate) fn detach(&mut self) -> Option<OwnedFd> {
        let pipe = self.pipe.take();
        self.stop();
        pipe
    }

    /// Returns whether everything was read (or abandoned) and handed on.
    pub(crate) fn is_done(&self) -> bool {
        self.end.is_some()
    }

    /// Returns whether the exited process itself still has bytes in the pipe that can be read now.
    pub(crate) fn has_pending(&self) -> bool {
        self.end.is_none() && !self.is_blocked() && self.drain.as_ref().is_some_and(Drain::has_pending)
    }

    /// Returns how many bytes were written into the pipe so far.
    pub(crate) fn written(&self) -> u64 {
        self.read + self.pipe.as_ref().map_or(0, |pipe| ioctl_fionread(pipe).unwrap_or(0))
    }

    /// Enlarges the pipe to this capacity, or as much of it as the system grants. A writer that
    /// waits for room continues.
    pub(crate) fn grow_pipe(&self, bytes: usize) {
        if let Some(pipe) = &self.pipe {
            fd::grow_pipe(pipe, bytes);
        }
    }

    /// Returns whether the pipe may have been full since the sink last accepted bytes. It holds
    /// pages, which may be half empty.
    pub(crate) fn may_be_full(&self) -> bool {
        let held_back = if self.is_blocked() { self.in_flight } else { 0 };
        let waits = self.written() - self.read + held_back;
        self.pipe.as_ref().is_some_and(|pipe| waits >= fd::pipe_capacity(pipe) as u64 / 2)
    }

    /// Returns whether the sink has not accepted what was read. The process is held back until it
    /// has.
    fn is_blocked(&self) -> bool {
        match &self.target {
            OutputTarget::Discard | OutputTarget::File(_) => false,
            OutputTarget::Pipe { full, .. } => *full,
            OutputTarget::Socket(_) => self.written < self.carry.len(),
            OutputTarget::Writer { busy, .. } => *busy,
            OutputTarget::Lines(splitter) => !splitter.is_empty(),
        }
    }

    /// Registers what to wait for.
    pub(crate) fn register<'p>(&'p self, poll_set: &mut PollSet<'p>) {
        if self.is_done() {
            return;
        }
        match (&self.target, &self.pipe) {
            (OutputTarget::Pipe { sink, .. } | OutputTarget::Socket(sink), _) if self.is_blocked() => {
                poll_set.add(Token::Sink(self.stream), sink, PollFlags::OUT);
            }
            // A writer's thread wakes the loop when it is done, and lines are pulled by the caller.
            (_, Some(pipe)) if !self.is_blocked() => {
                poll_set.add(Token::Output(self.stream), pipe, PollFlags::IN);
            }
            _ => {}
        }
    }

    /// Returns when the drain ends and the stream may be [abandoned](Self::abandon), unless bytes
    /// come before.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        if self.is_done() || self.is_blocked() { None } else { self.drain.as_ref()?.end() }
    }

    /// Moves what can be moved now. Returns whether anything was moved.
    ///
    /// # Errors
    /// The sink's error, once. From then on the stream is read and discarded.
    pub(crate) fn advance(&mut self, ready: &Ready, now: Instant) -> io::Result<bool> {
        if self.is_done() {
            return Ok(false);
        }
        let moved = self.try_advance(ready, now);
        let closed = self.close(StreamEnd::Eof);
        self.was_blocked = self.is_blocked();
        moved.and_then(|moved| closed.map(|()| moved))
    }

    /// Starts the drain: the process has exited, and the stream is read for a bounded time.
    pub(crate) fn process_exited(&mut self, now: Instant) {
        if let Some(pipe) = &self.pipe {
            self.drain = Some(Drain::new(ioctl_fionread(pipe).unwrap_or(0), now));
        }
    }

    /// Returns whether the drain has ended at `now`.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.wake_at().is_some_and(|end| end <= now)
    }

    /// Abandons a stream that another process holds open.
    ///
    /// # Errors
    /// As for [`advance`](Self::advance).
    pub(crate) fn abandon(&mut self) -> io::Result<()> {
        if self.end.is_none() && self.pipe.is_some() && !self.is_blocked() {
            self.pipe = None;
            return self.close(StreamEnd::LeftOpen);
        }
        Ok(())
    }

    /// Returns whether only the last bytes for the sink, or its end, are still being handed on.
    pub(crate) fn is_closing(&self) -> bool {
        self.end.is_none() && self.closing != Closing::Open
    }

    /// Returns whether the thread of the sink has not yet taken what it was given.
    pub(crate) fn waits_for_thread(&self) -> bool {
        matches!(&self.target, OutputTarget::Writer { worker, busy: true, .. } if !worker.has_begun())
    }

    /// Accounts for time that has passed: time in which the sink accepts nothing does not count for
    /// the drain.
    pub(crate) fn advance_clock(&mut self, time: Duration) {
        if self.was_blocked
            && let Some(drain) = &mut self.drain
        {
            drain.extend(time);
        }
        self.was_blocked = self.is_blocked();
    }

    /// Discards further output, and what the sink has not accepted. The stream is still read.
    pub(crate) fn discard(&mut self) {
        self.target = OutputTarget::Discard;
        self.carry = Vec::new();
        self.written = 0;
    }

    /// Closes the stream and drops the sink, in whatever state they are.
    ///
    /// What the filter has held back still goes to the sink, if the sink accepts it soon.
    pub(crate) fn stop(&mut self) {
        if self.end.is_none() {
            self.hand_on_rest_now();
            self.finish(StreamEnd::Stopped);
        }
    }

    pub(crate) fn report(&self) -> StreamReport {
        StreamReport::new(self.bytes, self.end.unwrap_or(StreamEnd::Stopped))
            .with_omitted(self.filter.omitted())
    }

    /// Returns what was captured so far.
    pub(crate) fn take_copy(&mut self) -> CapturedOutput {
        let end = self.report().end;
        self.copy.take().map(|copy| copy.finish(end)).unwrap_or_default()
    }

    /// Returns the line splitter, if the output goes to one.
    pub(crate) fn splitter(&mut self) -> Option<&mut LineSplitter> {
        match &mut self.target {
            OutputTarget::Lines(splitter) => Some(splitter),
            _ => None,
        }
    }

    fn try_advance(&mut self, ready: &Ready, now: Instant) -> io::Result<bool> {
        let advanced = self.move_bytes(ready, now);
        if advanced.is_err() {
            self.fail();
        }
        advanced
    }

    fn fail(&mut self) {
        self.failed = true;
        self.discard();
    }

    /// Ends a stream of which everything was read, once its last bytes were handed on.
    fn close(&mut self, end: StreamEnd) -> io::Result<()> {
        while self.pipe.is_none() && !self.is_blocked() && self.end.is_none() {
            match self.closing {
                Closing::Open => {
                    self.closing = Closing::Rest(end);
                    let rest = self.filter.finish();
                    if !rest.is_empty()
                        && let Err(error) = self.forward(rest)
                    {
                        self.fail();
                        return self.close(end).and(Err(error));
                    }
                }
                Closing::Rest(end) => {
                    self.closing = Closing::End(end);
                    if let OutputTarget::Writer { worker, busy, takes_end: true } = &mut self.target {
                        worker.submit(Vec::new());
                        *busy = true;
                    }
                }
                Closing::End(end) => self.finish(end),
            }
        }
        Ok(())
    }

    /// Hands on what the filter has held back, without the loop. A sink that does not accept it
    /// within 100 ms does not get it.
    fn hand_on_rest_now(&mut self) {
        if self.failed || !self.filter.is_limited() || self.closing != Closing::Open {
            return;
        }
        let rest = self.filter.finish();
        let count = rest.len() as u64;
        if let OutputTarget::Writer { worker, busy, .. } = &mut self.target {
            if *busy {
                let Some((chunk, Ok(()))) = worker.wait_for_result(DRAIN_IDLE) else { return };
                self.bytes += chunk.len() as u64;
            }
            worker.submit(rest);
            *busy = true;
            if let Some((_, Ok(()))) = worker.wait_for_result(DRAIN_IDLE) {
                *busy = false;
                self.bytes += count;
            }
        } else if !self.is_blocked() {
            // A failure is not reported: the command is being ended already.
            let _ = self.forward(rest);
        }
    }

    fn move_bytes(&mut self, ready: &Ready, now: Instant) -> io::Result<bool> {
        let before = self.bytes;
        let sink_ready = ready.is(Token::Sink(self.stream));
        let output = ready.of(Token::Output(self.stream));
        let mut readable = !output.is_empty();
        match &mut self.target {
            OutputTarget::Writer { worker, busy, .. } => {
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
            // The end, without bytes before it. It must be detected here, because splice(2) checks
            // its target first. A sink whose reader left after it had everything is not a failure.
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

    /// Moves bytes from the process's pipe to the caller's, within the kernel.
    fn splice_to_sink(&mut self, now: Instant) -> io::Result<bool> {
        let (Some(pipe), OutputTarget::Pipe { sink, full }) = (&self.pipe, &mut self.target) else {
            return Ok(false);
        };
        let moved = if self.copy.is_some() || !self.filter.is_empty() {
            let moved = fd::tee(pipe, sink)?;
            if let Transfer::Bytes(count) = moved {
                consume(pipe, count, &mut self.carry, |bytes| {
                    if let Some(copy) = &mut self.copy {
                        copy.push(bytes);
                    }
                    // Without a limit it copies, and changes nothing.
                    self.filter.apply(bytes);
                })?;
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
            // Poll reported bytes, and no other reader takes them: so the sink has no room.
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
            // No error is known for reading our own pipe; nothing more would come then.
            Ok(Transfer::Eof) | Err(_) => {
                self.pipe = None;
                return Ok(true);
            }
        };
        self.read += count as u64;
        self.record_drained(count, now);
        self.in_flight = count as u64;
        if let Some(copy) = &mut self.copy {
            copy.push(&buffer);
        }
        self.filter.apply(&mut buffer);
        if buffer.is_empty() {
            self.carry = buffer;
            self.written = 0;
        } else {
            self.forward(buffer)?;
        }
        Ok(true)
    }

    fn forward(&mut self, buffer: Vec<u8>) -> io::Result<()> {
        let count = buffer.len() as u64;
        match &mut self.target {
            OutputTarget::Writer { worker, busy, .. } => {
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
        // Lines that were read are for the caller to pull. Every other sink is dropped, so that its
        // reader sees the end.
        if !matches!(self.target, OutputTarget::Lines(_)) {
            self.discard();
        }
    }
}

/// Removes from the pipe exactly the bytes that tee(2) has already handed on, and gives them to
/// `copy`.
fn consume(
    pipe: &OwnedFd,
    mut count: usize,
    scratch: &mut Vec<u8>,
    mut copy: impl FnMut(&mut Vec<u8>),
) -> io::Result<()> {
    while count > 0 {
        // Not one byte more may be taken, so the slice must have the exact length.
        scratch.resize(count.min(CHUNK), 0);
        match fd::read(FdKind::Other, pipe, &mut scratch[..])? {
            Transfer::Bytes(read) => {
                scratch.truncate(read);
                copy(scratch);
                count -= read;
            }
            // The bytes are there, and there is no other reader.
            Transfer::WouldBlock | Transfer::Eof => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
    Ok(())
}
