//! What came of commands as JSON: outcomes, captured output, reports of streams.

use std::time::Duration;

use rt_protocol::{CapturedOutput, ExecResult, ExitOutcome, StdioResult, StreamEnd, StreamReport};
use serde_json::Value;

use super::json::{self, JsonCodec, field, object, pick, word};

impl JsonCodec for ExitOutcome {
    fn encode(&self) -> Value {
        object([(
            "outcome",
            match self {
                Self::Code(code) => object([("code", (*code).into())]),
                Self::Signal(name) => object([("signal", name.as_str().into())]),
                // A kind of outcome that came later says no more than this one.
                _ => word(Self::Lost),
            },
        )])
    }

    fn decode(value: &Value) -> Option<Self> {
        let outcome = value.get("outcome")?;
        if let Some(code) = outcome.get("code") {
            return i32::decode(code).map(Self::Code);
        }
        match outcome.get("signal") {
            Some(signal) => String::decode(signal).map(Self::Signal),
            None => (*outcome == word(Self::Lost)).then_some(Self::Lost),
        }
    }
}

impl JsonCodec for CapturedOutput {
    fn encode(&self) -> Value {
        let end = if self.end() == StreamEnd::Eof { Value::Null } else { word(self.end()) };
        if !self.is_truncated() && end.is_null() {
            return json::bytes(self.as_bytes());
        }
        if !self.is_truncated() {
            return object([("kept", json::bytes(self.as_bytes())), ("end", end)]);
        }
        object([
            ("head", json::bytes(self.head())),
            ("omitted", self.omitted().into()),
            ("tail", json::bytes(self.tail())),
            ("end", end),
        ])
    }

    fn decode(value: &Value) -> Option<Self> {
        let end = match value.get("end") {
            Some(end) => pick(&ENDS, end)?,
            None => StreamEnd::Eof,
        };
        let Some(omitted) = value.get("omitted") else {
            return json::to_bytes(value.get("kept").unwrap_or(value))
                .map(|kept| Self::complete(kept).with_end(end));
        };
        let head = json::to_bytes(value.get("head")?)?;
        let tail = json::to_bytes(value.get("tail")?)?;
        Some(Self::truncated(head, omitted.as_u64()?, &tail).with_end(end))
    }
}

impl JsonCodec for ExecResult {
    fn encode(&self) -> Value {
        object([
            ("outcome", self.outcome.encode()["outcome"].clone()),
            ("stdout", self.stdout.encode()),
            ("stderr", self.stderr.encode()),
            ("elapsed", self.elapsed.encode()),
        ])
    }

    fn decode(value: &Value) -> Option<Self> {
        let stream = |name| CapturedOutput::decode(value.get(name)?);
        let elapsed = field::<Duration>(value, "elapsed")?;
        Some(Self::new(ExitOutcome::decode(value)?, stream("stdout")?, stream("stderr")?, elapsed))
    }
}

const ENDS: [StreamEnd; 5] =
    [StreamEnd::Unused, StreamEnd::Eof, StreamEnd::ReaderGone, StreamEnd::LeftOpen, StreamEnd::Stopped];

impl JsonCodec for StreamReport {
    fn encode(&self) -> Value {
        object([("bytes", self.bytes.into()), ("end", word(self.end))])
    }

    fn decode(value: &Value) -> Option<Self> {
        Some(Self::new(field(value, "bytes")?, pick(&ENDS, value.get("end")?)?))
    }
}

impl JsonCodec for StdioResult {
    fn encode(&self) -> Value {
        object([
            ("outcome", self.outcome.encode()["outcome"].clone()),
            ("stdin", self.stdin.encode()),
            ("stdout", self.stdout.encode()),
            ("stderr", self.stderr.encode()),
            ("elapsed", self.elapsed.encode()),
        ])
    }

    fn decode(value: &Value) -> Option<Self> {
        let (outcome, elapsed) = (ExitOutcome::decode(value)?, field(value, "elapsed")?);
        Some(Self::new(
            outcome,
            field(value, "stdin")?,
            field(value, "stdout")?,
            field(value, "stderr")?,
            elapsed,
        ))
    }
}

#[cfg(test)]
mod tests {
    use rt_protocol::{Capture, OutputLimit};

    use super::*;

    #[test]
    fn results_come_back() {
        for outcome in [ExitOutcome::Code(-3), ExitOutcome::Signal("KILL".into()), ExitOutcome::Lost] {
            let mut capture = Capture::new(OutputLimit::head_and_tail(2, 3));
            capture.push(&vec![0xff; 3_000_000]);
            let cut = capture.finish(StreamEnd::Eof);
            for end in ENDS {
                let (stdout, stderr) =
                    (CapturedOutput::complete("äb").with_end(end), cut.clone().with_end(end));
                let result = ExecResult::new(outcome.clone(), stdout, stderr, Duration::new(1, 2));
                let back = ExecResult::decode(&result.encode()).unwrap();
                assert_eq!((&back, back.elapsed), (&result, result.elapsed));
            }
        }
        for end in ENDS {
            let report = StreamReport::new(u64::MAX, end);
            assert_eq!(StreamReport::decode(&report.encode()), Some(report));
        }
    }
}
