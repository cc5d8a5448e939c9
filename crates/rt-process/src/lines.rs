//! The output of a process as lines that are pulled. The caller interprets them.

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
    /// The output that it came from.
    pub stream: OutputStream,
    /// Its bytes, without the newline. A carriage return before the newline is kept.
    pub bytes: Vec<u8>,
    /// How many bytes were cut from the end of a long line; 0 for a complete line.
    pub omitted: u64,
}

/// The lines of both outputs of a process, pulled one by one. Its stdin is empty.
///
/// Bytes move only during a pull. A caller that does not pull holds the process back, after at most
/// 64 KiB and one unfinished line of each output. Lines of one output keep their order. Lines of
/// the two outputs come in the order in which chunks were read. That is the order of writing if the
/// process writes slower than the caller pulls; otherwise they may swap.
///
/// Dropping it does the same as [`close`](Self::close).
pub struct LineStream {
    process: Process<'static>,
    /// The output whose chunk is being split.
    current: usize,
    status: Option<ExitStatus>,
    ended: bool,
}

impl LineStream {
    /// Starts a process. Lines are cut at `max_line_bytes`, and the rest is counted.
    ///
    /// # Errors
    /// The same as [`with_process`](crate::with_process).
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

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns the next line of either output.
    ///
    /// `until` limits this pull only. If it ends, by deadline or by cancel, without a line, the
    /// result is [`Pull::Pending`] and the stream stays usable. [`Pull::End`] comes after the
    /// process has exited and its outputs have ended. An output that another process holds open
    /// counts as ended 100 ms after the last byte. A last line without a newline is a line.
    ///
    /// # Errors
    /// None at present; reserved for errors of waiting.
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
            // One pass even after the deadline, for bytes that have already come.
            self.process.poll_loop.poll_once(if over { Some(Duration::ZERO) } else { until.remaining() });
            if let Some(line) = self.next_line() {
                return Ok(Pull::Item(line));
            }
            if over && !self.process.poll_loop.is_complete() {
                return Ok(Pull::Pending);
            }
        }
    }

    /// Returns the exit status. `None` before [`Pull::End`], or if it is unknown, see
    /// [`Finished::status`](crate::Finished::status).
    pub fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// Ends the process if it still runs: TERM to its group, 2 s, KILL; then reaps it. Lines that
    /// were not pulled are dropped. A second call has no effect. A later pull returns
    /// [`Pull::End`].
    pub fn close(&mut self) {
        if !self.ended {
            self.ended = true;
            // Output from here on is not wanted, and must not hold the process back.
            self.process.poll_loop.outputs.iter_mut().for_each(OutputPump::discard);
            self.process.end(KILL_GRACE);
            self.status = self.process.finish().status;
        }
    }

    /// Returns the next line that was read, without reading more.
    fn next_line(&mut self) -> Option<Line> {
        // The current chunk first, to its end, then the other output, so that neither waits
        // forever.
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

/// Omits the lines, which may contain anything.
impl fmt::Debug for LineStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineStream")
            .field("pid", &self.pid())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
