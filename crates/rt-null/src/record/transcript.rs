//! What moved over the streams of one bridged command, in order. How it is overheard stands in `tee` and `relay`.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::data::{self, object};
use super::masked::parts;
use super::vault::{Cut, Vault};
use crate::streams::notify::lock;

/// One of the three streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    In,
    Out,
    Err,
}

impl Stream {
    const ALL: [Self; 3] = [Self::In, Self::Out, Self::Err];

    fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Err => "err",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Moved(Stream, Vec<u8>),
    /// stdin ended here.
    End,
}

/// The steps of a command under way.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    steps: Vec<Step>,
    /// What a thread that a backend left behind still reads is of no interest.
    closed: bool,
}

/// Where one stream is written down.
#[derive(Clone, Debug)]
pub(super) struct Tap {
    transcript: Arc<Mutex<Transcript>>,
    stream: Stream,
}

/// The place of an entry that may have to be shortened.
pub(super) struct Mark(Option<usize>);

impl Tap {
    pub(super) fn new(transcript: &Arc<Mutex<Transcript>>, stream: Stream) -> Self {
        Self { transcript: Arc::clone(transcript), stream }
    }

    /// Writes bytes down. Output is written down before it is handed on, so that an answer to it comes after it.
    pub(super) fn put(&self, bytes: &[u8]) -> Mark {
        let mut transcript = lock(&self.transcript);
        if transcript.closed || bytes.is_empty() {
            return Mark(None);
        }
        // Chunks of stdin are as the backend happened to read them; those of output are what the caller saw.
        if let (Stream::In, Some(Step::Moved(Stream::In, last))) = (self.stream, transcript.steps.last_mut())
        {
            last.extend_from_slice(bytes);
            return Mark(None);
        }
        transcript.steps.push(Step::Moved(self.stream, bytes.to_owned()));
        Mark(Some(transcript.steps.len() - 1))
    }

    /// Keeps only the first `count` bytes of an entry: the rest was not taken.
    pub(super) fn keep(&self, mark: &Mark, count: usize) {
        let mut transcript = lock(&self.transcript);
        if let Some(Step::Moved(_, bytes)) = mark.0.and_then(|place| transcript.steps.get_mut(place)) {
            bytes.truncate(count);
        }
    }

    /// stdin has ended.
    pub(super) fn end(&self) {
        let mut transcript = lock(&self.transcript);
        if !transcript.closed && !transcript.steps.contains(&Step::End) {
            transcript.steps.push(Step::End);
        }
    }
}

/// What the backend says of stdin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    /// How many bytes the command got; `None` when the backend does not say.
    pub(super) bytes: Option<u64>,
    /// Whether it saw the end.
    pub(super) ended: bool,
}

impl Transcript {
    /// Takes the steps out. `early` is stdin that could be had from the beginning.
    pub(super) fn close(transcript: &Mutex<Self>, early: Vec<u8>, delivered: Delivered) -> Vec<Step> {
        let mut transcript = lock(transcript);
        transcript.closed = true;
        let mut left =
            delivered.bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let mut steps = Vec::new();
        let early = std::iter::once(Step::Moved(Stream::In, early));
        for step in early.chain(std::mem::take(&mut transcript.steps)) {
            match step {
                Step::Moved(Stream::In, mut bytes) => {
                    // What was taken from the source and not delivered is nothing that a replay should ask for.
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

/// The steps as JSON without secrets: `[{"in": "ping\n"}, {"out": "pong\n"}, {"end": "in"}]`.
///
/// A secret that lies across chunks goes where it cannot hold a replay up: of output with its first chunk, of stdin with its
/// last. `cut` says that the streams may have ended in the middle of something.
pub(super) fn encode(steps: &[Step], vault: &Vault, cut: bool) -> Value {
    let mut encoded: Vec<Value> = vec![Value::Null; steps.len()];
    for stream in Stream::ALL {
        let chunks = || {
            steps.iter().enumerate().filter_map(|(place, step)| match step {
                Step::Moved(of, bytes) if *of == stream => Some((place, bytes)),
                _ => None,
            })
        };
        let whole: Vec<u8> = chunks().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let finds = vault.find(&whole, Cut { start: false, end: cut });
        let (mut end, mut from) = (0, 0);
        for (place, bytes) in chunks() {
            end += bytes.len();
            let mut to = end;
            if let Some(across) = finds.iter().find(|find| find.at.start < end && end < find.at.end) {
                to = if stream == Stream::In { across.at.start } else { across.at.end };
            }
            let to = to.max(from);
            encoded[place] = object([(stream.word(), parts(&whole, from..to, &finds))]);
            from = to;
        }
    }
    let ends = steps.iter().zip(encoded).map(|(step, value)| match step {
        Step::End => object([("end", Stream::In.word().into())]),
        Step::Moved(..) => value,
    });
    ends.collect()
}

/// The way back, once the secrets are put in place again.
pub(super) fn decode(value: &Value) -> Option<Vec<Step>> {
    let step = |step: &Value| {
        if step.get("end").is_some() {
            return Some(Step::End);
        }
        let (stream, bytes) =
            Stream::ALL.into_iter().find_map(|stream| Some((stream, step.get(stream.word())?)))?;
        Some(Step::Moved(stream, data::to_bytes(bytes)?))
    };
    let mut steps: Vec<Step> = value.as_array()?.iter().map(step).collect::<Option<_>>()?;
    steps.retain(|step| !matches!(step, Step::Moved(_, bytes) if bytes.is_empty()));
    Some(steps)
}

/// Whether these steps go with this stdin.
pub(super) fn takes(steps: &[Step], mut stdin: &[u8]) -> bool {
    for step in steps {
        if let Step::Moved(Stream::In, bytes) = step {
            let Some(rest) = stdin.strip_prefix(bytes.as_slice()) else { return false };
            stdin = rest;
        }
    }
    stdin.is_empty() || !steps.contains(&Step::End)
}

#[cfg(test)]
mod tests {
    use super::super::keyring::Keyring;
    use super::*;

    fn moved(stream: Stream, text: &str) -> Step {
        Step::Moved(stream, text.into())
    }

    fn bytes_of(steps: &[Step], wanted: Stream) -> Vec<u8> {
        let of = |step: &Step| match step {
            Step::Moved(stream, bytes) if *stream == wanted => bytes.clone(),
            _ => Vec::new(),
        };
        steps.iter().flat_map(of).collect()
    }

    #[test]
    fn a_secret_across_chunks_is_found_and_put_where_it_cannot_hold_up() {
        let mut vault = Vault::default();
        vault.learn("TOKEN", "hunter2".as_ref());
        let mut keys = Keyring::default();
        keys.learn("TOKEN", "hunter2".as_ref());
        let steps = [
            moved(Stream::In, "login hun"),
            moved(Stream::Out, "you said hun"),
            moved(Stream::In, "ter2\n"),
            moved(Stream::Out, "t"),
            moved(Stream::Out, "er2, ok"),
            Step::End,
        ];
        let encoded = encode(&steps, &vault, false);
        let text = encoded.to_string();
        assert!(!text.contains("hun") && !text.contains("er2"), "{text}");
        let back = decode(&keys.resolve(&encoded, None).unwrap()).unwrap();
        for stream in Stream::ALL {
            assert_eq!(bytes_of(&back, stream), bytes_of(&steps, stream));
        }
        assert_eq!(back[0], moved(Stream::In, "login "));
        assert_eq!(back[1], moved(Stream::Out, "you said hunter2"));
        assert_eq!(back.last(), Some(&Step::End));
    }

    #[test]
    fn stdin_that_was_not_delivered_is_left_out() {
        let transcript = Arc::new(Mutex::default());
        let (stdin, stdout) = (Tap::new(&transcript, Stream::In), Tap::new(&transcript, Stream::Out));
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
