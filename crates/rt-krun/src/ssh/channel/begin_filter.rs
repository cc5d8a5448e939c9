//! Finds the start of a command's output. The caller does not see what start-up files and sshd's
//! scripts print before it.
//!
//! sshd runs `~/.ssh/rc`, a `ForceCommand` and the login shell with its start-up files on the
//! streams of the command, so their output comes before the first byte of the command. The remote
//! script writes a line with a number that only this request has (`FailureSentinel::begin_line`)
//! on both streams, right before it becomes the command. A guest that writes this line elsewhere
//! only harms its own output.

/// How much of the skipped bytes is kept for the log.
const SHOWN: usize = 256;

/// Finds the line in one stream.
#[derive(Debug)]
pub(crate) struct BeginFilter {
    line: Vec<u8>,
    /// The last bytes, which may be the beginning of the line. Shorter than the line.
    held: Vec<u8>,
    /// The first of the skipped bytes.
    first: Vec<u8>,
    skipped: u64,
    has_begun: bool,
}

impl BeginFilter {
    pub(crate) fn new(line: String) -> Self {
        Self { line: line.into_bytes(), held: Vec::new(), first: Vec::new(), skipped: 0, has_begun: false }
    }

    /// Splits the next bytes into those before the command's output and those of it. The line
    /// itself is dropped.
    pub(crate) fn split<'b>(&mut self, bytes: &'b [u8], skip: &mut dyn FnMut(&[u8])) -> &'b [u8] {
        if self.has_begun {
            return bytes;
        }
        // The line may have begun in earlier bytes.
        let carried = self.held.len();
        self.held.extend_from_slice(bytes);
        let found = self.held.windows(self.line.len()).position(|window| window == self.line);
        let kept = self.held.split_off(found.unwrap_or_else(|| {
            let longest = self.held.len().min(self.line.len() - 1);
            self.held.len() - longest
        }));
        let passed = std::mem::replace(&mut self.held, kept);
        self.note(&passed);
        skip(&passed);
        match found {
            Some(at) => {
                self.has_begun = true;
                self.held = Vec::new();
                // The carried bytes contain no complete line, so the line ends within these bytes.
                &bytes[at + self.line.len() - carried..]
            }
            None => &[],
        }
    }

    /// Ends the stream: the bytes that were held back are not output either.
    pub(crate) fn finish(&mut self, skip: &mut dyn FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        self.note(&held);
        skip(&held);
    }

    /// Returns whether the command's own output has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Returns how many bytes were skipped, and the first of them.
    pub(crate) fn skipped(&self) -> (u64, &[u8]) {
        (self.skipped, &self.first)
    }

    fn note(&mut self, bytes: &[u8]) {
        self.skipped += bytes.len() as u64;
        let room = SHOWN - self.first.len();
        self.first.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "rt-00ff b\n";

    /// Returns the skipped and the passed bytes of a stream that arrives in these pieces.
    fn pass(filter: &mut BeginFilter, pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
        let (mut skipped, mut passed) = (Vec::new(), Vec::new());
        for piece in pieces {
            passed.extend_from_slice(filter.split(piece, &mut |bytes| skipped.extend_from_slice(bytes)));
        }
        filter.finish(&mut |bytes| skipped.extend_from_slice(bytes));
        (skipped, passed)
    }

    proptest! {
        #[test]
        fn only_what_stands_before_the_line_is_skipped(
            before in "(rt-00ff |rt-|b\n|[a-z\n]){0,12}",
            after in "(rt-00ff b\n|[a-z\n]){0,12}",
            cuts in proptest::collection::vec(0usize..100, 0..8),
        ) {
            let stream = format!("{before}{LINE}{after}");
            let begin = stream.find(LINE).unwrap();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream.as_bytes()[pair[0]..pair[1]]).collect();
            let mut filter = BeginFilter::new(LINE.into());
            let (skipped, passed) = pass(&mut filter, &pieces);
            prop_assert!(filter.has_begun());
            prop_assert_eq!(&skipped[..], &stream.as_bytes()[..begin]);
            prop_assert_eq!(&passed[..], &stream.as_bytes()[begin + LINE.len()..]);
            prop_assert_eq!(filter.skipped().0, begin as u64);
        }
    }

    #[test]
    fn a_stream_without_the_line_is_skipped_in_bounded_memory() {
        let mut filter = BeginFilter::new(LINE.into());
        let noise = vec![b'r'; 100_000];
        let (skipped, passed) = pass(&mut filter, &[&noise, &noise]);
        assert_eq!((skipped.len(), passed.len(), filter.has_begun()), (200_000, 0, false));
        assert_eq!((filter.skipped().0, filter.skipped().1.len()), (200_000, SHOWN));
    }
}
