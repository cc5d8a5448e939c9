//! Scrubs what is written: a `Write` in front of another one.

use std::io::{self, Write};

use super::stream::ScrubStream;

/// Masks what is written to it and passes it on to another writer. Created by
/// [`Scrubber::writer`](crate::Scrubber::writer).
///
/// [`flush`](Write::flush) flushes the inner writer, but keeps what may be the beginning of a
/// secret. [`finish`](Self::finish) writes that too. Dropping the writer does the same as `finish`,
/// but ignores errors.
#[derive(Debug)]
pub struct ScrubWriter<W: Write> {
    stream: ScrubStream,
    clean: Vec<u8>,
    /// `None` after `finish`.
    inner: Option<W>,
}

impl<W: Write> ScrubWriter<W> {
    pub(super) fn new(stream: ScrubStream, inner: W) -> Self {
        Self { stream, clean: Vec::new(), inner: Some(inner) }
    }

    /// Writes the rest, flushes, and returns the inner writer.
    ///
    /// # Errors
    /// The error of the inner writer, which is then dropped.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_all_and_flush()?;
        self.inner.take().ok_or_else(|| io::Error::other("it is finished"))
    }

    fn write_all_and_flush(&mut self) -> io::Result<()> {
        self.stream.finish(&mut self.clean);
        self.write_pending()?;
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }

    /// Keeps what could not be written, for the next attempt.
    fn write_pending(&mut self) -> io::Result<()> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        let mut written = 0;
        let result = loop {
            if written == self.clean.len() {
                break Ok(());
            }
            match inner.write(&self.clean[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.clean.drain(..written);
        result
    }
}

impl<W: Write> Write for ScrubWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Writes the rest of an earlier call first, so that an error means that none of these bytes
        // was taken.
        self.write_pending()?;
        self.stream.push(bytes, &mut self.clean);
        match self.write_pending() {
            // The bytes are taken; the next call reports the error.
            Ok(()) | Err(_) => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_pending()?;
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write> Drop for ScrubWriter<W> {
    fn drop(&mut self) {
        if self.inner.is_some() {
            let _ = self.write_all_and_flush();
        }
    }
}
