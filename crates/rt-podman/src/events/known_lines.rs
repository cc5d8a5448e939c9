//! The lines of podman's log of events that are known, by their digests. No clock decides what is new.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many lines are known again when podman tells them twice, unless its log has more. Its log has a megabyte unless
/// somebody wants more, and no line is shorter than a hundred bytes.
const REMEMBERED: usize = 64 << 10;

/// The lines that podman gave last. Lines have nanoseconds and an id, so that no two events are told by the same line.
#[derive(Debug, Default)]
pub(super) struct KnownLines {
    /// Whether a line stood in the log when the stream was made, and has not come in the stream yet.
    lines: HashMap<u64, bool>,
    order: VecDeque<u64>,
    /// How many lines stood in the log.
    before: usize,
}

/// What is known of a line that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    New,
    /// It stood in the log when the stream was made.
    Before,
    Told,
}

impl KnownLines {
    /// Adds a line that stands in the log when the stream is made.
    pub(super) fn add(&mut self, line: &[u8]) {
        let digest = digest(line);
        if self.lines.insert(digest, true).is_none() {
            self.order.push_back(digest);
            self.before += 1;
        }
    }

    /// The last line.
    pub(super) fn last(&self) -> Option<u64> {
        self.order.back().copied()
    }

    /// The line's digest, and what was known of it before it came in the stream.
    pub(super) fn meet(&mut self, line: &[u8]) -> (u64, Known) {
        let digest = digest(line);
        match self.lines.insert(digest, false) {
            Some(true) => return (digest, Known::Before),
            Some(false) => return (digest, Known::Told),
            None => self.order.push_back(digest),
        }
        if self.order.len() > REMEMBERED.max(2 * self.before)
            && let Some(oldest) = self.order.pop_front()
        {
            self.lines.remove(&oldest);
        }
        (digest, Known::New)
    }
}

fn digest(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_are_forgotten_first() {
        let mut known = KnownLines::default();
        let mut meet = |number: usize| known.meet(number.to_string().as_bytes()).1;
        assert!((0..=REMEMBERED).all(|one| meet(one) == Known::New));
        assert_eq!((meet(1), meet(REMEMBERED), meet(0)), (Known::Told, Known::Told, Known::New));
        assert_eq!((known.lines.len(), known.order.len()), (REMEMBERED, REMEMBERED));
    }
}
