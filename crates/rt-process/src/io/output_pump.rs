//! The way out of a process: one of its outputs, and the caller's sink that takes it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rt_protocol::{Capture, CapturedOutput, OutputStream, StreamEnd, StreamReport};
use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;
use rustix::io::ioctl_fionread;

use super::drain::Drain;
use super::fd::{self, CHUNK, Kind, Moved};
use super::line_splitter::Splitter;
use super::output_target::Way;
use super::poll_set::{Interests, Ready, Tag};

/// Takes one output of a process and hands it on.
#[derive(Debug)]
pub(crate) struct Outlet<'a> {
    stream: OutputStream,
    /// Our end of the process's output; `None` before the start, and once its end was read or it was left.
    pipe: Option<OwnedFd>,
    way: Way<'a>,
    copy: Option<Capture>,
    /// Bytes that were read and that a socket has not taken yet, from `handed` on.
    carry: Vec<u8>,
    handed: usize,
    /// Runs from the exit of the process on.
    drain: Option<Drain>,
    /// The sink held us back when the last turn ended.
    was_held: bool,
    failed: bool,
    bytes: u64,
    /// `None` while it goes on.
    end: Option<StreamEnd>,
}

impl<'a> Outlet<'a> {
    pub(crate) fn new(stream: OutputStream, way: Way<'a>, copy: Option<Capture>) -> Self {
        Self {
            stream,
            pipe: None,
            way,
            copy,
            carry: Vec::new(),
            handed: 0,
            drain: None,
            was_held: false,
            failed: false,
            bytes: 0,
            end: None,
        }
    }

    /// Takes our end of the pipe, and begins.
    pub(crate) fn attach(&mut self, pipe: OwnedFd) {
        self.pipe = Some(pipe);
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
    pub(crate) fn owes(&self) -> bool {
        self.end.is_none() && !self.is_held() && self.drain.as_ref().is_some_and(Drain::owes)
    }

    /// Whether bytes stand in the pipe.
    pub(crate) fn has_unread(&self) -> bool {
        self.pipe.as_ref().is_some_and(|pipe| ioctl_fionread(pipe).unwrap_or(0) > 0)
    }

    /// Whether the sink has not taken what was read; the process is held back until it has.
    fn is_held(&self) -> bool {
        match &self.way {
            Way::Nowhere | Way::File(_) => false,
            Way::Pipe { full, .. } => *full,
            Way::Socket(_) => self.handed < self.carry.len(),
            Way::Writer { busy, .. } => *busy,
            Way::Lines(splitter) => !splitter.is_empty(),
        }
    }

    /// What to wait for.
    pub(crate) fn interests<'p>(&'p self, interests: &mut Interests<'p>) {
        if self.is_done() {
            return;
        }
        match (&self.way, &self.pipe) {
            (Way::Pipe { sink, .. } | Way::Socket(sink), _) if self.is_held() => {
                interests.add(Tag::Sink(self.stream), sink, PollFlags::OUT);
            }
            // A writer's thread rings when it is done, and lines are taken by the caller.
            (_, Some(pipe)) if !self.is_held() => {
                interests.add(Tag::Output(self.stream), pipe, PollFlags::IN);
            }
            _ => {}
        }
    }

    /// When the drain is over and the stream may be [left](Self::leave), unless bytes come before.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        if self.is_done() || self.is_held() { None } else { self.drain.as_ref()?.end() }
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
        if self.pipe.is_none() && !self.is_held() {
            self.finish(StreamEnd::Eof);
        }
        self.was_held = self.is_held();
        advanced
    }

    /// The process has exited: from here on the stream is read for a bounded time.
    pub(crate) fn leader_exited(&mut self, now: Instant) {
        if let Some(pipe) = &self.pipe {
            self.drain = Some(Drain::new(ioctl_fionread(pipe).unwrap_or(0), now));
        }
    }

    /// Whether the drain's time is over at `now`.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.wake_at().is_some_and(|end| end <= now)
    }

    /// Leaves a stream that somebody else holds open.
    pub(crate) fn leave(&mut self) {
        if self.end.is_none() && self.pipe.is_some() && !self.is_held() {
            self.finish(StreamEnd::LeftOpen);
        }
    }

    /// Takes note of time that has passed: what the sink takes is not the drain's.
    pub(crate) fn pass(&mut self, time: Duration) {
        if self.was_held
            && let Some(drain) = &mut self.drain
        {
            drain.hold(time);
        }
        self.was_held = self.is_held();
    }

    /// Drops what comes from here on; what the sink has not taken is forgotten. The stream goes on being drained.
    pub(crate) fn discard(&mut self) {
        self.way = Way::Nowhere;
        self.carry = Vec::new();
        self.handed = 0;
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
    pub(crate) fn splitter(&mut self) -> Option<&mut Splitter> {
        match &mut self.way {
            Way::Lines(splitter) => Some(splitter),
            _ => None,
        }
    }

    fn try_advance(&mut self, ready: &Ready, now: Instant) -> io::Result<bool> {
        let before = self.bytes;
        let sink_ready = ready.is(Tag::Sink(self.stream));
        let output = ready.of(Tag::Output(self.stream));
        let mut readable = !output.is_empty();
        match &mut self.way {
            Way::Writer { worker, busy } => {
                if let Some((buffer, outcome)) = worker.take() {
                    *busy = false;
                    outcome?;
                    self.bytes += buffer.len() as u64;
                    self.carry = buffer;
                    self.carry.clear();
                }
            }
            Way::Pipe { full, .. } if sink_ready => {
                *full = false;
                readable = self.pipe.is_some();
            }
            // The end, with nothing before it. It has to be known here: splice(2) looks at its target first, and a sink
            // whose reader has gone, having heard everything, is no failure.
            Way::Pipe { .. } if readable && !output.contains(PollFlags::IN) => self.pipe = None,
            Way::Socket(_) if sink_ready => self.send_carry()?,
            _ => {}
        }
        let mut read = false;
        if readable && !self.is_held() {
            read = if matches!(self.way, Way::Pipe { .. }) { self.pass_on(now)? } else { self.read(now)? };
        }
        Ok(read || self.bytes > before)
    }

    /// From the process's pipe to the caller's, within the kernel.
    fn pass_on(&mut self, now: Instant) -> io::Result<bool> {
        let (Some(pipe), Way::Pipe { sink, full }) = (&self.pipe, &mut self.way) else { return Ok(false) };
        let moved = if let Some(copy) = &mut self.copy {
            let moved = fd::tee(pipe, sink)?;
            if let Moved::Bytes(count) = moved {
                consume(pipe, count, &mut self.carry, copy)?;
            }
            moved
        } else {
            fd::splice(pipe, sink)?
        };
        match moved {
            Moved::Bytes(count) => {
                self.bytes += count as u64;
                self.note(count, now);
            }
            // Poll said that there are bytes, and nobody else takes them: it is the sink that has no room.
            Moved::Later => *full = true,
            Moved::End => self.pipe = None,
        }
        Ok(moved != Moved::Later)
    }

    fn read(&mut self, now: Instant) -> io::Result<bool> {
        let Some(pipe) = &self.pipe else { return Ok(false) };
        let mut buffer = match &mut self.way {
            Way::Lines(splitter) => splitter.take_buffer(),
            _ => std::mem::take(&mut self.carry),
        };
        buffer.clear();
        buffer.reserve_exact(CHUNK);
        let count = match fd::read(Kind::Other, pipe, spare_capacity(&mut buffer)) {
            Ok(Moved::Bytes(count)) => count,
            Ok(Moved::Later) => {
                self.carry = buffer;
                return Ok(false);
            }
            // Reading a pipe of our own fails in no way that is known; there is nothing more to come then.
            Ok(Moved::End) | Err(_) => {
                self.pipe = None;
                return Ok(true);
            }
        };
        self.note(count, now);
        if let Some(copy) = &mut self.copy {
            copy.push(&buffer);
        }
        self.hand_on(buffer)?;
        Ok(true)
    }

    fn hand_on(&mut self, buffer: Vec<u8>) -> io::Result<()> {
        let count = buffer.len() as u64;
        match &mut self.way {
            Way::Writer { worker, busy } => {
                worker.post(buffer);
                *busy = true;
                return Ok(());
            }
            Way::Socket(_) => {
                (self.carry, self.handed) = (buffer, 0);
                return self.send_carry();
            }
            Way::Lines(splitter) => splitter.fill(buffer),
            Way::File(file) => {
                fd::write_file(file, &buffer)?;
                self.carry = buffer;
            }
            Way::Nowhere | Way::Pipe { .. } => self.carry = buffer,
        }
        self.handed = self.carry.len();
        self.bytes += count;
        Ok(())
    }

    fn send_carry(&mut self) -> io::Result<()> {
        let Way::Socket(socket) = &self.way else { return Ok(()) };
        if let Moved::Bytes(count) = fd::send_some(socket, &self.carry[self.handed..])? {
            self.handed += count;
            self.bytes += count as u64;
        }
        Ok(())
    }

    fn note(&mut self, count: usize, now: Instant) {
        if let Some(drain) = &mut self.drain {
            drain.moved(count, now);
        }
    }

    fn finish(&mut self, end: StreamEnd) {
        self.pipe = None;
        self.end = Some(if self.failed { StreamEnd::Stopped } else { end });
        // Lines that were read are the caller's; every other sink is let go, so that its reader sees the end.
        if !matches!(self.way, Way::Lines(_)) {
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
        match fd::read(Kind::Other, pipe, &mut scratch[..most])? {
            Moved::Bytes(read) => {
                copy.push(&scratch[..read]);
                count -= read;
            }
            // They are there, and nobody else reads here.
            Moved::Later | Moved::End => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
    Ok(())
}
