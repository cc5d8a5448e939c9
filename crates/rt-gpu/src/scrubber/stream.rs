//! Scrubs text that arrives in pieces. Holds back only what may be the beginning of a secret.

use std::sync::Arc;

use super::matcher::{Matches, SecretMatcher};
use crate::MASK;

/// How many bytes are searched at once, in addition to those held back.
const BLOCK_BYTES: usize = 64 << 10;

/// How often each byte may be searched, on average. If more bytes than this are held back and more
/// arrive one by one, some searches are deferred.
const MAX_SCANS_PER_BYTE: usize = 64;

/// Scrubs a text that arrives in pieces. Created by [`Scrubber::stream`](crate::Scrubber::stream).
///
/// The result does not depend on where the text was cut. Only the possible beginning of a secret is
/// held back, at most a few times the longest form of a secret. Everything else is passed on at
/// once. Copies 64 KiB at a time. The time grows linearly with the text, whatever the size of the
/// pieces.
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
    /// How many of the held bytes belong to a mask that was already passed on.
    covered: usize,
    /// How many bytes may be searched before more text arrives.
    scan_budget: usize,
}

impl ScrubStream {
    pub(super) fn new(matcher: Arc<SecretMatcher>) -> Self {
        Self { matcher, held: Vec::new(), covered: 0, scan_budget: BLOCK_BYTES }
    }

    /// Takes the next piece and appends what is certain to `clean`.
    pub fn push(&mut self, piece: &[u8], clean: &mut Vec<u8>) {
        for block in piece.chunks(BLOCK_BYTES) {
            self.held.extend_from_slice(block);
            // The held bytes are searched again with each piece. Without a budget, a long secret in
            // tiny pieces would take quadratic time.
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

    /// Appends the rest at the end of the text. Another text may follow.
    pub fn finish(&mut self, clean: &mut Vec<u8>) {
        let matches = self.matcher.find_all(&self.held);
        self.emit(matches, self.held.len(), clean);
    }

    /// Returns how many bytes are held back.
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
        // The held bytes may be the beginning of a secret.
        f.debug_struct("ScrubStream").field("held_back", &self.held.len()).finish_non_exhaustive()
    }
}
