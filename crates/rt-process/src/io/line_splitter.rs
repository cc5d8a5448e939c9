//! Splits a byte stream into lines of bounded length, one chunk at a time.

/// One line without its newline, and how many bytes were cut from its end.
pub(crate) type SplitLine = (Vec<u8>, u64);

/// Splits chunks lazily: it holds one chunk and one unfinished line, never a queue of lines.
#[derive(Debug)]
pub(crate) struct LineSplitter {
    limit: usize,
    chunk: Vec<u8>,
    at: usize,
    line: Vec<u8>,
    omitted: u64,
    /// The unfinished line has begun, even if none of its bytes is kept.
    begun: bool,
}

impl LineSplitter {
    /// Lines keep their first `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, chunk: Vec::new(), at: 0, line: Vec::new(), omitted: 0, begun: false }
    }

    /// Returns whether the chunk is used up, so that the next may come.
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.chunk.len()
    }

    /// Returns the buffer of the last chunk, to be filled again.
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        self.at = 0;
        let mut buffer = std::mem::take(&mut self.chunk);
        buffer.clear();
        buffer
    }

    /// Sets the next chunk. The splitter must be [empty](Self::is_empty).
    pub(crate) fn fill(&mut self, chunk: Vec<u8>) {
        self.chunk = chunk;
        self.at = 0;
    }

    /// Returns the next line that has its newline.
    pub(crate) fn next(&mut self) -> Option<SplitLine> {
        let rest = &self.chunk[self.at..];
        if rest.is_empty() {
            return None;
        }
        let newline = rest.iter().position(|byte| *byte == b'\n');
        let part = &rest[..newline.unwrap_or(rest.len())];
        let kept = part.len().min(self.limit - self.line.len());
        self.line.extend_from_slice(&part[..kept]);
        self.omitted += (part.len() - kept) as u64;
        self.begun = true;
        self.at += part.len() + usize::from(newline.is_some());
        newline.and_then(|_| self.rest())
    }

    /// Returns the unfinished line without a newline, at the end of the stream.
    pub(crate) fn rest(&mut self) -> Option<SplitLine> {
        if !std::mem::take(&mut self.begun) {
            return None;
        }
        Some((std::mem::take(&mut self.line), std::mem::take(&mut self.omitted)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(limit: usize, chunks: &[Vec<u8>]) -> Vec<SplitLine> {
        let mut splitter = LineSplitter::new(limit);
        let mut pieces = Vec::new();
        for chunk in chunks {
            splitter.fill(chunk.clone());
            while !splitter.is_empty() {
                pieces.extend(splitter.next());
            }
        }
        pieces.extend(splitter.rest());
        pieces
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_stream_however_it_was_cut(
            chunks in proptest::collection::vec(proptest::collection::vec(b'\n'..b'\x0e', 0..20), 0..12),
            limit in 0usize..6,
        ) {
            let stream = chunks.concat();
            let mut lines: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
            // A newline ends a line and begins none.
            if lines.last().is_some_and(|last| last.is_empty()) {
                lines.pop();
            }
            let wanted: Vec<SplitLine> = lines
                .iter()
                .map(|line| {
                    let kept = line.len().min(limit);
                    (line[..kept].to_vec(), (line.len() - kept) as u64)
                })
                .collect();
            prop_assert_eq!(cut(limit, &chunks), wanted);
        }
    }

    #[test]
    fn an_empty_line_is_a_line_and_an_empty_stream_is_none() {
        assert_eq!(cut(10, &[]), []);
        assert_eq!(cut(10, &[b"\n\na".to_vec()]), [(vec![], 0), (vec![], 0), (b"a".to_vec(), 0)]);
    }
}
