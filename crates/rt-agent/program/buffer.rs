//! Bytes that one side has sent and the other has not taken.

use crate::kernel::{self, Errno, Fd};

/// A buffer of a fixed size.
pub(crate) struct Buffer {
    bytes: &'static mut [u8],
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn new(size: usize) -> Result<Self, Errno> {
        Ok(Self { bytes: kernel::allocate(size)?, start: 0, end: 0 })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Returns how many bytes more it takes.
    pub(crate) fn room(&self) -> usize {
        self.bytes.len() - (self.end - self.start)
    }

    /// Returns the free part after the bytes, with this many if there is room.
    pub(crate) fn free(&mut self, wanted: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < wanted {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Adds what was written to the start of the free part.
    pub(crate) fn grow(&mut self, count: usize) {
        self.end = self.bytes.len().min(self.end + count);
    }

    /// Removes bytes from the start.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
        if self.is_empty() {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Adds bytes, and returns whether they had room.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        if self.room() < bytes.len() {
            return false;
        }
        for (place, byte) in self.free(bytes.len()).iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.grow(bytes.len());
        true
    }

    /// Reads once, and returns how many bytes came. It must not be full.
    pub(crate) fn fill(&mut self, from: Fd) -> Result<usize, Errno> {
        let count = kernel::read(from, self.free(1))?;
        self.grow(count);
        Ok(count)
    }

    /// Writes what it holds, as far as that is taken.
    pub(crate) fn drain(&mut self, to: Fd) -> Result<(), Errno> {
        while !self.is_empty() {
            let count = kernel::write(to, self.bytes())?;
            self.consume(count);
        }
        Ok(())
    }
}
