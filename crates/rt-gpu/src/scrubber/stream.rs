//! Scrubbing a text that comes in pieces: what is held back until its end is known, and nothing more.

use crate::MASK;
use crate::scrubber::{Scrubber, Seen};

/// How much is looked at in one go, in bytes, beside what is held back.
const BLOCK: usize = 64 << 10;

/// How often each byte may be looked at, on the average. Only where more than this many bytes are held back and more come
/// one by one, some of them wait for the next.
const LOOKS: usize = 64;

/// A text that comes in pieces, scrubbed: made by [`Scrubber::stream`].
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
    scrubber: Scrubber,
    held: Vec<u8>,
    /// How many of the held bytes belong to a mask that is handed on already.
    covered: usize,
    /// How many bytes may be looked at before more text must come.
    credit: usize,
}

impl ScrubStream {
    pub(super) fn new(scrubber: Scrubber) -> Self {
        Self { scrubber, held: Vec::new(), covered: 0, credit: BLOCK }
    }

    /// Takes the next piece and appends to `clean` what is certain.
    pub fn push(&mut self, piece: &[u8], clean: &mut Vec<u8>) {
        for block in piece.chunks(BLOCK) {
            self.held.extend_from_slice(block);
            // What is held back is looked at again with each piece. Were that free, a long secret in tiny pieces would cost
            // the square of its length.
            self.credit = self.credit.saturating_add(block.len().saturating_mul(LOOKS));
            if self.credit < self.held.len() {
                continue;
            }
            let seen = self.scrubber.look(&self.held);
            self.credit = self.credit.saturating_sub(seen.work);
            let certain = seen.open;
            self.hand_on(seen, certain, clean);
        }
    }

    /// Appends the rest: the text has ended. A next text can follow.
    pub fn finish(&mut self, clean: &mut Vec<u8>) {
        let seen = self.scrubber.look(&self.held);
        self.hand_on(seen, self.held.len(), clean);
    }

    /// How many bytes are held back.
    pub fn held_back(&self) -> usize {
        self.held.len()
    }

    fn hand_on(&mut self, seen: Seen, certain: usize, clean: &mut Vec<u8>) {
        let mut covered = self.covered;
        let mut kept = covered.min(certain);
        for find in seen.finds.into_iter().take_while(|find| find.start < certain) {
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
