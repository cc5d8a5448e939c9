//! Scrubbing what is written: a `Write` in front of another.

use std::io::{self, Write};

use super::stream::ScrubStream;

/// Hands on what is written to it, masked: made by [`Scrubber::writer`](crate::Scrubber::writer).
///
/// [`flush`](Write::flush) flushes the writer behind, and does not hand on what may be the beginning of a secret; only
/// [`finish`](Self::finish) does. Dropping it without that tries the same and forgets errors.
#[derive(Debug)]
pub struct ScrubWriter<W: Write> {
    stream: ScrubStream,
    clean: Vec<u8>,
    /// `None` once it is given back.
    inner: Option<W>,
}

impl<W: Write> ScrubWriter<W> {
    pub(super) fn new(stream: ScrubStream, inner: W) -> Self {
        Self { stream, clean: Vec::new(), inner: Some(inner) }
    }

    /// Writes the rest, flushes, and gives the writer behind back.
    ///
    /// # Errors
    /// What the writer behind answers; it is lost then.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_all_and_flush()?;
        self.inner.take().ok_or_else(|| io::Error::other("it is finished"))
    }

    fn write_all_and_flush(&mut self) -> io::Result<()> {
        self.stream.finish(&mut self.clean);
        self.write_pending()?;
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }

    /// What could not be written stays, and is tried again.
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
        // First what is left of an earlier call: an error then means that nothing of these bytes was taken.
        self.write_pending()?;
        self.stream.push(bytes, &mut self.clean);
        match self.write_pending() {
            // They are taken; the next call tells.
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
