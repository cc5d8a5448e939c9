//! The command's side of a bridged call: what a handler or script reads from and writes to.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use rt_protocol::{
    ExecStdio, ExitOutcome, Interruption, OutputStream, PartialOutput, Signal, StreamEnd, TerminalSize,
};

use super::signal_queue::SignalQueue;
use super::stdin::{Stdin, StreamError};
use super::waiter::Waiter;
use crate::script::output::Output;

/// The streams of a bridged command, as the command sees them.
///
/// A handler ([`NullRuntime::on_stdio`](crate::NullRuntime::on_stdio)) runs on the thread of the
/// call and plays the command. It [reads](Read) stdin and [writes](Write) stdout, directly from the
/// caller's source and to the caller's sinks. Nothing is read ahead or held back.
///
/// Once the call has ended (deadline, cancel, a failed source or sink, a container that went away),
/// every read and write returns an error; pass it on with `?`. A handler that does not use its
/// streams again cannot be ended.
pub struct StdioPeer<'s> {
    waiter: &'s Waiter,
    gone: &'s dyn Fn() -> bool,
    signals: &'s SignalQueue,
    stdin: Stdin<'s>,
    stdout: Output<'s>,
    stderr: Output<'s>,
    /// How many bytes of output pass before the connection is cut.
    cut_after: Option<u64>,
    /// How the outputs end when the command ends.
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
    /// Takes over the caller's streams. `Ok(None)` means that one is of a kind that this backend
    /// does not know.
    pub(crate) fn open<'a: 's>(
        streams: ExecStdio<'a>,
        waiter: &'s Waiter,
        gone: &'s dyn Fn() -> bool,
        signals: &'s SignalQueue,
        cut_after: Option<u64>,
    ) -> io::Result<Option<Self>> {
        let (Some(stdin), Some(stdout), Some(stderr)) = (
            Stdin::open(streams.stdin.into_kind(), waiter)?,
            Output::open(streams.stdout, waiter)?,
            Output::open(streams.stderr, waiter)?,
        ) else {
            return Ok(None);
        };
        Ok(Some(Self {
            waiter,
            gone,
            signals,
            stdin,
            stdout,
            stderr,
            cut_after,
            output_end: StreamEnd::Eof,
            end: None,
        }))
    }

    /// Writes all bytes to stdout. They have reached the caller's sink when this returns.
    ///
    /// # Errors
    /// If the call has ended.
    pub fn write_stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(OutputStream::Stdout, bytes)
    }

    /// Writes all bytes to stderr, which is the same as stdout if the command has a terminal. They
    /// have reached the caller's sink when this returns.
    ///
    /// # Errors
    /// If the call has ended.
    pub fn write_stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(OutputStream::Stderr, bytes)
    }

    /// Reads the next line of stdin with its newline. The last line may lack one; `None` at the
    /// end. Reads byte by byte, so what follows the line stays in the source.
    ///
    /// # Errors
    /// If the call has ended.
    pub fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\n') && self.read(&mut byte)? == 1 {
            line.push(byte[0]);
        }
        Ok((!line.is_empty()).then_some(line))
    }

    /// Leaves a child of the command behind that holds both outputs open: they end as
    /// [`LeftOpen`](StreamEnd::LeftOpen).
    pub fn leave_open(&mut self) {
        self.output_end = StreamEnd::LeftOpen;
    }

    /// Does nothing for this long, by the [clock](crate::NullClock).
    ///
    /// # Errors
    /// If the call has ended, or ends meanwhile.
    pub fn pause(&mut self, duration: Duration) -> io::Result<()> {
        self.guard()?;
        self.waiter.spend(duration).map_err(|stop| self.finish(PeerEnd::Interrupted(stop.into())))
    }

    /// Waits until the call ends, as a command that hangs: see [`Fault::hang`](crate::Fault::hang).
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

    /// Handles this signal from now on: [`wait_for_signal`](Self::wait_for_signal) returns it.
    /// Other signals that end a process by default end the command. KILL cannot be handled.
    pub fn handle_signal(&mut self, signal: Signal) {
        self.signals.handle(signal);
    }

    /// Returns whether the command [handles](Self::handle_signal) any signal.
    pub fn handles_signals(&self) -> bool {
        self.signals.is_handled()
    }

    /// Waits for a signal that the command [handles](Self::handle_signal).
    ///
    /// # Errors
    /// If the call has ended, or ends meanwhile.
    pub fn wait_for_signal(&mut self) -> io::Result<Signal> {
        let signals = self.signals;
        self.wait_for(|| signals.take())
    }

    /// Returns the size of the command's terminal now; `None` if its request has none.
    pub fn terminal(&self) -> Option<TerminalSize> {
        self.signals.terminal()
    }

    /// Waits until the size of the terminal changes, and returns the new one. Each change is
    /// returned once.
    ///
    /// # Errors
    /// If the call has ended, or ends meanwhile.
    pub fn wait_for_resize(&mut self) -> io::Result<TerminalSize> {
        let signals = self.signals;
        self.wait_for(|| signals.take_resize())
    }

    /// Closes the streams. Returns why the call ended, unless the command ended it, and what was
    /// transferred.
    pub(crate) fn close(mut self) -> (Option<PeerEnd>, PartialOutput) {
        // Notices a deadline, a cancel or a vanished container while the handler was busy
        // elsewhere.
        let _ = self.guard();
        if self.end.is_none() && self.cut_after.is_some() {
            self.end = Some(PeerEnd::Lost);
        }
        for name in [OutputStream::Stdout, OutputStream::Stderr] {
            self.finish_output(name);
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

    /// Waits for what a caller of the running command does.
    fn wait_for<T>(&mut self, take: impl Fn() -> Option<T>) -> io::Result<T> {
        self.guard()?;
        let gone = self.gone;
        let found = self.waiter.wait_for_caller(|| match take() {
            Some(found) => Some(Some(found)),
            None => gone().then_some(None),
        });
        match found {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(self.finish(PeerEnd::Lost)),
            Err(stop) => Err(self.finish(PeerEnd::Interrupted(stop.into()))),
        }
    }

    fn put(&mut self, name: OutputStream, bytes: &[u8]) -> io::Result<()> {
        self.guard()?;
        // A terminal is one stream.
        let name = if self.terminal().is_some() { OutputStream::Stdout } else { name };
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

    /// Hands on what the sink gets at the end of the output.
    fn finish_output(&mut self, name: OutputStream) {
        let output = match name {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        if self.end.is_some() {
            output.finish_now(self.waiter);
        } else if let Err(stop) = output.finish(self.waiter, self.gone) {
            self.finish(PeerEnd::of(stop, |cause| Interruption::SinkFailed(name, cause)));
        }
    }

    /// Fails if the call has ended.
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

/// Reads stdin; 0 bytes means its end. A terminal has none: at the end of the source, the read
/// waits until the call ends.
impl Read for StdioPeer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.guard()?;
        let read = self.stdin.read(buffer, self.waiter, self.gone);
        let count = read.map_err(|stop| self.finish(PeerEnd::of(stop, Interruption::SourceFailed)))?;
        if count == 0 && !buffer.is_empty() && self.terminal().is_some() {
            return self.hang().map(|_| 0);
        }
        Ok(count)
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
