//! A bridged command under record: its streams taken apart, recorded, and put together again for the backend.

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

/// What came of the call, and what was recorded.
pub(crate) struct Recorded {
    pub(crate) answer: Result<StdioResult>,
    pub(crate) steps: Vec<Step>,
    /// Why a stream was not recorded, if one was not. The command does not suffer from it.
    pub(crate) unrecorded: Option<io::Error>,
    /// A panic of the caller's streams, which has to go on.
    pub(crate) panic: Option<PanicPayload>,
}

/// What a panic says.
pub(crate) type PanicPayload = Box<dyn Any + Send>;

/// Makes a call, through which a panic of the caller's code may come: it is an error in the recording.
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

/// Makes the call with streams that are recorded.
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
    // Only a relay has something to cancel; otherwise the backend gets what the caller gave.
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

/// The caller's source, taken apart to be recorded.
enum SourceTee<'a> {
    Empty,
    Bytes(Vec<u8>),
    Reader(Option<TeeReader>),
    Relayed(Relay, Option<OwnedFd>),
    /// A regular file is handed on as it is: what was taken can be read again.
    File(StreamFd<'a>, File, u64),
    /// A descriptor that could not be relayed is handed on as it is.
    Unrecorded(StreamFd<'a>, io::Error),
}

impl<'a> SourceTee<'a> {
    /// `None` is a kind of source that this version does not know.
    fn new(source: Source<'a>, transcript: TranscriptWriter, stop: &CancelToken) -> Option<Self> {
        Some(match source.into_kind() {
            SourceKind::Empty => Self::Empty,
            SourceKind::Bytes(bytes) => Self::Bytes(bytes),
            SourceKind::Reader(inner) => Self::Reader(Some(TeeReader { inner, transcript })),
            SourceKind::Descriptor(fd) => match Self::of_descriptor(fd.as_fd(), transcript.clone(), stop) {
                Ok(DuplicatedSource::Relay(relay, near)) => Self::Relayed(relay, Some(near)),
                // The command begins, and meets the failure as it would without a recorder.
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
        // Handed on as it is, so that the backend refuses it, and not taken apart on the way.
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

    /// What the backend gets, once.
    fn source(&mut self) -> Source<'_> {
        match self {
            Self::Empty => Source::empty(),
            Self::Bytes(bytes) => Source::bytes(bytes.clone()),
            Self::Reader(reader) => reader.take().map_or_else(Source::empty, Source::reader),
            Self::Relayed(_, near) => near.take().map_or_else(Source::empty, Source::descriptor),
            Self::File(fd, ..) | Self::Unrecorded(fd, _) => Source::borrowed_descriptor((*fd).as_fd()),
        }
    }

    /// Ends it, after the call: what could be had from the beginning, why nothing was recorded, how the source failed.
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
    /// Nothing can be had from it.
    Failed(io::Error),
}

/// Stands for a source that has failed before anything was read of it.
struct FailingReader(Option<io::Error>);

impl io::Read for FailingReader {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()))
    }
}

/// What was read of a file since its offset was `from`. The double shares the offset.
fn taken_of(mut file: File, from: u64) -> io::Result<Vec<u8>> {
    let length = file.stream_position()?.saturating_sub(from);
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// The error for a command that was cancelled because its source had failed.
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

/// The answer with what descriptors really took. The backend saw a writer, and counts whole chunks of one.
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
            // Without a word of it, nothing is known to have been delivered but by a command that ran.
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
            // As on a machine that gives the recorder's threads their time first.
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
