//! The transcript of one recorded bridged command: what moved over its streams, in order. `tee` and
//! `relay` fill it.

use std::sync::{Arc, Mutex};

use crate::format::step::{Step, Stream};
use rt_protocol::sync::lock;

/// The steps of a running command.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    steps: Vec<Step>,
    /// Set after the call: a thread that a backend left behind may still read, and that is not
    /// recorded.
    closed: bool,
}

/// Records one stream.
#[derive(Clone, Debug)]
pub(crate) struct TranscriptWriter {
    transcript: Arc<Mutex<Transcript>>,
    stream: Stream,
}

/// The position of an entry that may have to be shortened.
pub(crate) struct Mark(Option<usize>);

impl TranscriptWriter {
    pub(crate) fn new(transcript: &Arc<Mutex<Transcript>>, stream: Stream) -> Self {
        Self { transcript: Arc::clone(transcript), stream }
    }

    /// Records bytes. Output is recorded before it is handed on, so that its answer comes after it.
    pub(crate) fn put(&self, bytes: &[u8]) -> Mark {
        let mut transcript = lock(&self.transcript);
        if transcript.closed || bytes.is_empty() {
            return Mark(None);
        }
        // Chunks of stdin depend on how the backend read them, so they are joined. Chunks of output
        // are what the caller saw.
        if let (Stream::In, Some(Step::Moved(Stream::In, last))) = (self.stream, transcript.steps.last_mut())
        {
            last.extend_from_slice(bytes);
            return Mark(None);
        }
        transcript.steps.push(Step::Moved(self.stream, bytes.to_owned()));
        Mark(Some(transcript.steps.len() - 1))
    }

    /// Keeps only the first `count` bytes of an entry: the rest was not taken.
    pub(crate) fn keep(&self, mark: &Mark, count: usize) {
        let mut transcript = lock(&self.transcript);
        if let Some(Step::Moved(_, bytes)) = mark.0.and_then(|place| transcript.steps.get_mut(place)) {
            bytes.truncate(count);
        }
    }

    /// Records the end of stdin.
    pub(crate) fn end(&self) {
        let mut transcript = lock(&self.transcript);
        if !transcript.closed && !transcript.steps.contains(&Step::End) {
            transcript.steps.push(Step::End);
        }
    }
}

/// What the backend reports about stdin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    /// How many bytes the command got; `None` if the backend does not report it.
    pub(crate) bytes: Option<u64>,
    /// Whether the command saw the end.
    pub(crate) ended: bool,
}

impl Transcript {
    /// Returns the steps. `early` is stdin that was available from the beginning.
    pub(crate) fn close(transcript: &Mutex<Self>, early: Vec<u8>, delivered: Delivered) -> Vec<Step> {
        let mut transcript = lock(transcript);
        transcript.closed = true;
        let mut left =
            delivered.bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let mut steps = Vec::new();
        let early = std::iter::once(Step::Moved(Stream::In, early));
        for step in early.chain(std::mem::take(&mut transcript.steps)) {
            match step {
                Step::Moved(Stream::In, mut bytes) => {
                    // Bytes that were taken from the source and not delivered must not be expected
                    // by a replay.
                    bytes.truncate(left);
                    left -= bytes.len();
                    steps.push(Step::Moved(Stream::In, bytes));
                }
                Step::End if !delivered.ended => {}
                other => steps.push(other),
            }
        }
        steps.retain(|step| !matches!(step, Step::Moved(_, bytes) if bytes.is_empty()));
        if delivered.ended && !steps.contains(&Step::End) {
            steps.push(Step::End);
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(stream: Stream, text: &str) -> Step {
        Step::Moved(stream, text.into())
    }

    #[test]
    fn stdin_that_was_not_delivered_is_left_out() {
        let transcript = Arc::new(Mutex::default());
        let (stdin, stdout) =
            (TranscriptWriter::new(&transcript, Stream::In), TranscriptWriter::new(&transcript, Stream::Out));
        stdin.put(b"abc");
        let mark = stdout.put(b"xyz");
        stdout.keep(&mark, 1);
        stdin.put(b"def");
        stdin.end();
        let steps = Transcript::close(&transcript, Vec::new(), Delivered { bytes: Some(4), ended: false });
        assert_eq!(steps, [moved(Stream::In, "abc"), moved(Stream::Out, "x"), moved(Stream::In, "d")]);
        stdin.put(b"late");
        assert!(lock(&transcript).steps.is_empty());
    }
}
