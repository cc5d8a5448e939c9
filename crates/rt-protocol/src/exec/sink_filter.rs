//! What happens to an output on its way to a sink: the limit of a request, and copies.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::sync::lock;
use crate::{Capture, CapturedOutput, OutputLimit, StreamEnd};

/// The copy of a command's output that [`Sink::tee`](crate::Sink::tee) keeps.
pub struct TeeCapture(Arc<Mutex<CopyState>>);

struct CopyState {
    limit: OutputLimit,
    capture: Capture,
    end: StreamEnd,
}

impl TeeCapture {
    fn new(limit: OutputLimit) -> Self {
        let state = CopyState { limit, capture: Capture::new(limit), end: StreamEnd::Stopped };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Takes the copy, and leaves an empty one.
    ///
    /// After the call, its [end](CapturedOutput::end) is that of the
    /// [`StreamReport`](crate::StreamReport). Before that, the copy has what arrived so far, and
    /// [`StreamEnd::Stopped`] as its end.
    pub fn take(&self) -> CapturedOutput {
        let mut state = lock(&self.0);
        let empty = Capture::new(state.limit);
        std::mem::replace(&mut state.capture, empty).finish(state.end)
    }

    fn push(&self, bytes: &[u8]) {
        lock(&self.0).capture.push(bytes);
    }

    pub(crate) fn set_end(&self, end: StreamEnd) {
        lock(&self.0).end = end;
    }

    pub(crate) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Omits the bytes, which may contain anything.
impl fmt::Debug for TeeCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeeCapture").field("total", &lock(&self.0).capture.total()).finish_non_exhaustive()
    }
}

/// The limit and the copies of a [`Sink`](crate::Sink); for backends, see
/// [`Sink::into_parts`](crate::Sink::into_parts).
///
/// A backend gives each chunk of the output to [`apply`](Self::apply), and writes what is left of
/// it. At the end of the output it writes what [`finish`](Self::finish) returns. It reports
/// [`omitted`](Self::omitted).
///
/// The default changes nothing.
#[derive(Debug, Default)]
pub struct SinkFilter {
    layers: Vec<Layer>,
}

#[derive(Debug)]
enum Layer {
    Copy(TeeCapture),
    Limit(LimitedOutput),
}

/// Passes on the head of an output as it arrives, and its tail at the end.
#[derive(Debug)]
struct LimitedOutput {
    /// How many bytes of the head are still to come.
    room: usize,
    tail: Capture,
    /// The bytes that were dropped, once the output has ended.
    omitted: u64,
}

impl SinkFilter {
    pub(crate) fn copying(limit: OutputLimit) -> (Self, TeeCapture) {
        let copy = TeeCapture::new(limit);
        (Self { layers: vec![Layer::Copy(copy.share())] }, copy)
    }

    pub(crate) fn limiting(limit: OutputLimit) -> Self {
        let tail = Capture::new(OutputLimit::head_and_tail(0, limit.tail()));
        let limited = LimitedOutput { room: limit.head(), tail, omitted: 0 };
        Self { layers: vec![Layer::Limit(limited)] }
    }

    /// Puts `inner` between this filter and the sink.
    pub(crate) fn then(mut self, inner: Self) -> Self {
        self.layers.extend(inner.layers);
        self
    }

    pub(crate) fn copies(&self) -> impl Iterator<Item = &TeeCapture> {
        self.layers.iter().filter_map(|layer| match layer {
            Layer::Copy(copy) => Some(copy),
            Layer::Limit(_) => None,
        })
    }

    /// Returns whether it changes nothing and keeps no copy.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Returns whether it can drop or hold back bytes. Otherwise [`apply`](Self::apply) only copies
    /// them.
    pub fn is_limited(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer, Layer::Limit(_)))
    }

    /// Reduces the next chunk of the output to what the sink gets now; possibly nothing.
    pub fn apply(&mut self, chunk: &mut Vec<u8>) {
        for layer in &mut self.layers {
            match layer {
                Layer::Copy(copy) => copy.push(chunk),
                Layer::Limit(limited) => limited.apply(chunk),
            }
        }
    }

    /// Returns what the sink gets at the end of the output. A second call returns nothing.
    #[must_use = "the end of the output is for the sink"]
    pub fn finish(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        for layer in &mut self.layers {
            match layer {
                Layer::Copy(copy) => copy.push(&rest),
                Layer::Limit(limited) => limited.finish(&mut rest),
            }
        }
        rest
    }

    /// Returns how many bytes were dropped.
    pub fn omitted(&self) -> u64 {
        let omitted = |layer: &Layer| match layer {
            Layer::Copy(_) => 0,
            Layer::Limit(limited) => limited.omitted + limited.tail.omitted(),
        };
        self.layers.iter().map(omitted).sum()
    }
}

impl LimitedOutput {
    fn apply(&mut self, chunk: &mut Vec<u8>) {
        let passes = chunk.len().min(self.room);
        self.room -= passes;
        self.tail.push(&chunk[passes..]);
        chunk.truncate(passes);
    }

    fn finish(&mut self, rest: &mut Vec<u8>) {
        self.apply(rest);
        let nothing = Capture::new(OutputLimit::bytes(0));
        let tail = std::mem::replace(&mut self.tail, nothing).finish(StreamEnd::Eof);
        self.omitted += tail.omitted();
        rest.extend_from_slice(tail.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filtered(filter: &mut SinkFilter, chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut passed = Vec::new();
        for chunk in chunks {
            let mut chunk = chunk.clone();
            filter.apply(&mut chunk);
            passed.extend(chunk);
        }
        passed.extend(filter.finish());
        assert!(filter.finish().is_empty());
        passed
    }

    proptest! {
        #[test]
        fn a_limited_sink_gets_what_a_capture_keeps(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..12),
            head in 0_usize..50,
            tail in 0_usize..50,
        ) {
            let limit = OutputLimit::head_and_tail(head, tail);
            let (copying, copy) = SinkFilter::copying(OutputLimit::UNLIMITED);
            let mut filter = SinkFilter::limiting(limit).then(copying);
            let passed = filtered(&mut filter, &chunks);
            let mut capture = Capture::new(limit);
            for chunk in &chunks {
                capture.push(chunk);
            }
            let captured = capture.finish(StreamEnd::Eof);
            prop_assert_eq!(&passed, captured.as_bytes());
            prop_assert_eq!(filter.omitted(), captured.omitted());
            let copied = copy.take();
            prop_assert_eq!(copied.as_bytes(), passed);
            // What was limited once passes the same limit whole.
            let mut again = SinkFilter::limiting(limit);
            prop_assert_eq!(filtered(&mut again, &[captured.as_bytes().to_vec()]), captured.as_bytes());
            prop_assert_eq!(again.omitted(), 0);
        }
    }

    #[test]
    fn the_head_passes_as_it_arrives() {
        let mut filter = SinkFilter::limiting(OutputLimit::head_and_tail(3, 2));
        let mut chunk = b"abcd".to_vec();
        filter.apply(&mut chunk);
        assert_eq!((&chunk[..], filter.omitted()), (&b"abc"[..], 0));
        let mut chunk = b"efg".to_vec();
        filter.apply(&mut chunk);
        assert_eq!((&chunk[..], filter.omitted()), (&b""[..], 2));
        assert_eq!((filter.finish(), filter.omitted()), (b"fg".to_vec(), 2));
    }
}
