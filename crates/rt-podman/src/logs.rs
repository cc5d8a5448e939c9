//! The log of a container, by `podman logs`.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rt_process::{Line, LineStream};
use rt_protocol::{
    ContainerName, Deadline, Error, LogLine, LogOptions, LogStream, OutputStream, Pull, Result, Until,
};

use crate::container::PodmanContainer;
use crate::engine::process_error;
use crate::failure::{self, Failure};

const OPERATION: &str = "read the log of";

/// Lines of a `podman logs` that is running.
///
/// podman writes the container's stderr lines to its own stderr (since 3.0), and its own errors too. A line that begins
/// as podman's errors do is held back for a moment, over as many pulls as that takes: podman exits at once after an error
/// of its own, the container's log goes on.
#[derive(Debug)]
pub struct PodmanLogStream {
    name: ContainerName,
    lines: LineStream,
    timestamps: bool,
    /// Only lines of this output. Both are read all the same: podman's own errors come on stderr, and an output that
    /// nobody reads holds podman back.
    only: Option<OutputStream>,
    held: Option<Held>,
    /// Lines that were read while one was held back, and then that one, at their head.
    waiting: VecDeque<Line>,
    ended: bool,
}

/// A line that is podman's own error if podman exits with a failure before `decided_at`, and a line of the log otherwise.
#[derive(Debug)]
struct Held {
    line: Line,
    decided_at: Deadline,
}

/// How many lines of the other output a pull whose limit is over still drops while they come without waiting.
const DROPPED_AFTER_THE_END: usize = 1000;

/// How long podman may take from its error to its exit.
const EXIT_AFTER_ERROR: Duration = Duration::from_millis(250);

/// The longest tail that podman is asked for. It makes room for that many pointers before it reads a line (1 GiB here,
/// untouched): podman 4.3.1 runs out of memory at 2^32 lines, and panics at 2^63 - 1.
const LONGEST_TAIL: u64 = 1 << 27;

impl PodmanLogStream {
    pub(crate) fn open(container: &PodmanContainer, options: &LogOptions) -> Result<Self> {
        let target = container.target(&Until::forever())?;
        let mut args = vec![String::from("logs")];
        if options.follow {
            args.push(String::from("--follow"));
        }
        if let Some(lines) = options.tail.filter(|lines| *lines <= LONGEST_TAIL) {
            args.push(format!("--tail={lines}"));
        }
        if let Some(since) = options.since {
            args.push(format!("--since={}", rfc3339(since)));
        }
        if options.timestamps {
            args.push(String::from("--timestamps"));
        }
        args.extend([String::from("--"), target]);
        let lines = LineStream::spawn(&container.engine().spec(args), options.max_line_bytes)
            .map_err(|error| process_error(OPERATION, error).in_container(container.name()))?;
        Ok(Self {
            name: container.name().clone(),
            lines,
            timestamps: options.timestamps,
            only: options.stream,
            held: None,
            waiting: VecDeque::new(),
            ended: false,
        })
    }

    fn advance(&mut self, until: &Until) -> Result<Pull<LogLine>> {
        let mut left = DROPPED_AFTER_THE_END;
        loop {
            let line = match self.next_line(until)? {
                Pull::Item(line) => line,
                Pull::Idle => return Ok(Pull::Idle),
                Pull::End => return Ok(Pull::End),
            };
            if let Some(line) = self.decode(line) {
                return Ok(Pull::Item(line));
            }
            if until.check().is_err() {
                left -= 1;
                if left == 0 {
                    return Ok(Pull::Idle);
                }
            }
        }
    }

    /// The next line of the log, of either output.
    fn next_line(&mut self, until: &Until) -> Result<Pull<Line>> {
        loop {
            if self.held.is_some() {
                if !self.settle(until)? {
                    return Ok(Pull::Idle);
                }
            } else if let Some(line) = self.waiting.pop_front() {
                return Ok(Pull::Item(line));
            } else if self.ended {
                return Ok(Pull::End);
            } else {
                match self.read(until)? {
                    Pull::Item(line) if may_be_of_podman(&line) => {
                        let decided_at = Deadline::at(Instant::now() + EXIT_AFTER_ERROR);
                        self.held = Some(Held { line, decided_at });
                    }
                    Pull::Item(line) => return Ok(Pull::Item(line)),
                    Pull::Idle => return Ok(Pull::Idle),
                    Pull::End => {
                        self.ended = true;
                        self.verdict()?;
                    }
                }
            }
        }
    }

    fn read(&mut self, until: &Until) -> Result<Pull<Line>> {
        self.lines.pull(until).map_err(|error| process_error(OPERATION, error).in_container(&self.name))
    }

    /// Decides about the line that is held back, or says that `until` was over before.
    fn settle(&mut self, until: &Until) -> Result<bool> {
        while let Some(Held { line, decided_at }) = self.held.take() {
            let soon = until.clone().or_after(decided_at.remaining());
            match self.read(&soon)? {
                Pull::End => {
                    self.ended = true;
                    if self.lines.status().is_none_or(|status| !status.success()) {
                        let text = String::from_utf8_lossy(&line.bytes);
                        let failure = failure::classify(&text).unwrap_or(Failure::Other);
                        return Err(failure.into_error(OPERATION, &self.name, &text));
                    }
                    self.waiting.push_front(line);
                    return Ok(true);
                }
                Pull::Item(next) => self.waiting.push_back(next),
                Pull::Idle => {}
            }
            // Looked at after every line: a log that never pauses would hold the line back for good.
            if decided_at.has_passed() {
                self.waiting.push_front(line);
                return Ok(true);
            }
            self.held = Some(Held { line, decided_at });
            if until.check().is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The line, if it is of an output that was asked for.
    fn decode(&self, line: Line) -> Option<LogLine> {
        if self.only.is_some_and(|only| only != line.stream) {
            return None;
        }
        let (timestamp, bytes) =
            if self.timestamps { split_timestamp(line.bytes) } else { (None, line.bytes) };
        let mut decoded = LogLine::new(line.stream, bytes);
        decoded.omitted = line.omitted;
        decoded.timestamp = timestamp;
        Some(decoded)
    }

    /// What podman's exit says of a log that is over.
    fn verdict(&self) -> Result<()> {
        match self.lines.status() {
            Some(status) if !status.success() => {
                let message = format!("podman ended with {status:?} and without a word");
                Err(Error::new(rt_protocol::ErrorKind::BackendFailed, OPERATION, message)
                    .in_container(&self.name)
                    .with_hint("the log may be incomplete; ask again"))
            }
            _ => Ok(()),
        }
    }
}

impl LogStream for PodmanLogStream {
    fn pull(&mut self, until: &Until) -> Result<Pull<LogLine>> {
        let answer = self.advance(until);
        if answer.is_err() {
            self.close()?;
        }
        answer
    }

    fn close(&mut self) -> Result<()> {
        self.ended = true;
        self.held = None;
        self.waiting.clear();
        self.lines.close();
        Ok(())
    }
}

/// Whether the line begins as podman's own errors do.
fn may_be_of_podman(line: &Line) -> bool {
    line.stream == OutputStream::Stderr && line.bytes.starts_with(b"Error: ")
}

/// `2026-11-21T20:23:51.883198261Z err5`
fn split_timestamp(bytes: Vec<u8>) -> (Option<SystemTime>, Vec<u8>) {
    let space = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
    let timestamp =
        std::str::from_utf8(&bytes[..space]).ok().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    match timestamp {
        Some(timestamp) => (Some(timestamp.into()), bytes.get(space + 1..).unwrap_or_default().to_vec()),
        None => (None, bytes),
    }
}

/// The time as podman's `--since` reads it; nanoseconds are kept.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time.max(UNIX_EPOCH)).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_taken_off_and_other_text_is_left_alone() {
        let (time, rest) = split_timestamp(b"2026-11-21T20:23:51.883198261Z err5 x".to_vec());
        assert!(time.is_some());
        assert_eq!(rest, b"err5 x");
        assert_eq!(split_timestamp(b"2026-11-21T20:23:51Z".to_vec()).1, b"");
        assert_eq!(split_timestamp(b"no time".to_vec()), (None, b"no time".to_vec()));
    }

    #[test]
    fn a_time_goes_to_podman_with_its_nanoseconds() {
        let time = UNIX_EPOCH + Duration::new(1, 5);
        assert_eq!(rfc3339(time), "1970-01-01T00:00:01.000000005Z");
    }
}
