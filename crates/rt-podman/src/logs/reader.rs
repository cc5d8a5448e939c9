//! The log of a container as one `podman logs` prints it.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rt_process::{Line, LineStream};
use rt_protocol::{ContainerName, Deadline, LogLine, LogOptions, OutputStream, Pull, Result, Until};

use super::own_line::{DROPPED_AFTER_THE_END, OPERATION, may_be_of_podman, wordless};
use super::timestamp;
use super::timestamps::LineTimes;
use crate::cli::engine::process_error;
use crate::cli::failure::{self, Failure};
use crate::state::target::Target;

/// Lines of a running `podman logs`.
///
/// podman writes the container's stderr lines to its own stderr (since 3.0), together with its own
/// errors. A line that begins as podman's errors do is held back for a moment, over several pulls
/// if needed. podman exits at once after an error of its own, while the container's log continues.
#[derive(Debug)]
pub(crate) struct LogReader {
    name: ContainerName,
    lines: LineStream,
    times: Times,
    /// The limit of a line's length if lines end with a terminal's carriage return; it is read with
    /// one more byte.
    terminal: Option<usize>,
    /// A line whose time is not known yet.
    untimed: Option<Line>,
    /// Selects the lines of one output. Both are read all the same: podman's own errors come on
    /// stderr, and an output that is not read blocks podman.
    only: Option<OutputStream>,
    held: Option<Held>,
    /// Lines that were read while one was held back, after that one at the front.
    waiting: VecDeque<Line>,
    ended: bool,
}

/// The source of the times of lines.
#[derive(Debug)]
enum Times {
    /// They were not requested.
    None,
    /// A second reader.
    Apart(Box<LineTimes>),
    /// The lines themselves, as podman prints them. With a tail, a second reader might begin
    /// elsewhere.
    Within { max_line_bytes: usize },
}

/// A line that is podman's own error if podman fails before `decided_at`, and a line of the log
/// otherwise.
#[derive(Debug)]
struct Held {
    line: Line,
    decided_at: Deadline,
}

/// How long podman may take from its error to its exit.
const EXIT_AFTER_ERROR: Duration = Duration::from_millis(250);

/// The longest tail that podman is asked for. podman allocates as many pointers before it reads a
/// line (1 GiB here, untouched). podman 4.3.1 runs out of memory at 2^32 lines, and panics at 2^63
/// - 1.
const LONGEST_TAIL: u64 = 1 << 27;

/// How many bytes of podman's times a line may contain before they count as its own: those of about
/// 1800 records.
const ROOM_FOR_TIMES: usize = 64 << 10;

impl LogReader {
    /// `target` is the container in podman's words; `is_terminal` means that its lines end as a
    /// terminal ends them.
    pub(crate) fn open(
        container: &Target,
        target: &str,
        options: &LogOptions,
        is_terminal: bool,
    ) -> Result<Self> {
        // podman writes its own log on stderr, where its lines would be lines of the container (6.1
        // logs an error if conmon was killed). After the verb, so that no level of the caller wins.
        let mut args = vec![String::from("logs"), String::from("--log-level=fatal")];
        if options.follow {
            args.push(String::from("--follow"));
        }
        let tail = options.tail.filter(|lines| *lines <= LONGEST_TAIL);
        if let Some(lines) = tail {
            args.push(format!("--tail={lines}"));
        }
        if let Some(since) = options.since {
            args.push(format!("--since={}", rfc3339(since)));
        }
        let spec = |timestamps: bool| {
            let timestamps = timestamps.then(|| String::from("--timestamps"));
            let words = args.iter().cloned().chain(timestamps);
            container.engine().spec(words.chain([String::from("--"), target.to_owned()]))
        };
        let within = options.timestamps && tail.is_some();
        // A terminal's carriage return is removed afterwards.
        let max_line_bytes = options.max_line_bytes.saturating_add(usize::from(is_terminal));
        let limit = max_line_bytes.saturating_add(if within { ROOM_FOR_TIMES } else { 0 });
        let lines = LineStream::spawn(&spec(within), limit)
            .map_err(|error| process_error(OPERATION, error).in_container(container.name()))?;
        let mut times = match (options.timestamps, within) {
            (false, _) => Times::None,
            (true, true) => Times::Within { max_line_bytes },
            (true, false) => {
                Times::Apart(Box::new(LineTimes::new(container.name().clone(), spec(true), options.stream)))
            }
        };
        if let Times::Apart(times) = &mut times
            && options.follow
        {
            // At once, because the container might be gone later. Without follow it starts with the
            // first line, so that it sees at least as much of a growing log.
            times.start()?;
        }
        Ok(Self {
            name: container.name().clone(),
            lines,
            times,
            terminal: is_terminal.then_some(options.max_line_bytes),
            untimed: None,
            only: options.stream,
            held: None,
            waiting: VecDeque::new(),
            ended: false,
        })
    }

    pub(crate) fn pull(&mut self, until: &Until) -> Result<Pull<LogLine>> {
        let mut left = DROPPED_AFTER_THE_END;
        loop {
            let line = match self.untimed.take() {
                Some(line) => line,
                None => match self.next_line(until)? {
                    Pull::Item(line) => line,
                    Pull::Pending => return Ok(Pull::Pending),
                    Pull::End => {
                        self.close();
                        return Ok(Pull::End);
                    }
                },
            };
            if self.only.is_none_or(|only| only == line.stream) {
                return self.timed(line, until);
            }
            if until.check().is_err() {
                left -= 1;
                if left == 0 {
                    return Ok(Pull::Pending);
                }
            }
        }
    }

    /// Returns the line, with its time if requested.
    fn timed(&mut self, mut line: Line, until: &Until) -> Result<Pull<LogLine>> {
        let mut timestamp = None;
        match &mut self.times {
            Times::None => {}
            Times::Within { max_line_bytes } => timestamp = take_times(&mut line, *max_line_bytes),
            Times::Apart(times) => {
                let Pull::Item(time) = times.of(&line, until)? else {
                    self.untimed = Some(line);
                    return Ok(Pull::Pending);
                };
                timestamp = time;
            }
        }
        if let Some(max_line_bytes) = self.terminal {
            if line.omitted == 0 && line.bytes.last() == Some(&b'\r') {
                line.bytes.pop();
            }
            cut(&mut line, max_line_bytes);
        }
        let mut timed = LogLine::new(line.stream, line.bytes);
        (timed.omitted, timed.timestamp) = (line.omitted, timestamp);
        Ok(Pull::Item(timed))
    }

    /// Returns the next line of the log, of either output.
    fn next_line(&mut self, until: &Until) -> Result<Pull<Line>> {
        loop {
            if self.held.is_some() {
                if !self.settle(until)? {
                    return Ok(Pull::Pending);
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
                    Pull::Pending => return Ok(Pull::Pending),
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

    /// Decides about the line that is held back. Returns false if `until` ended first.
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
                Pull::Pending => {}
            }
            // Checked after every line: otherwise a log that never pauses would hold the line back
            // forever.
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

    /// Judges podman's exit at the end of a log.
    fn verdict(&self) -> Result<()> {
        match self.lines.status() {
            Some(status) if !status.success() => Err(wordless(&self.name, status)),
            _ => Ok(()),
        }
    }

    pub(crate) fn close(&mut self) {
        self.ended = true;
        self.held = None;
        self.untimed = None;
        self.waiting.clear();
        self.lines.close();
        if let Times::Apart(times) = &mut self.times {
            times.close();
        }
    }
}

/// Removes podman's times from a line, and returns the first one. The rest of the line is cut at
/// the limit afterwards.
fn take_times(line: &mut Line, max_line_bytes: usize) -> Option<SystemTime> {
    let (time, mut bytes) = timestamp::take_off(std::mem::take(&mut line.bytes));
    if let Some(first) = time {
        bytes = timestamp::join(&bytes, first, SystemTime::now());
    }
    // A line that was cut may end in the middle of a time.
    let whole = if line.omitted == 0 { bytes.len() } else { bytes.len().saturating_sub(timestamp::LONGEST) };
    line.omitted += (bytes.len() - whole) as u64;
    bytes.truncate(whole);
    line.bytes = bytes;
    cut(line, max_line_bytes);
    time
}

fn cut(line: &mut Line, max_line_bytes: usize) {
    let kept = line.bytes.len().min(max_line_bytes);
    line.omitted += (line.bytes.len() - kept) as u64;
    line.bytes.truncate(kept);
}

/// Formats the time for podman's `--since`, with nanoseconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time.max(UNIX_EPOCH)).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_goes_to_podman_with_its_nanoseconds() {
        let time = UNIX_EPOCH + Duration::new(1, 5);
        assert_eq!(rfc3339(time), "1970-01-01T00:00:01.000000005Z");
    }
}
