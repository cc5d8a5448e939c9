//! What moves over the streams of a bridged command, step by step, and the steps as JSON.

use serde_json::Value;

use super::json::{self, object};
use crate::secrets::masked::mask_range;
use crate::secrets::masker::{SecretMasker, Truncation};

/// One of the three streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
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

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Moved(Stream, Vec<u8>),
    /// The end of stdin.
    End,
}

/// Encodes the steps without secrets: `[{"in": "ping\n"}, {"out": "pong\n"}, {"end": "in"}]`.
///
/// A secret that spans chunks is put where it cannot block a replay: for output in its first chunk,
/// for stdin in its last. `cut` means that the streams may have ended in the middle of a secret.
pub(crate) fn encode(steps: &[Step], masker: &SecretMasker, cut: bool) -> Value {
    let mut encoded: Vec<Value> = vec![Value::Null; steps.len()];
    for stream in Stream::ALL {
        let chunks = || {
            steps.iter().enumerate().filter_map(|(place, step)| match step {
                Step::Moved(of, bytes) if *of == stream => Some((place, bytes)),
                _ => None,
            })
        };
        let whole: Vec<u8> = chunks().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let matches = masker.find(&whole, Truncation { start: false, end: cut });
        let (mut end, mut from) = (0, 0);
        for (place, bytes) in chunks() {
            end += bytes.len();
            let mut to = end;
            if let Some(across) = matches.iter().find(|found| found.at.start < end && end < found.at.end) {
                to = if stream == Stream::In { across.at.start } else { across.at.end };
            }
            let to = to.max(from);
            encoded[place] = object([(stream.word(), mask_range(&whole, from..to, &matches))]);
            from = to;
        }
    }
    let ends = steps.iter().zip(encoded).map(|(step, value)| match step {
        Step::End => object([("end", Stream::In.word().into())]),
        Step::Moved(..) => value,
    });
    ends.collect()
}

/// Decodes the steps, after secrets were restored.
pub(crate) fn decode(value: &Value) -> Option<Vec<Step>> {
    let step = |step: &Value| {
        if step.get("end").is_some() {
            return Some(Step::End);
        }
        let (stream, bytes) =
            Stream::ALL.into_iter().find_map(|stream| Some((stream, step.get(stream.word())?)))?;
        Some(Step::Moved(stream, json::to_bytes(bytes)?))
    };
    let mut steps: Vec<Step> = value.as_array()?.iter().map(step).collect::<Option<_>>()?;
    steps.retain(|step| !matches!(step, Step::Moved(_, bytes) if bytes.is_empty()));
    Some(steps)
}

/// Returns whether these steps match this stdin.
pub(crate) fn accepts_stdin(steps: &[Step], mut stdin: &[u8]) -> bool {
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
    use super::*;
    use crate::secrets::restorer::SecretRestorer;

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
    fn a_secret_across_chunks_is_found() {
        let mut masker = SecretMasker::default();
        masker.add_secret("TOKEN", "hunter2".as_ref());
        let mut restorer = SecretRestorer::default();
        restorer.add_secret("TOKEN", "hunter2".as_ref());
        let steps = [
            moved(Stream::In, "login hun"),
            moved(Stream::Out, "you said hun"),
            moved(Stream::In, "ter2\n"),
            moved(Stream::Out, "t"),
            moved(Stream::Out, "er2, ok"),
            Step::End,
        ];
        let encoded = encode(&steps, &masker, false);
        let text = encoded.to_string();
        assert!(!text.contains("hun") && !text.contains("er2"), "{text}");
        let back = decode(&restorer.restore(&encoded, None).unwrap()).unwrap();
        for stream in Stream::ALL {
            assert_eq!(bytes_of(&back, stream), bytes_of(&steps, stream));
        }
        assert_eq!(back[0], moved(Stream::In, "login "));
        assert_eq!(back[1], moved(Stream::Out, "you said hunter2"));
        assert_eq!(back.last(), Some(&Step::End));
    }
}
