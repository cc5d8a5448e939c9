//! A pipe that somebody reads, as a shell's `| cat >/dev/null` does.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::thread::{self, JoinHandle};

use crate::bench::outcome::Outcome;

/// `cat` of coreutils reads so much at a time; the buffer of `io::copy` is much smaller, and its
/// reads would be measured.
const BUFFER: usize = 128 << 10;

/// The end to write to, and the thread that reads the other one until nobody writes any more.
pub(super) fn emptied() -> Outcome<(PipeWriter, Emptying)> {
    let (reader, writer) = io::pipe()?;
    Ok((writer, Emptying(thread::spawn(move || read_all(reader)))))
}

/// The thread that reads.
#[derive(Debug)]
pub(super) struct Emptying(JoinHandle<io::Result<u64>>);

impl Emptying {
    /// How many bytes it has read in all.
    pub(super) fn bytes(self) -> Outcome<u64> {
        Ok(self.0.join().map_err(|_| "the reader panicked")??)
    }
}

fn read_all(mut reader: PipeReader) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(bytes),
            count => bytes += count as u64,
        }
    }
}
