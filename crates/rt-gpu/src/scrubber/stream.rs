//! Scrubbing a text that comes in pieces: what is held back until its end is known, and nothing more.

use std::sync::Arc;

use super::matcher::{Matches, SecretMatcher};
use crate::MASK;

/// How much is looked at in one go, in bytes, beside what is held back.
const BLOCK_BYTES: usize = 64 << 10;

/// How often each byte may be looked at, on the average. Only where more than this many bytes are held back and more come
/// one by one, some of them wait for the next.
const MAX_SCANS_PER_BYTE: usize = 64;

/// A text that comes in pieces, scrubbed: made by [`Scrubber::stream`](crate::Scrubber::stream).
///
/// The result does not depend on how the text was cut. Held back is only what may be the beginning of a secret: a line that
/// ends like none is handed on at once. Held back are at most some times the longest form of a secret, and 64 KiB are
/// copied at a time. What a text costs grows with its length, in whatever pieces it comes.
///
/// ```
/// let mut stream = rt_gpu::Scrubber::new(&["hunter2".into()]).stream();
/// let mut clean = Vec::new();
/// stream.push(b"the word is hun", &mut clean);
/// assert_eq!(clean, b"the word is ");
/// stream.push(b"ter2, really", &mut clean);
/// stream.finish(&mut clean);
/// assert_eq!(clean, b"the word is <redacted>, really");
/// ```
#[derive(Clone)]
#[must_use = "a stream does nothing until something is pushed"]
pub struct ScrubStream {
    matcher: Arc<SecretMatcher>,
    held: Vec<u8>,
    /// How many of the held bytes belong to a mask that is handed on already.
    covered: usize,
    /// How many bytes may be looked at before more text must come.
    scan_budget: usize,
}

impl ScrubStream {
    pub(super) fn new(matcher: Arc<SecretMatcher>) -> Self {
        Self { matcher, held: Vec::new(), covered: 0, scan_budget: BLOCK_BYTES }
    }

    /// Takes the next piece and appends to `clean` what is certain.
    pub fn push(&mut self, piece: &[u8], clean: &mut Vec<u8>) {
        for block in piece.chunks(BLOCK_BYTES) {
            self.held.extend_from_slice(block);
            // What is held back is looked at again with each piece. Were that free, a long secret in tiny pieces would cost
            // the square of its length.
            self.scan_budget =
                self.scan_budget.saturating_add(block.len().saturating_mul(MAX_SCANS_PER_BYTE));
            if self.scan_budget < self.held.len() {
                continue;
            }
            let matches = self.matcher.find_all(&self.held);
            self.scan_budget = self.scan_budget.saturating_sub(matches.work);
            let certain = matches.open;
            self.emit(matches, certain, clean);
        }
    }

    /// Appends the rest: the text has ended. A next text can follow.
    pub fn finish(&mut self, clean: &mut Vec<u8>) {
        let matches = self.matcher.find_all(&self.held);
        self.emit(matches, self.held.len(), clean);
    }

    /// How many bytes are held back.
    pub fn held_back(&self) -> usize {
        self.held.len()
    }

    fn emit(&mut self, matches: Matches, certain: usize, clean: &mut Vec<u8>) {
        let mut covered = self.covered;
        let mut kept = covered.min(certain);
        for find in matches.finds.into_iter().take_while(|find| find.start < certain) {
            if find.start >= covered {
                clean.extend_from_slice(&self.held[kept..find.start]);
                clean.extend_from_slice(MASK.as_bytes());
            }
            covered = covered.max(find.end);
            kept = covered.min(certain);
        }
        clean.extend_from_slice(&self.held[kept..certain]);
        self.held.drain(..certain);
        self.covered = covered.saturating_sub(certain);
    }
}

impl std::fmt::Debug for ScrubStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is held may be the beginning of a secret.
        f.debug_struct("ScrubStream").field("held_back", &self.held.len()).finish_non_exhaustive()
    }
}
