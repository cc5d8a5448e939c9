//! The log of a container: how its supervisor writes it, and `podman logs`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::time::{self, Nanos};

/// A log in the form `TIME STREAM F|P TEXT`: F ends a line, P is a piece of one.
#[derive(Debug)]
pub(crate) struct LogFile(File);

impl LogFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(File::options().create(true).append(true).open(path)?))
    }

    /// Writes what came in one read. A piece that ends without a line end is marked as one.
    pub(crate) fn write(&mut self, stream: &str, bytes: &[u8]) -> io::Result<()> {
        let time = time::rfc3339_padded(time::now());
        let mut entries = Vec::with_capacity(bytes.len() + 64);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (mark, text) = piece.strip_suffix(b"\n").map_or(('P', piece), |text| ('F', text));
            entries.extend(format!("{time} {stream} {mark} ").into_bytes());
            entries.extend(text);
            entries.push(b'\n');
        }
        self.0.write_all(&entries)
    }
}

/// One entry of the file.
#[derive(Clone, Debug)]
struct Entry {
    time: String,
    to_stderr: bool,
    ends_line: bool,
    text: Vec<u8>,
}

impl Entry {
    fn read(line: &[u8]) -> Option<Self> {
        let mut fields = line.strip_suffix(b"\n")?.splitn(4, |byte| *byte == b' ');
        let mut word = || Some(String::from_utf8_lossy(fields.next()?).into_owned());
        let (time, stream, mark) = (word()?, word()?, word()?);
        let text = fields.next()?.to_vec();
        Some(Self { time, to_stderr: stream == "stderr", ends_line: mark == "F", text })
    }

    fn at(&self) -> Nanos {
        time::point(&self.time).unwrap_or_default()
    }
}

/// Prints entries where the container printed them.
struct Printer {
    timestamps: bool,
}

impl Printer {
    /// If the reader has closed the pipe, the call ends, as SIGPIPE would end it.
    fn print(&self, entry: &Entry) -> Result<(), Answer> {
        let mut bytes = Vec::with_capacity(entry.text.len() + 40);
        // Before each piece: a line of several pieces contains a time before each, as podman prints
        // it.
        if self.timestamps {
            bytes.extend(entry.time.as_bytes());
            bytes.push(b' ');
        }
        bytes.extend(&entry.text);
        if entry.ends_line {
            bytes.push(b'\n');
        }
        let printed = if entry.to_stderr {
            io::stderr().write_all(&bytes)
        } else {
            io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush())
        };
        printed.map_err(|_| Answer::code(1))
    }
}

/// The file from its beginning, entry by entry; it may grow.
struct Reader {
    file: BufReader<File>,
    partial: Vec<u8>,
}

impl Reader {
    /// `None` at the end, for now.
    fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            self.file.read_until(b'\n', &mut self.partial)?;
            if self.partial.last() != Some(&b'\n') {
                return Ok(None);
            }
            let entry = Entry::read(&self.partial);
            self.partial.clear();
            if entry.is_some() {
                return Ok(entry);
            }
        }
    }
}

/// From look to look of a follower.
const STEP: Duration = Duration::from_millis(20);

pub(crate) fn logs(call: &Call) -> Reply {
    let container = call.store.require(&call.store.lock()?, &call.profile, call.operand()?)?;
    if container.log_driver == "none" {
        return Err(call.profile.refusal("logs-none", &[]));
    }
    let since = match call.words.value("since") {
        None => 0,
        Some(value) => {
            time::point(value).ok_or_else(|| call.profile.refusal("logs-bad-since", &[("value", value)]))?
        }
    };
    let tail = call.words.value("tail").and_then(|count| count.parse::<usize>().ok());
    read(call, &container.id, since, tail, call.words.has("follow"), call.words.has("timestamps"))
}

/// Shows the whole log and what is added to it, until the container has stopped.
pub(crate) fn follow(call: &Call, id: &str) -> Reply {
    read(call, id, 0, None, true, false)
}

fn read(call: &Call, id: &str, since: Nanos, tail: Option<usize>, follow: bool, timestamps: bool) -> Reply {
    let is_alive = || -> Result<bool, Answer> {
        let container = call.store.container(&call.store.lock()?, id)?;
        Ok(container.is_some_and(|container| container.state.status.is_alive()))
    };
    let mut alive = follow && is_alive()?;
    let Ok(file) = File::options().read(true).create(true).append(true).open(call.store.log_file(id)) else {
        // Removed in between.
        return Ok(Answer::silent());
    };
    let mut reader = Reader { file: BufReader::new(file), partial: Vec::new() };
    let printer = Printer { timestamps };
    let mut kept = VecDeque::new();
    while let Some(entry) = reader.next()? {
        if entry.at() < since {
            continue;
        }
        match tail {
            None => printer.print(&entry)?,
            Some(count) => keep(&mut kept, entry, count),
        }
    }
    for entry in kept {
        printer.print(&entry)?;
    }
    while alive {
        std::thread::sleep(STEP);
        // Looked at before the file, so that what was written last is seen.
        alive = is_alive()?;
        while let Some(entry) = reader.next()? {
            if entry.at() >= since {
                printer.print(&entry)?;
            }
        }
    }
    Ok(Answer::silent())
}

/// Keeps the last `count` lines; pieces belong to the line that they begin.
fn keep(kept: &mut VecDeque<Entry>, entry: Entry, count: usize) {
    kept.push_back(entry);
    let lines = |kept: &VecDeque<Entry>| {
        let ended = kept.iter().filter(|entry| entry.ends_line).count();
        ended + usize::from(kept.back().is_some_and(|entry| !entry.ends_line))
    };
    while lines(kept) > count {
        while kept.pop_front().is_some_and(|entry| !entry.ends_line) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_marked_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = LogFile::open(&path).unwrap();
        log.write("stdout", b"one\n\ntw").unwrap();
        log.write("stderr", b"wrong \xff\n").unwrap();
        log.write("stdout", b"o\nlast").unwrap();
        let mut reader = Reader { file: BufReader::new(File::open(path).unwrap()), partial: Vec::new() };
        let mut seen = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            seen.push((entry.to_stderr, entry.ends_line, entry.text));
        }
        let expected: [(bool, bool, &[u8]); 6] = [
            (false, true, b"one"),
            (false, true, b""),
            (false, false, b"tw"),
            (true, true, b"wrong \xff"),
            (false, true, b"o"),
            (false, false, b"last"),
        ];
        assert_eq!(seen, expected.map(|(error, ends, text)| (error, ends, text.to_vec())));
    }
}
