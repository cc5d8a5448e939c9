//! Passing a command's output on while keeping a digest of it, for the close of a long report: who
//! reads only the end of a log still sees why a step failed.

use std::io::{self, Write};
use std::sync::Mutex;

use rt_protocol::sync::lock;

use super::digest::{self, Digest};

/// One of the two outputs of a command, on its way to ours.
pub(super) struct Echo<'a> {
    /// Stands before each line that is passed on.
    label: &'a str,
    digest: &'a Mutex<Digest>,
    to: fn() -> Box<dyn Write>,
    place: digest::Environment,
    line: Vec<u8>,
}

impl<'a> Echo<'a> {
    pub(super) fn to_stdout(label: &'a str, digest: &'a Mutex<Digest>) -> Self {
        Self::new(label, digest, || Box::new(io::stdout()))
    }

    pub(super) fn to_stderr(label: &'a str, digest: &'a Mutex<Digest>) -> Self {
        Self::new(label, digest, || Box::new(io::stderr()))
    }

    fn new(label: &'a str, digest: &'a Mutex<Digest>, to: fn() -> Box<dyn Write>) -> Self {
        Self { label, digest, to, place: digest::Environment::default(), line: Vec::new() }
    }

    fn pass_on(&mut self) {
        // An empty line sets nothing apart among those of other commands.
        if self.label.is_empty() || !self.line.trim_ascii().is_empty() {
            let mut to = (self.to)();
            // One write, so that lines of commands side by side do not mix. A reader of ours that
            // went away is no reason to hold the command up.
            let whole = [self.label.as_bytes(), &self.line].concat();
            let _ = to.write_all(&whole).and_then(|()| to.flush());
        }
        let line = String::from_utf8_lossy(&self.line);
        lock(self.digest).take(&mut self.place, line.trim_end_matches(['\n', '\r']));
        self.line.clear();
    }
}

impl Write for Echo<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.pass_on();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A last line without its end.
impl Drop for Echo<'_> {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.pass_on();
        }
    }
}
