//! A stream of the caller that fails.

use std::io::{self, Read, Write};

/// Fails whatever is asked of it.
pub(crate) struct FailingStream;

fn failed<T>() -> io::Result<T> {
    Err(io::Error::other("the suite's stream has failed"))
}

impl Read for FailingStream {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        failed()
    }
}

impl Write for FailingStream {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        failed()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
