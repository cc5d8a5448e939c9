//! A recording read from its file: its header and its calls, in the order in which they began.

use std::io::Read;

use rt_protocol::{Error, ErrorKind, Result};
use serde_json::Value;

use super::header::{Header, refusal};
use super::invocation::{Subject, summary};

/// One recorded call.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The line of the recording, from 1.
    pub(crate) line: usize,
    /// Its position in the order in which calls began.
    pub(crate) number: u64,
    pub(crate) subject: Subject,
    pub(crate) op: String,
    pub(crate) args: Value,
    /// `{"ok": …}` or `{"error": …}`.
    pub(crate) answer: Value,
    /// The whole line, for fields that only some calls have.
    pub(crate) whole: Value,
}

/// A whole recording.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) header: Header,
    pub(crate) entries: Vec<Entry>,
    /// The number of the last line if it is incomplete, because the recorder died while writing it.
    pub(crate) truncated: Option<usize>,
}

impl Recording {
    pub(crate) fn read(mut reader: impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|cause| {
            Error::new(ErrorKind::System, "open the recording", "it cannot be read").with_source(cause)
        })?;
        let mut header = None;
        let mut entries = Vec::new();
        let mut truncated = None;
        for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let number = number + 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let value: Value = match serde_json::from_slice(line) {
                Ok(value) => value,
                Err(_) if header.is_some() && !line.ends_with(b"\n") => {
                    truncated = Some(number);
                    continue;
                }
                Err(error) => {
                    return Err(refusal(format!("line {number}, column {}: it is not JSON", error.column())));
                }
            };
            if header.is_none() {
                header = Some(Header::decode(&value)?);
            } else {
                entries.push(Entry::decode(number, value)?);
            }
        }
        let header = header.ok_or_else(|| refusal("it is empty"))?;
        entries.sort_by_key(|entry: &Entry| entry.number);
        Ok(Self { header, entries, truncated })
    }
}

impl Entry {
    fn decode(line: usize, whole: Value) -> Result<Self> {
        let fault = |what: &str| refusal(format!("line {line}: {what}"));
        let number =
            whole.get("seq").and_then(Value::as_u64).ok_or_else(|| fault("the call has no number"))?;
        let op = whole.get("op").and_then(Value::as_str).ok_or_else(|| fault("the call has no operation"))?;
        let subject = Subject::decode(&whole).ok_or_else(|| fault("of whom was asked cannot be read"))?;
        let answer = whole.get("answer").filter(|answer| answer.get("ok").or(answer.get("error")).is_some());
        let answer = answer.ok_or_else(|| fault("the call has no answer"))?.clone();
        let args = whole.get("args").cloned().unwrap_or_default();
        Ok(Self { line, number, subject, op: op.to_owned(), args, answer, whole })
    }

    /// Returns the call as messages show it.
    pub(crate) fn summary(&self) -> String {
        summary(&self.op, &self.args)
    }
}
