//! The log of a container from the file that conmon writes (log drivers `k8s-file` and `json-file`).
//!
//! podman's own follower reads the same file, and loses lines: it stops 250 ms after the container, whatever is unread,
//! and drops what stood in a file that was replaced (seen on 4.3.1 and 5.4.2). Without following, a podman 4.3 that gets
//! TERM leaves with 0 in the middle of the log.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rt_process::{FollowedFile, Growth, procfs};
use rt_protocol::{Error, ErrorKind, LogLine, LogOptions, OutputStream, Pull, Result, Until};

use super::own_line::{DROPPED_AFTER_THE_END, OPERATION};
use super::record::Record;
use crate::state::inspect::Inspected;

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;

/// The longest record: conmon ends one after 8 KiB.
const LONGEST_RECORD: usize = 1 << 20;

/// Lines of a log that grows.
#[derive(Debug)]
pub(crate) struct LogFile {
    from: From,
    options: LogOptions,
    is_terminal: bool,
    /// Bytes that were read; up to `used` they were taken.
    bytes: Vec<u8>,
    used: usize,
    /// Where `bytes` ends in the file.
    position: u64,
    /// Records of stdout and of stderr before these places belong to no line of the tail.
    begin: [u64; 2],
    /// What a follower finds from here on was written since it began, whatever its time: clocks are set.
    new: u64,
    /// Whether a record of exactly the time that was asked for has come.
    is_at_since: bool,
    unfinished: [Option<LogLine>; 2],
    /// Outputs whose last record ended with the carriage return of a terminal, perhaps before the end of the line.
    returned: [bool; 2],
    has_gap: bool,
    growth: Growth,
}

/// What is read.
#[derive(Debug)]
enum From {
    /// A file that grows, to its writer's end.
    Growing(FollowedFile),
    /// A file up to what it held when it was opened.
    Whole { file: File, end: u64 },
}

impl LogFile {
    /// Opens the log of a container that runs, to be followed. `None` where it cannot be followed so: another log driver,
    /// another machine, a container that has ended meanwhile.
    pub(crate) fn follow(found: &Inspected, options: &LogOptions) -> Option<Self> {
        let path = path(found)?;
        let conmon = procfs::entry(found.conmon_pid?).ok()??;
        // podman may be on another machine or in another namespace, where that number is somebody else's.
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

    /// Opens what has been written so far. `None` where there is no such file here.
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

    /// A line of which no more will come.
    fn take_unfinished(&mut self) -> Option<LogLine> {
        let mut line = self.unfinished.iter_mut().find_map(Option::take)?;
        if std::mem::take(&mut self.returned[index(line.stream)]) {
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
            // The rest of a record went with its file; places count in the first file alone.
            self.bytes.clear();
            (self.begin, self.new) = ([0; 2], 0);
        }
        Ok(())
    }

    /// The next record that is there as a whole, and where it begins.
    fn next_record(&mut self) -> Option<(Record, u64)> {
        loop {
            let bytes = &self.bytes[self.used..];
            let length = bytes.iter().position(|byte| *byte == b'\n')?;
            let at = self.position - bytes.len() as u64;
            let range = self.used..self.used + length;
            self.used += length + 1;
            // Like podman, which leaves out what is no record.
            if let Some(record) = Record::read(&self.bytes[range.clone()]) {
                return Some((record.after(range.start), at));
            }
        }
    }

    /// The line that a record ends, if it is one that was asked for.
    fn take(&mut self, record: Record, at: u64) -> Option<LogLine> {
        let output = record.output;
        if at < self.begin[index(output)] || !self.options.wants(output) {
            return None;
        }
        let time = self.options.since.is_some() || self.options.timestamps;
        let time = time.then(|| record.time(&self.bytes)).flatten();
        // As podman does: each record for itself, and one of exactly that time is not of after it. What stands behind that
        // one is, though.
        if let (Some(since), Some(time)) = (self.options.since, time)
            && time <= since
            && at < self.new
            && !(self.is_at_since && time < since)
        {
            self.is_at_since |= time == since;
            return None;
        }
        let line = self.unfinished[index(output)].get_or_insert_with(|| LogLine::new(output, Vec::new()));
        if self.options.timestamps && line.timestamp.is_none() {
            line.timestamp = time;
        }
        let mut text = &self.bytes[record.text.clone()];
        if self.is_terminal {
            // A terminal makes `\r\n` of every `\n`, and conmon may end a record between the two.
            if std::mem::take(&mut self.returned[index(output)]) && !(record.is_end && text.is_empty()) {
                append(line, b"\r", self.options.max_line_bytes);
            }
            if let Some(before) = text.strip_suffix(b"\r") {
                text = before;
                self.returned[index(output)] = !record.is_end;
            }
        }
        append(line, text, self.options.max_line_bytes);
        if record.is_end { self.unfinished[index(output)].take() } else { None }
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

/// The file that conmon writes, as far as its path tells whose it is: podman may be on another machine.
fn path(found: &Inspected) -> Option<&Path> {
    let path = found.log_path.as_deref()?;
    (path.starts_with('/') && path.contains(found.info.id.as_str())).then(|| Path::new(path))
}

/// Where the lines that are asked for begin, for stdout and for stderr.
fn begin(file: &File, options: &LogOptions) -> io::Result<[u64; 2]> {
    options.tail.map_or(Ok([0; 2]), |lines| tail(file, lines))
}

fn append(line: &mut LogLine, text: &[u8], max_line_bytes: usize) {
    let kept = text.len().min(max_line_bytes.saturating_sub(line.bytes.len()));
    line.bytes.extend_from_slice(&text[..kept]);
    line.omitted += (text.len() - kept) as u64;
}

fn index(output: OutputStream) -> usize {
    match output {
        OutputStream::Stdout => 0,
        OutputStream::Stderr => 1,
    }
}

/// Where the last `lines` lines of the file begin, for stdout and for stderr: a line may be several records, with records
/// of the other output between them.
fn tail(file: &File, lines: u64) -> io::Result<[u64; 2]> {
    let end = file.metadata()?.len();
    let mut walk = Walk { file, begin: end, bytes: Vec::new() };
    let mut begin = [end; 2];
    let mut counted = 0;
    // Whether the line that was met last, going back, is one of the tail; `None` before the first.
    let mut wanted = [None; 2];
    while let Some((at, line)) = walk.previous()? {
        let Some(record) = Record::read(&line) else { continue };
        let output = index(record.output);
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
    /// Where `bytes` begins in the file.
    begin: u64,
    bytes: Vec<u8>,
}

impl Walk<'_> {
    /// A line without its end, and where it begins.
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

/// The end of a log of which not all was read.
pub(crate) fn incomplete() -> Error {
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

    /// The lines that stand from these places on, as `output text`.
    fn lines(text: &str, begin: [u64; 2]) -> Vec<String> {
        let (mut found, mut unfinished) = (Vec::new(), [const { None::<String> }; 2]);
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let record = Record::read(line.trim_end_matches('\n').as_bytes()).unwrap();
            let output = index(record.output);
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
            // Which lines are last is told by their ends; those of one output keep their order.
            for output in ["0 ", "1 "] {
                let of = |lines: &[String]| {
                    lines.iter().filter(|line| line.starts_with(output)).cloned().collect::<Vec<_>>()
                };
                prop_assert!(of(&all).ends_with(&of(&found)), "{:?} of {:?}", found, all);
            }
        }
    }
}
