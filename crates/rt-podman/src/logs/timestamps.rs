//! When the lines of a log were written, from a second `podman logs`.
//!
//! So a line's text is never taken from output with podman's times in it, see [`timestamp`]. The
//! text comes from a `podman logs` without times. The n-th line of an output there is the n-th line
//! of that output here, whose beginning gives the time. This holds if both begin with the same
//! line, so not with a tail of a growing log.

use std::collections::VecDeque;
use std::time::SystemTime;

use rt_process::{ExitStatus, Line, LineStream, ProcessError, ProcessSpec};
use rt_protocol::{ContainerName, OutputStream, Pull, Result, Until};

use super::own_line::{DROPPED_AFTER_THE_END, OPERATION, may_be_of_podman, wordless};
use super::timestamp;
use crate::cli::engine::process_error;
use crate::cli::failure::{self, Failure};

/// How many bytes of a line are kept: its time, and some more to check that it is the right line.
const HEAD: usize = 64;

/// How many bytes of a line are read. podman's own errors are lines too, and their end is what
/// identifies them.
const READ: usize = 4 << 10;

/// The times of lines, in the order of the lines.
#[derive(Debug)]
pub(crate) struct LineTimes {
    name: ContainerName,
    spec: ProcessSpec,
    reader: Option<LineStream>,
    only: Option<OutputStream>,
    /// Beginnings of lines of stdout and of stderr that were not requested yet. The other reader
    /// has read the same lines, so there are at most as many as pipes hold.
    ahead: [VecDeque<Head>; 2],
    /// The two readings of stdout or of stderr have diverged: the log was rotated between them.
    apart: [bool; 2],
    /// podman's error message.
    complaint: Option<String>,
}

/// The beginning of a line.
#[derive(Debug)]
struct Head {
    time: Option<SystemTime>,
    bytes: Vec<u8>,
}

impl LineTimes {
    /// `spec` is `podman logs --timestamps`; `only` selects lines. Nothing is started yet.
    pub(crate) fn new(name: ContainerName, spec: ProcessSpec, only: Option<OutputStream>) -> Self {
        let ahead = [VecDeque::new(), VecDeque::new()];
        Self { name, spec, reader: None, only, ahead, apart: [false; 2], complaint: None }
    }

    /// Starts the reader, unless it runs. A reader that starts later sees at least as much of the
    /// log, but the container may be gone.
    pub(crate) fn start(&mut self) -> Result<&mut LineStream> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => LineStream::spawn(&self.spec, READ).map_err(|error| failed(&self.name, error))?,
        };
        Ok(self.reader.insert(reader))
    }

    /// Returns when `line` was written, the next one of its output. `Item(None)` means unknown:
    /// this log ended before, or is another one.
    pub(crate) fn of(&mut self, line: &Line, until: &Until) -> Result<Pull<Option<SystemTime>>> {
        let output = line.stream as usize;
        let mut left = DROPPED_AFTER_THE_END;
        loop {
            if let Some(head) = self.ahead[output].pop_front() {
                self.apart[output] |= !head.is_of(&line.bytes);
                return Ok(Pull::Item(head.time.filter(|_| !self.apart[output])));
            }
            let name = self.name.clone();
            let reader = self.start()?;
            match reader.pull(until).map_err(|error| failed(&name, error))? {
                Pull::Item(next) => {
                    self.keep(next);
                    if until.check().is_err() {
                        left -= 1;
                        if left == 0 {
                            return Ok(Pull::Pending);
                        }
                    }
                }
                Pull::Pending => return Ok(Pull::Pending),
                Pull::End => {
                    if let Some(status) = reader.status().filter(|status| !status.success()) {
                        return Err(self.failure(status));
                    }
                    return Ok(Pull::Item(None));
                }
            }
        }
    }

    pub(crate) fn close(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.close();
        }
        self.ahead = [VecDeque::new(), VecDeque::new()];
    }

    fn keep(&mut self, line: Line) {
        if may_be_of_podman(&line) {
            // It is podman's own: every line of the container begins with a time.
            self.complaint = Some(String::from_utf8_lossy(&line.bytes).into_owned());
        }
        if self.only.is_none_or(|only| only == line.stream) {
            let head = line.bytes[..line.bytes.len().min(HEAD)].to_vec();
            let (time, bytes) = timestamp::take_off(head);
            self.ahead[line.stream as usize].push_back(Head { time, bytes });
        }
    }

    fn failure(&self, status: ExitStatus) -> rt_protocol::Error {
        match &self.complaint {
            Some(text) => {
                let failure = failure::classify(text).unwrap_or(Failure::Other);
                failure.into_error(OPERATION, &self.name, text)
            }
            None => wordless(&self.name, status),
        }
    }
}

impl Head {
    /// Returns whether it can be the beginning of that line; either may be cut or unfinished.
    fn is_of(&self, line: &[u8]) -> bool {
        let same = self.bytes.iter().zip(line).take_while(|(own, other)| own == other).count();
        let ends = same == self.bytes.len() || same == line.len();
        // Or they differ because a later record's time is here; the line may continue with text
        // like the first digits of the time.
        ends || (same.saturating_sub(timestamp::LONGEST)..=same)
            .any(|at| timestamp::may_begin(&self.bytes[at..]))
    }
}

fn failed(name: &ContainerName, error: ProcessError) -> rt_protocol::Error {
    process_error(OPERATION, error).in_container(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_of_a_line_that_it_can_be_a_piece_of() {
        let is_of = |head: &str, line: &str| Head { time: None, bytes: head.into() }.is_of(line.as_bytes());
        assert!(is_of("hello", "hello") && is_of("hel", "hello") && is_of("hello", "hel") && is_of("", "x"));
        assert!(is_of("x2026-11-21T20:00:00.500000000Z y", "xy"));
        assert!(is_of("x2026-11-21T20:00:00.500000000Z 2033", "x2033"));
        assert!(is_of("x2026-11", "xyz"));
        assert!(!is_of("hello", "world") && !is_of("hello", "help") && !is_of("x2026/11", "xyz"));
    }
}
