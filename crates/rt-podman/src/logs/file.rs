//! The log of a container, read from the file that conmon writes (log drivers `k8s-file` and
//! `json-file`).
//!
//! podman's own follower reads the same file and loses lines. It stops 250 ms after the container,
//! even with unread lines, and drops the rest of a file that was replaced (seen on 4.3.1 and
//! 5.4.2). Without following, a podman 4.3 that gets TERM exits with 0 in the middle of the log.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rt_process::{FollowedFile, Growth, procfs};
use rt_protocol::{Error, ErrorKind, LogLine, LogOptions, Pull, Result, Until};

use super::own_line::{DROPPED_AFTER_THE_END, OPERATION};
use super::record::Record;
use crate::state::inspect::Inspected;

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;

/// The longest record. conmon ends one after 8 KiB.
const LONGEST_RECORD: usize = 1 << 20;

/// Lines of a log that may grow.
#[derive(Debug)]
pub(crate) struct LogFile {
    from: From,
    options: LogOptions,
    is_terminal: bool,
    /// Bytes that were read; those up to `used` were taken.
    bytes: Vec<u8>,
    used: usize,
    /// The position in the file where `bytes` ends.
    position: u64,
    /// Records of stdout and of stderr before these positions are not part of the tail.
    begin: [u64; 2],
    /// The position from which on lines were written since a follower began. They are returned
    /// whatever their time, because clocks are set.
    new: u64,
    /// Whether a record of exactly the requested time has come.
    is_at_since: bool,
    unfinished: [Option<LogLine>; 2],
    /// Outputs whose last record ended with a terminal's carriage return, perhaps before the end of
    /// the line.
    returned: [bool; 2],
    has_gap: bool,
    growth: Growth,
}

/// The file that is read.
#[derive(Debug)]
enum From {
    /// A file that grows, read until its writer ends.
    Growing(FollowedFile),
    /// A file up to its size when it was opened.
    Whole { file: File, end: u64 },
}

impl LogFile {
    /// Opens the log of a running container to follow it. `None` if it cannot be followed here:
    /// another log driver, another machine, or the container has ended meanwhile.
    pub(crate) fn follow(found: &Inspected, options: &LogOptions) -> Option<Self> {
        let path = path(found)?;
        let conmon = procfs::entry(found.conmon_pid?).ok()??;
        // podman may be on another machine or in another namespace, where that pid is another
        // process.
        let command = fs::read(format!("/proc/{}/cmdline", conmon.pid)).ok()?;
        let id = found.info.id.as_str().as_bytes();
        if !command.split(|byte| *byte == 0).any(|word| word == id) {
            return None;
        }
        let opened = FollowedFile::open(path, &conmon);
        if let Err(error) = &opened {
            tracing::debug!(operation = OPERATION, %error, "the log file cannot be followed; podman follows it");
        }
        let mut file = opened.ok()??;
        let new = file.first().metadata().ok()?.len();
        let begin = begin(file.first(), options).ok()?;
        file.begin_at(begin[0].min(begin[1]));
        Some(Self { new, ..Self::new(found, options, From::Growing(file), begin) })
    }

    /// Opens what has been written so far. `None` if there is no such file here.
    pub(crate) fn read(found: &Inspected, options: &LogOptions) -> Option<Self> {
        let file = File::open(path(found)?).ok()?;
        let end = file.metadata().ok()?.len();
        let begin = begin(&file, options).ok()?;
        Some(Self::new(found, options, From::Whole { file, end }, begin))
    }

    fn new(found: &Inspected, options: &LogOptions, from: From, begin: [u64; 2]) -> Self {
        Self {
            from,
            options: options.clone(),
            is_terminal: found.is_terminal,
            bytes: Vec::new(),
            used: 0,
            position: begin[0].min(begin[1]),
            begin,
            new: u64::MAX,
            is_at_since: false,
            unfinished: [None, None],
            returned: [false; 2],
            has_gap: false,
            growth: Growth::Idle,
        }
    }

    pub(crate) fn pull(&mut self, until: &Until) -> Result<Pull<LogLine>> {
        let mut left = DROPPED_AFTER_THE_END;
        loop {
            while let Some((record, at)) = self.next_record() {
                if let Some(line) = self.take(record, at) {
                    return Ok(Pull::Item(line));
                }
                if until.check().is_err() {
                    left -= 1;
                    if left == 0 {
                        return Ok(Pull::Pending);
                    }
                }
            }
            if matches!(self.growth, Growth::Gap | Growth::End)
                && let Some(line) = self.take_unfinished()
            {
                return Ok(Pull::Item(line));
            }
            if self.growth == Growth::End {
                return if self.has_gap { Err(incomplete()) } else { Ok(Pull::End) };
            }
            self.fill(until)?;
            match self.growth {
                Growth::Bytes(_) | Growth::End => {}
                Growth::Gap => self.has_gap = true,
                Growth::Idle => return Ok(Pull::Pending),
            }
        }
    }

    /// Returns an unfinished line that will get no more bytes.
    fn take_unfinished(&mut self) -> Option<LogLine> {
        let mut line = self.unfinished.iter_mut().find_map(Option::take)?;
        if std::mem::take(&mut self.returned[line.stream as usize]) {
            append(&mut line, b"\r", self.options.max_line_bytes);
        }
        Some(line)
    }

    fn fill(&mut self, until: &Until) -> Result<()> {
        self.bytes.drain(..self.used);
        self.used = 0;
        let kept = self.bytes.len();
        if kept > LONGEST_RECORD {
            return Err(Error::new(ErrorKind::InvalidResponse, OPERATION, "its file holds something else"));
        }
        self.bytes.resize(kept + CHUNK, 0);
        let growth = self.from.read(&mut self.bytes[kept..], self.position, until);
        let count = if let Ok(Growth::Bytes(count)) = growth { count } else { 0 };
        self.bytes.truncate(kept + count);
        self.position += count as u64;
        self.growth = growth.map_err(|error| {
            Error::new(ErrorKind::System, OPERATION, "reading its file failed").with_source(error)
        })?;
        if self.growth == Growth::Gap {
            // The rest of a record was lost with its file; positions count in the first file only.
            self.bytes.clear();
            (self.begin, self.new) = ([0; 2], 0);
        }
        Ok(())
    }

    /// Returns the next complete record, and its position.
    fn next_record(&mut self) -> Option<(Record, u64)> {
        loop {
            let bytes = &self.bytes[self.used..];
            let length = bytes.iter().position(|byte| *byte == b'\n')?;
            let at = self.position - bytes.len() as u64;
            let range = self.used..self.used + length;
            self.used += length + 1;
            // Skips what is not a record, as podman does.
            if let Some(record) = Record::read(&self.bytes[range.clone()]) {
                return Some((record.after(range.start), at));
            }
        }
    }

    /// Returns the line that a record completes, if it was requested.
    fn take(&mut self, record: Record, at: u64) -> Option<LogLine> {
        let output = record.output;
        if at < self.begin[output as usize] || !self.options.wants(output) {
            return None;
        }
        let time = self.options.since.is_some() || self.options.timestamps;
        let time = time.then(|| record.time(&self.bytes)).flatten();
        // As podman does: each record by itself, and a record of exactly that time does not count
        // as later. But what follows such a record does.
        if let (Some(since), Some(time)) = (self.options.since, time)
            && time <= since
            && at < self.new
            && !(self.is_at_since && time < since)
        {
            self.is_at_since |= time == since;
            return None;
        }
        let line = self.unfinished[output as usize].get_or_insert_with(|| LogLine::new(output, Vec::new()));
        if self.options.timestamps && line.timestamp.is_none() {
            line.timestamp = time;
        }
        let mut text = &self.bytes[record.text.clone()];
        if self.is_terminal {
            // A terminal turns every `\n` into `\r\n`, and conmon may end a record between the two.
            if std::mem::take(&mut self.returned[output as usize]) && !(record.is_end && text.is_empty()) {
                append(line, b"\r", self.options.max_line_bytes);
            }
            if let Some(before) = text.strip_suffix(b"\r") {
                text = before;
                self.returned[output as usize] = !record.is_end;
            }
        }
        append(line, text, self.options.max_line_bytes);
        if record.is_end { self.unfinished[output as usize].take() } else { None }
    }
}

impl From {
    fn read(&mut self, buffer: &mut [u8], position: u64, until: &Until) -> io::Result<Growth> {
        match self {
            Self::Growing(file) => file.read(buffer, until),
            Self::Whole { file, end } => {
                let left = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
                let room = buffer.len().min(left);
                let count = file.read_at(&mut buffer[..room], position)?;
                Ok(if count == 0 { Growth::End } else { Growth::Bytes(count) })
            }
        }
    }
}

/// Returns the file that conmon writes, if its path shows that it is this container's: podman may
/// be on another machine.
fn path(found: &Inspected) -> Option<&Path> {
    let path = found.log_path.as_deref()?;
    (path.starts_with('/') && path.contains(found.info.id.as_str())).then(|| Path::new(path))
}

/// Returns the positions of the first requested lines of stdout and of stderr.
fn begin(file: &File, options: &LogOptions) -> io::Result<[u64; 2]> {
    options.tail.map_or(Ok([0; 2]), |lines| tail(file, lines))
}

fn append(line: &mut LogLine, text: &[u8], max_line_bytes: usize) {
    let kept = text.len().min(max_line_bytes.saturating_sub(line.bytes.len()));
    line.bytes.extend_from_slice(&text[..kept]);
    line.omitted += (text.len() - kept) as u64;
}

/// Returns the positions of the last `lines` lines of stdout and of stderr. A line may be several
/// records, with records of the other output in between.
fn tail(file: &File, lines: u64) -> io::Result<[u64; 2]> {
    let end = file.metadata()?.len();
    let mut walk = Walk { file, begin: end, bytes: Vec::new() };
    let mut begin = [end; 2];
    let mut counted = 0;
    // Whether the last line seen, going backwards, is in the tail; `None` before the first.
    let mut wanted = [None; 2];
    while let Some((at, line)) = walk.previous()? {
        let Some(record) = Record::read(&line) else { continue };
        let output = record.output as usize;
        if record.is_end || wanted[output].is_none() {
            let is_wanted = counted < lines;
            counted += u64::from(is_wanted);
            wanted[output] = Some(is_wanted);
        }
        if wanted[output] == Some(true) {
            begin[output] = at;
        } else if counted >= lines && wanted.iter().all(|wanted| *wanted != Some(true)) {
            break;
        }
    }
    Ok(begin)
}

/// The lines of a file, from its end to its beginning.
struct Walk<'a> {
    file: &'a File,
    /// The position in the file where `bytes` begins.
    begin: u64,
    bytes: Vec<u8>,
}

impl Walk<'_> {
    /// Returns a line without its end, and its position.
    fn previous(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        loop {
            let before_end = self.bytes.len().saturating_sub(1);
            let place = self.bytes[..before_end].iter().rposition(|byte| *byte == b'\n');
            if place.is_none() && self.begin > 0 {
                let step = self.begin.min(CHUNK as u64);
                let mut more = vec![0; usize::try_from(step).unwrap_or(CHUNK)];
                self.file.read_exact_at(&mut more, self.begin - step)?;
                self.begin -= step;
                more.append(&mut self.bytes);
                self.bytes = more;
                continue;
            }
            if self.bytes.is_empty() {
                return Ok(None);
            }
            let from = place.map_or(0, |place| place + 1);
            let mut line = self.bytes.split_off(from);
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            return Ok(Some((self.begin + from as u64, line)));
        }
    }
}

/// Builds the error for a log whose files were not read completely.
fn incomplete() -> Error {
    let message = "lines may be missing: the log was cut or replaced faster than it was read";
    Error::new(ErrorKind::Incomplete, OPERATION, message)
        .with_hint("read faster, or give the container a larger log (`--log-opt max-size`)")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    const TIME: &str = "2026-11-28T19:17:40.840369628+00:00";

    /// Returns the lines from these positions on, as `output text`.
    fn lines(text: &str, begin: [u64; 2]) -> Vec<String> {
        let (mut found, mut unfinished) = (Vec::new(), [const { None::<String> }; 2]);
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let record = Record::read(line.trim_end_matches('\n').as_bytes()).unwrap();
            let output = record.output as usize;
            if at >= begin[output] {
                unfinished[output].get_or_insert_default().push_str(&line[record.text]);
                if record.is_end {
                    found.extend(unfinished[output].take().map(|text| format!("{output} {text}")));
                }
            }
            at += line.len() as u64;
        }
        let rest = unfinished.into_iter().enumerate();
        found.extend(rest.filter_map(|(output, text)| Some(format!("{output} {}", text?))));
        found
    }

    proptest! {
        #[test]
        fn a_tail_is_the_last_lines_whole(
            records in proptest::collection::vec((any::<bool>(), any::<bool>(), "[a-z]{0,3}"), 0..20),
            count in 0..25_usize,
        ) {
            let mut text = String::new();
            for (is_err, is_end, piece) in &records {
                let (output, tag) = (if *is_err { "stderr" } else { "stdout" }, if *is_end { "F" } else { "P" });
                text.push_str(&[TIME, output, tag, piece].join(" "));
                text.push('\n');
            }
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let (all, found) = (lines(&text, [0; 2]), lines(&text, tail(&file, count as u64).unwrap()));
            prop_assert_eq!(found.len(), all.len().min(count));
            // The tail is chosen by the ends of lines; lines of one output keep their order.
            for output in ["0 ", "1 "] {
                let of = |lines: &[String]| {
                    lines.iter().filter(|line| line.starts_with(output)).cloned().collect::<Vec<_>>()
                };
                prop_assert!(of(&all).ends_with(&of(&found)), "{:?} of {:?}", found, all);
            }
        }
    }
}
