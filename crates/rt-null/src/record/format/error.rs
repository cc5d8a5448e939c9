//! Errors as JSON, with all that the contract hangs on them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;

use rt_protocol::{
    Capabilities, Capability, CapturedOutput, ContainerRemoveResult, Error, ErrorKind, ExitOutcome,
    GpuConfigError, KillOutcome, KillReport, PartialOutput, Survivor,
};
use serde_json::Value;

use super::json::{JsonCodec, field, object, pick, word};
use crate::streams::notify::lock;

const KINDS: [ErrorKind; 37] = [
    ErrorKind::InvalidRequest,
    ErrorKind::Unsupported,
    ErrorKind::BackendMissing,
    ErrorKind::BackendNotExecutable,
    ErrorKind::BackendUnresponsive,
    ErrorKind::InvalidResponse,
    ErrorKind::BackendInterrupted,
    ErrorKind::BackendFailed,
    ErrorKind::NoSuchContainer,
    ErrorKind::NotRunning,
    ErrorKind::Paused,
    ErrorKind::Stopping,
    ErrorKind::NameInUse,
    ErrorKind::NoSuchImage,
    ErrorKind::RegistryUnreachable,
    ErrorKind::RegistryDenied,
    ErrorKind::ImageInUse,
    ErrorKind::PortInUse,
    ErrorKind::NoSuchPath,
    ErrorKind::CommandNotFound,
    ErrorKind::CommandNotExecutable,
    ErrorKind::BadWorkdir,
    ErrorKind::UnknownUser,
    ErrorKind::CommandFailed,
    ErrorKind::CommandLost,
    ErrorKind::GpuConfig,
    ErrorKind::Incomplete,
    ErrorKind::TimedOut,
    ErrorKind::Cancelled,
    ErrorKind::SourceFailed,
    ErrorKind::SinkFailed,
    ErrorKind::Unreachable,
    ErrorKind::HostKeyMismatch,
    ErrorKind::BadIdentity,
    ErrorKind::AuthenticationRefused,
    ErrorKind::FeatureDisabled,
    ErrorKind::System,
];

/// The cause of a recorded error: its text, with the causes of the cause. The type of it is lost.
#[derive(Debug)]
struct RecordedCause {
    text: String,
    cause: Option<Box<RecordedCause>>,
}

impl JsonCodec for Error {
    fn encode(&self) -> Value {
        // A hint that comes with the GPU error is kept there.
        let hint = self.hint().filter(|hint| self.gpu_config().is_none_or(|gpu| gpu.hint() != *hint));
        object([
            ("kind", word(self.kind())),
            ("operation", self.operation().into()),
            ("subject", self.subject().map_or(Value::Null, Value::from)),
            ("message", self.message().into()),
            ("hint", hint.map_or(Value::Null, Value::from)),
            ("missing", if self.missing().is_empty() { Value::Null } else { capabilities(self.missing()) }),
            ("kill-report", self.kill_report().map_or(Value::Null, KillReport::encode)),
            ("partial", self.partial().map_or(Value::Null, PartialOutput::encode)),
            ("outcome", self.outcome().map_or(Value::Null, |outcome| outcome.encode()["outcome"].clone())),
            ("gpu", self.gpu_config().map_or(Value::Null, encode_gpu)),
            ("causes", causes(self)),
        ])
    }

    fn decode(value: &Value) -> Option<Self> {
        let operation = lasting(value.get("operation")?.as_str()?);
        let message = field::<String>(value, "message")?;
        let missing = value.get("missing").map_or(Some(Capabilities::none()), to_capabilities)?;
        let mut error = if let Some(gpu) = value.get("gpu") {
            Self::from(decode_gpu(gpu)?).during(operation)
        } else if missing.is_empty() {
            // A kind that came later is the engine's own failure to who does not know it.
            let kind = pick(&KINDS, value.get("kind")?).unwrap_or(ErrorKind::BackendFailed);
            Self::new(kind, operation, message)
        } else {
            Self::unsupported(operation, missing)
        };
        if let Some(subject) = field::<Option<String>>(value, "subject")? {
            error = error.with_subject(subject);
        }
        if let Some(hint) = field::<Option<String>>(value, "hint")? {
            error = error.with_hint(hint);
        }
        if let Some(report) = field::<Option<KillReport>>(value, "kill-report")? {
            error = error.with_kill_report(report);
        }
        if let Some(partial) = field::<Option<PartialOutput>>(value, "partial")? {
            error = error.with_partial(partial);
        }
        if value.get("outcome").is_some() {
            error = error.with_outcome(ExitOutcome::decode(value)?);
        }
        let causes = field::<Vec<String>>(value, "causes")?;
        let chain = causes
            .into_iter()
            .rev()
            .fold(None, |cause, text| Some(RecordedCause { text, cause: cause.map(Box::new) }));
        Some(match chain {
            Some(cause) => error.with_source(cause),
            None => error,
        })
    }
}

/// The capabilities by their names.
pub(crate) fn capabilities(set: Capabilities) -> Value {
    set.iter().map(|capability| Value::from(capability.as_str())).collect()
}

/// The way back; names that this version does not know are left out.
pub(crate) fn to_capabilities(names: &Value) -> Option<Capabilities> {
    let known = |name: &Value| Capability::ALL.iter().copied().find(|capability| name == capability.as_str());
    Some(names.as_array()?.iter().filter_map(known).collect())
}

fn encode_gpu(gpu: &GpuConfigError) -> Value {
    object([("message", gpu.message().into()), ("hint", gpu.hint().into())])
}

/// The message is a sentence, what the engine said, and the hint; its maker takes the two latter.
fn decode_gpu(value: &Value) -> Option<GpuConfigError> {
    let (message, hint) = (field::<String>(value, "message")?, field::<String>(value, "hint")?);
    let said = message.strip_suffix(&hint).unwrap_or(&message);
    Some(GpuConfigError::new(said.split_once('\n').map_or("", |(_, said)| said), hint))
}

fn causes(error: &Error) -> Value {
    let first = std::error::Error::source(error);
    let texts: Vec<Value> =
        std::iter::successors(first, |cause| cause.source()).map(|cause| cause.to_string().into()).collect();
    if texts.is_empty() { Value::Null } else { texts.into() }
}

impl JsonCodec for KillReport {
    fn encode(&self) -> Value {
        let survivors = self.survivors.iter();
        let survivors =
            survivors.map(|left| object([("pid", left.pid.into()), ("comm", left.name.as_str().into())]));
        let (outcome, why) = match &self.outcome {
            KillOutcome::Unknown(why) => (word("Unknown"), why.as_str().into()),
            known => (word(known), Value::Null),
        };
        object([
            ("fate", outcome),
            ("why", why),
            ("killed", self.killed.into()),
            ("survivors", survivors.collect()),
            ("took", self.elapsed.encode()),
        ])
    }

    fn decode(value: &Value) -> Option<Self> {
        let why = field::<Option<String>>(value, "why")?.unwrap_or_default();
        let fates = [KillOutcome::NeverStarted, KillOutcome::Gone, KillOutcome::Alive];
        let word_of = value.get("fate")?;
        let outcome =
            fates.into_iter().find(|outcome| word(outcome) == *word_of).unwrap_or(KillOutcome::Unknown(why));
        let survivors = value.get("survivors")?.as_array()?.iter().map(|left| {
            Some(Survivor::new(
                u32::try_from(left.get("pid")?.as_u64()?).ok()?,
                field::<String>(left, "comm")?,
            ))
        });
        let killed = usize::try_from(value.get("killed")?.as_u64()?).ok()?;
        Some(Self::new(outcome, killed, survivors.collect::<Option<_>>()?, field(value, "took")?))
    }
}

impl JsonCodec for PartialOutput {
    fn encode(&self) -> Value {
        match self {
            Self::Output { stdout, stderr } => {
                object([("stdout", stdout.encode()), ("stderr", stderr.encode())])
            }
            Self::Streams { stdin, stdout, stderr } => {
                object([("stdin", stdin.encode()), ("stdout", stdout.encode()), ("stderr", stderr.encode())])
            }
            _ => Value::Null,
        }
    }

    fn decode(value: &Value) -> Option<Self> {
        if value.get("stdin").is_some() {
            let (stdin, stdout) = (field(value, "stdin")?, field(value, "stdout")?);
            return Some(Self::Streams { stdin, stdout, stderr: field(value, "stderr")? });
        }
        let stream = |name| CapturedOutput::decode(value.get(name)?);
        Some(Self::Output { stdout: stream("stdout")?, stderr: stream("stderr")? })
    }
}

impl JsonCodec for ContainerRemoveResult {
    fn encode(&self) -> Value {
        object([
            ("name", self.name.encode()),
            ("error", self.error.encode()),
            ("removed", self.removed.into()),
        ])
    }

    fn decode(value: &Value) -> Option<Self> {
        let mut result = Self::removed(field(value, "name")?);
        result.removed = field(value, "removed")?;
        result.error = field(value, "error")?;
        Some(result)
    }
}

impl fmt::Display for RecordedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for RecordedCause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as _)
    }
}

/// The text for the rest of the process, because the operation of an error lives that long. Each text is kept once, so
/// there are as many as recordings have operations.
fn lasting(text: &str) -> &'static str {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut kept = lock(&KEPT);
    if let Some(known) = kept.get(text) {
        return known;
    }
    let lasting: &'static str = Box::leak(text.into());
    kept.insert(lasting);
    lasting
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rt_protocol::{StreamEnd, StreamReport};

    use super::*;

    /// All that can be seen of an error.
    fn seen(error: &Error) -> String {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        let parts = (error.kind(), error.operation(), error.subject(), error.hint(), error.missing());
        let rest = (error.kill_report(), error.partial(), error.gpu_config(), error.outcome(), cause);
        format!("{error} {parts:?} {rest:?} {}", error.never_started())
    }

    #[test]
    fn errors_come_back() {
        let took = Duration::new(3, 4);
        let report = |outcome| KillReport::new(outcome, 2, vec![Survivor::new(7, "sh\n")], took);
        let streams = StreamReport::new(3, StreamEnd::Stopped);
        let output = PartialOutput::Output {
            stdout: CapturedOutput::complete("a"),
            stderr: CapturedOutput::default(),
        };
        let mut errors: Vec<Error> = KINDS.map(|kind| Error::new(kind, "test", "because")).to_vec();
        errors.extend([
            Error::unsupported(
                "exec in",
                Capabilities::none().with(Capability::ExecEnv).with(Capability::Logs),
            ),
            Error::new(ErrorKind::TimedOut, "exec in", "")
                .with_subject("x")
                .with_hint("more")
                .with_kill_report(report(KillOutcome::Gone)),
            ExitOutcome::Code(3).exit_ok().unwrap_err(),
            ExitOutcome::Signal("KILL".into()).exit_ok().unwrap_err(),
            ExitOutcome::Lost.exit_ok().unwrap_err(),
            Error::new(ErrorKind::Cancelled, "odd verb", "")
                .with_kill_report(report(KillOutcome::Unknown("why".into()))),
            Error::new(ErrorKind::Cancelled, "wait", "")
                .with_kill_report(report(KillOutcome::NeverStarted))
                .with_partial(output),
            Error::new(ErrorKind::SinkFailed, "exec in", "stdout")
                .with_kill_report(report(KillOutcome::Alive))
                .with_partial(PartialOutput::Streams { stdin: streams, stdout: streams, stderr: streams })
                .with_source(std::io::Error::other(Error::new(ErrorKind::System, "write", "disk full"))),
            Error::from(GpuConfigError::new("no nvidia\nat all\n", "install it"))
                .with_subject("container `x`"),
            Error::from(GpuConfigError::new("", "")).during("create"),
        ]);
        for error in errors {
            let back = Error::decode(&error.encode()).unwrap();
            assert_eq!(seen(&back), seen(&error));
        }
    }

    #[test]
    fn a_kind_that_came_later_is_the_engines_failure() {
        let later =
            object([("kind", "Sunspots".into()), ("operation", "start".into()), ("message", "hot".into())]);
        assert_eq!(Error::decode(&later).unwrap().to_string(), "start: the engine failed: hot");
    }

    #[test]
    fn an_operation_is_kept_once() {
        assert!(std::ptr::eq(lasting("juggle"), lasting(&String::from("juggle"))));
    }
}
