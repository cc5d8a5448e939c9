//! A recorded bridged command: its streams are taken apart, recorded, and put together again for
//! the backend.

use std::any::Any;
use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use rt_protocol::{
    CancelToken, Error, ErrorKind, ExecStdio, Interruption, KillReport, PartialOutput, Result, Source,
    SourceKind, StdioResult, StreamEnd, StreamFd, StreamReport, Until,
};

use super::relay::Relay;
use super::tee::{SinkTee, TeeReader};
use super::transcript::{Delivered, Transcript, TranscriptWriter};
use crate::format::step::{Step, Stream};
use rt_null::refuse_message_socket;

/// The result of the call, and what was recorded.
pub(crate) struct Recorded {
    pub(crate) answer: Result<StdioResult>,
    pub(crate) steps: Vec<Step>,
    /// Why a stream was not recorded, if it was not. The command is not affected.
    pub(crate) unrecorded: Option<io::Error>,
    /// A panic of the caller's streams, which must be resumed.
    pub(crate) panic: Option<PanicPayload>,
}

/// The payload of a panic.
pub(crate) type PanicPayload = Box<dyn Any + Send>;

/// Makes a call that may run the caller's code. A panic of that code is an error in the recording.
pub(crate) fn catch_panic<T>(
    operation: &'static str,
    call: impl FnOnce() -> Result<T>,
) -> (Result<T>, Option<PanicPayload>) {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(answer) => (answer, None),
        Err(panic) => {
            let error =
                Error::new(ErrorKind::BackendFailed, operation, "the call panicked when it was recorded");
            (Err(error), Some(panic))
        }
    }
}

/// Makes the call with recorded streams.
pub(crate) fn record_stdio(
    streams: ExecStdio<'_>,
    until: &Until,
    call: impl FnOnce(ExecStdio<'_>, &Until) -> Result<StdioResult>,
) -> Recorded {
    let transcript = Arc::<Mutex<Transcript>>::default();
    let writer = |stream| TranscriptWriter::new(&transcript, stream);
    let stop = until.cancel_token().map_or_else(CancelToken::new, CancelToken::child);
    let tees = (
        SourceTee::new(streams.stdin, writer(Stream::In), &stop),
        SinkTee::new(streams.stdout, writer(Stream::Out)),
        SinkTee::new(streams.stderr, writer(Stream::Err)),
    );
    let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) = tees else {
        let error = Error::new(ErrorKind::Unsupported, "exec in", "a stream is of a kind that came later");
        return Recorded { answer: Err(error), steps: Vec::new(), unrecorded: None, panic: None };
    };

    let own_until = until.clone().or_cancelled(&stop);
    // Only a relay has something to cancel; otherwise the backend gets the caller's `until`.
    let until_for_call = if matches!(stdin, SourceTee::Relayed(..)) { &own_until } else { until };
    let (mut answer, panic) = catch_panic("exec in", || {
        call(ExecStdio::new(stdin.source(), stdout.sink()).stderr(stderr.sink()), until_for_call)
    });

    let (early, mut unrecorded, failure) = stdin.finish();
    let mut counts = [None; 2];
    for (count, sink) in counts.iter_mut().zip([stdout, stderr]) {
        match sink.finish() {
            Ok(taken) => *count = taken,
            Err(error) => unrecorded = Some(error),
        }
    }
    if let Some(failure) = failure {
        answer = answer.map_err(|error| source_failed(error, failure, until));
    }
    let answer = with_counts(answer, counts);
    let steps = Transcript::close(&transcript, early, delivered(&answer));
    Recorded { answer, steps, unrecorded, panic }
}

/// The caller's source, prepared for recording.
enum SourceTee<'a> {
    Empty,
    Bytes(Vec<u8>),
    Reader(Option<TeeReader>),
    Relayed(Relay, Option<OwnedFd>),
    /// A regular file, passed on unchanged: what was read can be read again.
    File(StreamFd<'a>, File, u64),
    /// A descriptor that could not be relayed, passed on unchanged.
    Unrecorded(StreamFd<'a>, io::Error),
}

impl<'a> SourceTee<'a> {
    /// `None` means a kind of source that this version does not know.
    fn new(source: Source<'a>, transcript: TranscriptWriter, stop: &CancelToken) -> Option<Self> {
        Some(match source.into_kind() {
            SourceKind::Empty => Self::Empty,
            SourceKind::Bytes(bytes) => Self::Bytes(bytes),
            SourceKind::Reader(inner) => Self::Reader(Some(TeeReader { inner, transcript })),
            SourceKind::Descriptor(fd) => match Self::of_descriptor(fd.as_fd(), transcript.clone(), stop) {
                Ok(DuplicatedSource::Relay(relay, near)) => Self::Relayed(relay, Some(near)),
                // The command begins, and gets the failure as it would without a recorder.
                Ok(DuplicatedSource::Failed(error)) => {
                    Self::Reader(Some(TeeReader { inner: Box::new(FailingReader(Some(error))), transcript }))
                }
                Ok(DuplicatedSource::File(file, from)) => Self::File(fd, file, from),
                Err(error) => Self::Unrecorded(fd, error),
            },
            _ => return None,
        })
    }

    fn of_descriptor(
        fd: BorrowedFd<'_>,
        transcript: TranscriptWriter,
        stop: &CancelToken,
    ) -> io::Result<DuplicatedSource> {
        // Passed on unchanged, so that the backend rejects it.
        refuse_message_socket(fd)?;
        let mut own = File::from(fd.try_clone_to_owned()?);
        if own.metadata()?.is_file() {
            let from = own.stream_position()?;
            return Ok(DuplicatedSource::File(own, from));
        }
        let stop = stop.clone();
        let started = Relay::start(own.into(), transcript, move || stop.cancel())?;
        Ok(started
            .map_or_else(DuplicatedSource::Failed, |(relay, near)| DuplicatedSource::Relay(relay, near)))
    }

    /// Returns what the backend gets, once.
    fn source(&mut self) -> Source<'_> {
        match self {
            Self::Empty => Source::empty(),
            Self::Bytes(bytes) => Source::bytes(bytes.clone()),
            Self::Reader(reader) => reader.take().map_or_else(Source::empty, Source::reader),
            Self::Relayed(_, near) => near.take().map_or_else(Source::empty, Source::descriptor),
            Self::File(fd, ..) | Self::Unrecorded(fd, _) => Source::borrowed_descriptor((*fd).as_fd()),
        }
    }

    /// Finishes after the call. Returns the bytes that were available from the beginning, why
    /// nothing was recorded, and how the source failed.
    fn finish(self) -> (Vec<u8>, Option<io::Error>, Option<io::Error>) {
        match self {
            Self::Empty | Self::Reader(_) => (Vec::new(), None, None),
            Self::Bytes(bytes) => (bytes, None, None),
            Self::Relayed(relay, near) => {
                drop(near);
                (Vec::new(), None, relay.finish().err())
            }
            Self::File(_, file, from) => match taken_of(file, from) {
                Ok(bytes) => (bytes, None, None),
                Err(error) => (Vec::new(), Some(error), None),
            },
            Self::Unrecorded(_, error) => (Vec::new(), Some(error), None),
        }
    }
}

enum DuplicatedSource {
    Relay(Relay, OwnedFd),
    File(File, u64),
    /// The source cannot be read.
    Failed(io::Error),
}

/// Stands for a source that failed before anything was read from it.
struct FailingReader(Option<io::Error>);

impl io::Read for FailingReader {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()))
    }
}

/// Reads what was taken from a file since its offset was `from`. The duplicate shares the offset.
fn taken_of(mut file: File, from: u64) -> io::Result<Vec<u8>> {
    let length = file.stream_position()?.saturating_sub(from);
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// Builds the error for a command that was cancelled because its source had failed.
fn source_failed(error: Error, failure: io::Error, until: &Until) -> Error {
    let by_caller = until.cancel_token().is_some_and(CancelToken::is_cancelled);
    if error.kind() != ErrorKind::Cancelled || by_caller {
        return error;
    }
    let mut failed = Interruption::SourceFailed(failure).into_error(error.operation().to_owned());
    if let Some(subject) = error.subject() {
        failed = failed.with_subject(subject);
    }
    let report =
        error.kill_report().cloned().unwrap_or_else(|| KillReport::unknown("nothing was reported of it"));
    failed.of_ended_command(report, error.partial().cloned().unwrap_or_else(|| PartialOutput::nothing(true)))
}

/// Corrects the answer by what the descriptors really accepted. The backend saw a writer, and
/// counts whole chunks.
fn with_counts(answer: Result<StdioResult>, [out, err]: [Option<u64>; 2]) -> Result<StdioResult> {
    let put = |report: &mut StreamReport, count: Option<u64>| {
        report.bytes = count.unwrap_or(report.bytes);
    };
    match answer {
        Ok(mut result) => {
            put(&mut result.stdout, out);
            put(&mut result.stderr, err);
            Ok(result)
        }
        Err(error) => match error.partial().cloned() {
            Some(PartialOutput::Streams { stdin, mut stdout, mut stderr }) => {
                let before = (stdout, stderr);
                put(&mut stdout, out);
                put(&mut stderr, err);
                if (stdout, stderr) == before {
                    return Err(error);
                }
                Err(error.with_partial(PartialOutput::Streams { stdin, stdout, stderr }))
            }
            _ => Err(error),
        },
    }
}

fn delivered(answer: &Result<StdioResult>) -> Delivered {
    let report = match answer {
        Ok(result) => Some(result.stdin),
        Err(error) => match error.partial() {
            Some(PartialOutput::Streams { stdin, .. }) => Some(*stdin),
            // Without a report, bytes were delivered only if the command ran.
            _ => error.never_started().then(StreamReport::default),
        },
    };
    match report {
        Some(report) => Delivered { bytes: Some(report.bytes), ended: report.end == StreamEnd::Eof },
        None => Delivered { bytes: None, ended: false },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::time::Duration;

    use rt_protocol::Sink;

    use super::*;

    #[test]
    fn a_source_that_has_failed_does_not_keep_the_command_from_beginning() {
        let directory = File::open("/").unwrap();
        let stdio = ExecStdio::new(Source::descriptor(directory), Sink::discard());
        let recorded = record_stdio(stdio, &Until::forever(), |stdio, until| {
            // Imitates a machine that runs the recorder's threads first.
            std::thread::sleep(Duration::from_millis(50));
            until.check().unwrap();
            let SourceKind::Reader(mut reader) = stdio.stdin.into_kind() else { panic!("no reader") };
            let cause = reader.read(&mut [0; 8]).unwrap_err();
            Err(Interruption::SourceFailed(cause).into_error("exec in"))
        });
        let error = recorded.answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceFailed, "{error}");
    }
}
