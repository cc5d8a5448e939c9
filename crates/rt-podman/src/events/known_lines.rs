//! The known lines of podman's event log, by their digests. No clock decides what is new.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many lines are remembered, to recognise repeated ones, unless podman's log has more. The
/// default log has a megabyte, and no line is shorter than a hundred bytes.
const REMEMBERED: usize = 64 << 10;

/// The last lines from podman. Lines contain nanoseconds and an id, so no two events have the same
/// line.
#[derive(Debug, Default)]
pub(super) struct KnownLines {
    /// Whether a line was in the log when the stream was opened, and has not come in the stream
    /// yet.
    lines: HashMap<u64, bool>,
    order: VecDeque<u64>,
    /// How many lines were in the log.
    before: usize,
}

/// What is known about a line that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    New,
    /// It was in the log when the stream was opened.
    Before,
    Told,
}

impl KnownLines {
    /// Adds a line that is in the log when the stream is opened.
    pub(super) fn add(&mut self, line: &[u8]) {
        let digest = digest(line);
        if self.lines.insert(digest, true).is_none() {
            self.order.push_back(digest);
            self.before += 1;
        }
    }

    /// Returns the last line.
    pub(super) fn last(&self) -> Option<u64> {
        self.order.back().copied()
    }

    /// Returns the line's digest, and what was known about it before it came in the stream.
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
