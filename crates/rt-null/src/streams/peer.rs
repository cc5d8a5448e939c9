//! The command's side of a bridged call: what a handler or script reads from and writes to.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use rt_protocol::{ExecStdio, ExitOutcome, Interruption, OutputStream, PartialOutput, StreamEnd};

use super::stdin::{Stdin, StreamError};
use super::waiter::Waiter;
use crate::script::output::Output;

/// The streams of a bridged command, as the command sees them.
///
/// A handler ([`NullRuntime::on_stdio`](crate::NullRuntime::on_stdio)) runs on the thread of the call and takes the
/// command's part: it [reads](Read) stdin and [writes](Write) stdout, directly from the caller's source and to the
/// caller's sinks. Nothing is read ahead and nothing is held back.
///
/// When the call ends (deadline, cancel, a failing source or sink, a container that goes), every read and write from
/// then on is an error; pass it on with `?`. A handler that does not come back to its streams cannot be ended.
pub struct StdioPeer<'s> {
    waiter: &'s Waiter,
    gone: &'s dyn Fn() -> bool,
    stdin: Stdin<'s>,
    stdout: Output<'s>,
    stderr: Output<'s>,
    /// How many bytes of output pass before the connection goes away.
    cut_after: Option<u64>,
    /// How the outputs end when the command does.
    output_end: StreamEnd,
    end: Option<PeerEnd>,
}

/// Why the call ended before the command.
#[derive(Debug)]
pub(crate) enum PeerEnd {
    Interrupted(Interruption),
    Lost,
}

impl PeerEnd {
    fn of(error: StreamError, failed: impl FnOnce(io::Error) -> Interruption) -> Self {
        match error {
            StreamError::Stopped(stop) => Self::Interrupted(stop.into()),
            StreamError::Gone => Self::Lost,
            StreamError::Failed(cause) => Self::Interrupted(failed(cause)),
        }
    }
}

impl<'s> StdioPeer<'s> {
    /// Takes the caller's streams over. `Ok(None)`: one is of a kind that this backend does not know.
    pub(crate) fn open<'a: 's>(
        streams: ExecStdio<'a>,
        waiter: &'s Waiter,
        gone: &'s dyn Fn() -> bool,
        cut_after: Option<u64>,
    ) -> io::Result<Option<Self>> {
        let (Some(stdin), Some(stdout), Some(stderr)) = (
            Stdin::open(streams.stdin.into_kind(), waiter)?,
            Output::open(streams.stdout.into_kind(), waiter)?,
            Output::open(streams.stderr.into_kind(), waiter)?,
        ) else {
            return Ok(None);
        };
        Ok(Some(Self {
            waiter,
            gone,
            stdin,
            stdout,
            stderr,
            cut_after,
            output_end: StreamEnd::Eof,
            end: None,
        }))
    }

    /// Writes all of it to stdout; it has reached the caller's sink when this returns.
    ///
    /// # Errors
    /// When the call has ended.
    pub fn write_stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(OutputStream::Stdout, bytes)
    }

    /// Writes all of it to stderr, likewise.
    ///
    /// # Errors
    /// When the call has ended.
    pub fn write_stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(OutputStream::Stderr, bytes)
    }

    /// The next line of stdin with its newline, or what is left without one; `None` at the end. Reads byte by byte, so
    /// that what follows the line stays in the source.
    ///
    /// # Errors
    /// When the call has ended.
    pub fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\n') && self.read(&mut byte)? == 1 {
            line.push(byte[0]);
        }
        Ok((!line.is_empty()).then_some(line))
    }

    /// A child of the command stays behind when it ends, and holds both outputs open: they end as
    /// [`LeftOpen`](StreamEnd::LeftOpen).
    pub fn leave_open(&mut self) {
        self.output_end = StreamEnd::LeftOpen;
    }

    /// Does nothing for so long, by the [clock](crate::NullClock).
    ///
    /// # Errors
    /// When the call has ended, or ends meanwhile.
    pub fn pause(&mut self, duration: Duration) -> io::Result<()> {
        self.guard()?;
        self.waiter.spend(duration).map_err(|stop| self.finish(PeerEnd::Interrupted(stop.into())))
    }

    /// Waits until the call ends, as a command that does nothing more: see [`Fault::hang`](crate::Fault::hang).
    ///
    /// # Errors
    /// Always: the call has ended.
    pub fn hang(&mut self) -> io::Result<ExitOutcome> {
        self.guard()?;
        let gone = self.gone;
        match self.waiter.hang(|| gone().then_some(())) {
            Ok(()) => Err(self.finish(PeerEnd::Lost)),
            Err(stop) => Err(self.finish(PeerEnd::Interrupted(stop.into()))),
        }
    }

    /// Ends it: why the call ended, if it did not end with the command, and what was moved.
    pub(crate) fn close(mut self) -> (Option<PeerEnd>, PartialOutput) {
        // What came while the handler was busy elsewhere.
        let _ = self.guard();
        if self.end.is_none() && self.cut_after.is_some() {
            self.end = Some(PeerEnd::Lost);
        }
        let stopped = self.end.is_some();
        let output_end = if stopped { StreamEnd::Stopped } else { self.output_end };
        let moved = PartialOutput::Streams {
            stdin: self.stdin.report(stopped),
            stdout: self.stdout.report(output_end),
            stderr: self.stderr.report(output_end),
        };
        (self.end, moved)
    }

    fn put(&mut self, name: OutputStream, bytes: &[u8]) -> io::Result<()> {
        self.guard()?;
        let passes = match self.cut_after {
            Some(left) => bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
            None => bytes.len(),
        };
        if let Some(left) = &mut self.cut_after {
            *left -= passes as u64;
        }
        let output = match name {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        if passes > 0
            && let Err(stop) = output.write(&bytes[..passes], self.waiter, self.gone)
        {
            return Err(self.finish(PeerEnd::of(stop, |cause| Interruption::SinkFailed(name, cause))));
        }
        if passes < bytes.len() { Err(self.finish(PeerEnd::Lost)) } else { Ok(()) }
    }

    /// Whether the call still goes on.
    fn guard(&mut self) -> io::Result<()> {
        if self.end.is_none() {
            if (self.gone)() {
                self.end = Some(PeerEnd::Lost);
            } else if let Err(stop) = self.waiter.check() {
                self.end = Some(PeerEnd::Interrupted(stop.into()));
            }
        }
        if self.end.is_some() { Err(ended()) } else { Ok(()) }
    }

    fn finish(&mut self, end: PeerEnd) -> io::Error {
        self.end.get_or_insert(end);
        ended()
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the call has ended")
}

/// Reads stdin; 0 is its end.
impl Read for StdioPeer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.guard()?;
        self.stdin
            .read(buffer, self.waiter, self.gone)
            .map_err(|stop| self.finish(PeerEnd::of(stop, Interruption::SourceFailed)))
    }
}

/// Writes stdout.
impl Write for StdioPeer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_stdout(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for StdioPeer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdioPeer").field("end", &self.end).finish_non_exhaustive()
    }
}
