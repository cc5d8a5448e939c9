//! The output of a process as lines that are pulled; what a line means is the caller's.

use std::fmt;
use std::time::Duration;

use rt_protocol::sync::Waker;
use rt_protocol::{KILL_GRACE, OutputStream, Pull, Source, Until};

use crate::io::line_splitter::LineSplitter;
use crate::io::output_pump::OutputPump;
use crate::io::output_target::OutputTarget;
use crate::io::stdin_pump::StdinPump;
use crate::process::Process;
use crate::{ExitStatus, ProcessError, ProcessSpec};

const STREAMS: [OutputStream; 2] = [OutputStream::Stdout, OutputStream::Stderr];

/// One line that a process wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Line {
    /// Which output it came from.
    pub stream: OutputStream,
    /// Its bytes, without the newline. A carriage return before it is kept.
    pub bytes: Vec<u8>,
    /// How many bytes of an over-long line were dropped from its end; 0 for a whole line.
    pub omitted: u64,
}

/// The lines of both outputs of a process, as they are pulled. Its stdin is empty.
///
/// Nothing moves between two pulls: a caller who does not pull holds the process back, after at most 64 KiB and one
/// unfinished line of each output. Lines of one output keep their order. Lines of the two come in the order in which
/// chunks were read: where the process writes slower than the caller pulls, that is the order in which they were
/// written; otherwise they may swap.
///
/// Dropping it does what [`close`](Self::close) does.
pub struct LineStream {
    process: Process<'static>,
    /// Which output's chunk is being cut.
    current: usize,
    status: Option<ExitStatus>,
    ended: bool,
}

impl LineStream {
    /// Starts a process. Lines longer than `max_line_bytes` are cut there, and the rest is counted.
    ///
    /// # Errors
    /// As for [`with_process`](crate::with_process).
    pub fn spawn(spec: &ProcessSpec, max_line_bytes: usize) -> Result<Self, ProcessError> {
        let refused = |source| ProcessError::System { what: "prepare the streams of a process", source };
        let waker = Waker::new().map_err(refused)?;
        let stdin = StdinPump::new(Source::empty(), &waker).map_err(refused)?;
        let outputs = STREAMS.map(|stream| {
            OutputPump::new(stream, OutputTarget::Lines(LineSplitter::new(max_line_bytes)), None)
        });
        let process = Process::start(spec, stdin, outputs, waker)?;
        Ok(Self { process, current: 0, status: None, ended: false })
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The next line of either output.
    ///
    /// `until` bounds this pull alone; when it is over, by deadline or by cancel, and no line is there, the answer is
    /// [`Pull::Pending`], and the stream stays good. [`Pull::End`] comes after the process has exited and its outputs have
    /// ended, or were left 100 ms after the last byte because somebody else holds them open. A last line without a
    /// newline is a line.
    ///
    /// # Errors
    /// None at present; the signature leaves room for a system that refuses to wait.
    pub fn pull(&mut self, until: &Until) -> Result<Pull<Line>, ProcessError> {
        if self.ended {
            return Ok(Pull::End);
        }
        if let Some(line) = self.next_line() {
            return Ok(Pull::Item(line));
        }
        let _registration = self.process.poll_loop.waker.wake_on_cancel(until);
        loop {
            let over = until.check().is_err();
            if self.process.poll_loop.is_complete() {
                self.status = self.process.finish().status;
                self.ended = true;
                return Ok(Pull::End);
            }
            // One pass also after the end, for the bytes that have come already.
            self.process.poll_loop.poll_once(if over { Some(Duration::ZERO) } else { until.remaining() });
            if let Some(line) = self.next_line() {
                return Ok(Pull::Item(line));
            }
            if over && !self.process.poll_loop.is_complete() {
                return Ok(Pull::Pending);
            }
        }
    }

    /// How the process ended; `None` before [`Pull::End`], or where that is not known, see
    /// [`Finished::status`](crate::Finished::status).
    pub fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// Ends the process, if it still runs: TERM to its group, 2 s, KILL; then reaps it. Lines that were not pulled are
    /// dropped. Twice is fine; a pull afterwards answers [`Pull::End`].
    pub fn close(&mut self) {
        if !self.ended {
            self.ended = true;
            // What it says while it ends is nobody's any more, and must not hold it back.
            self.process.poll_loop.outputs.iter_mut().for_each(OutputPump::discard);
            self.process.end(KILL_GRACE);
            self.status = self.process.finish().status;
        }
    }

    /// The next line that was read, without reading more.
    fn next_line(&mut self) -> Option<Line> {
        // The chunk at hand first, to its end; then the other, so that neither output waits for ever.
        for index in [self.current, 1 - self.current] {
            let output = &mut self.process.poll_loop.outputs[index];
            let over = output.is_done();
            let Some(splitter) = output.splitter() else { continue };
            let piece = splitter.next().or_else(|| if over { splitter.rest() } else { None });
            if let Some((bytes, omitted)) = piece {
                self.current = index;
                return Some(Line { stream: STREAMS[index], bytes, omitted });
            }
        }
        None
    }
}

impl Drop for LineStream {
    fn drop(&mut self) {
        if !self.ended {
            tracing::debug!(target: "rt_process", pid = self.pid(), "a line stream is dropped without close");
            self.close();
        }
    }
}

/// Lines are left out: they may hold anything.
impl fmt::Debug for LineStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineStream")
            .field("pid", &self.pid())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
