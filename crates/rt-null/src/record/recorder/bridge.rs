//! A bridged command under record: its streams taken apart, overheard, and put together again for the backend.

use std::any::Any;
use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use rt_protocol::{
    CancelToken, Error, ErrorKind, ExecStdio, Partial, Result, Source, SourceKind, StdioResult, StreamEnd,
    StreamFd, StreamReport, Until,
};

use crate::record::format::step::{Step, Stream};
use crate::record::recorder::relay::Relay;
use crate::record::recorder::tee::{SinkTee, TeeReader};
use crate::record::recorder::transcript::{Delivered, Tap, Transcript};
use crate::streams::message_socket;

/// What came of the call, and what was overheard.
pub(crate) struct Overheard {
    pub(crate) answer: Result<StdioResult>,
    pub(crate) steps: Vec<Step>,
    /// Why a stream was not overheard, if one was not. The command does not suffer from it.
    pub(crate) deaf: Option<io::Error>,
    /// A panic of the caller's streams, which has to go on.
    pub(crate) panic: Option<Panic>,
}

/// What a panic says.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Makes a call, through which a panic of the caller's code may come: it is an error in the recording.
pub(crate) fn catch<T>(
    operation: &'static str,
    call: impl FnOnce() -> Result<T>,
) -> (Result<T>, Option<Panic>) {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(answer) => (answer, None),
        Err(panic) => {
            let error =
                Error::new(ErrorKind::BackendFailed, operation, "the call panicked when it was recorded");
            (Err(error), Some(panic))
        }
    }
}

/// Makes the call with streams that are overheard.
pub(crate) fn overhear(
    streams: ExecStdio<'_>,
    until: &Until,
    call: impl FnOnce(ExecStdio<'_>, &Until) -> Result<StdioResult>,
) -> Overheard {
    let transcript = Arc::<Mutex<Transcript>>::default();
    let tap = |stream| Tap::new(&transcript, stream);
    let stop = until.cancel_token().map_or_else(CancelToken::new, CancelToken::child);
    let tees = (
        SourceTee::new(streams.stdin, tap(Stream::In), &stop),
        SinkTee::new(streams.stdout, tap(Stream::Out)),
        SinkTee::new(streams.stderr, tap(Stream::Err)),
    );
    let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) = tees else {
        let error = Error::new(ErrorKind::Unsupported, "exec in", "a stream is of a kind that came later");
        return Overheard { answer: Err(error), steps: Vec::new(), deaf: None, panic: None };
    };

    let own_until = until.clone().or_cancelled(&stop);
    // Only a relay has something to cancel; otherwise the backend gets what the caller gave.
    let until_for_call = if matches!(stdin, SourceTee::Relayed(..)) { &own_until } else { until };
    let (mut answer, panic) = catch("exec in", || {
        call(ExecStdio::new(stdin.source(), stdout.sink()).stderr(stderr.sink()), until_for_call)
    });

    let (early, mut deaf, failure) = stdin.settle();
    let mut counts = [None; 2];
    for (count, sink) in counts.iter_mut().zip([stdout, stderr]) {
        match sink.settle() {
            Ok(taken) => *count = taken,
            Err(error) => deaf = Some(error),
        }
    }
    if let Some(failure) = failure {
        answer = answer.map_err(|error| source_failed(error, failure, until));
    }
    let answer = with_counts(answer, counts);
    let steps = Transcript::close(&transcript, early, delivered(&answer));
    Overheard { answer, steps, deaf, panic }
}

/// The caller's source, taken apart to be overheard.
enum SourceTee<'a> {
    Empty,
    Bytes(Vec<u8>),
    Reader(Option<TeeReader>),
    Relayed(Relay, Option<OwnedFd>),
    /// A regular file is handed on as it is: what was taken can be read again.
    File(StreamFd<'a>, File, u64),
    /// A descriptor that could not be relayed is handed on as it is.
    Unheard(StreamFd<'a>, io::Error),
}

impl<'a> SourceTee<'a> {
    /// `None` is a kind of source that this version does not know.
    fn new(source: Source<'a>, tap: Tap, stop: &CancelToken) -> Option<Self> {
        Some(match source.into_kind() {
            SourceKind::Empty => Self::Empty,
            SourceKind::Bytes(bytes) => Self::Bytes(bytes),
            SourceKind::Reader(inner) => Self::Reader(Some(TeeReader { inner, tap })),
            SourceKind::Descriptor(fd) => match Self::of_descriptor(fd.as_fd(), tap, stop) {
                Ok(Doubled::Relay(relay, near)) => Self::Relayed(relay, Some(near)),
                Ok(Doubled::File(file, from)) => Self::File(fd, file, from),
                Err(error) => Self::Unheard(fd, error),
            },
            _ => return None,
        })
    }

    fn of_descriptor(fd: BorrowedFd<'_>, tap: Tap, stop: &CancelToken) -> io::Result<Doubled> {
        // Handed on as it is, so that the backend refuses it, and not taken apart on the way.
        message_socket::refuse(fd)?;
        let mut own = File::from(fd.try_clone_to_owned()?);
        if own.metadata()?.is_file() {
            let from = own.stream_position()?;
            return Ok(Doubled::File(own, from));
        }
        let stop = stop.clone();
        let (relay, near) = Relay::start(own.into(), tap, move || stop.cancel())?;
        Ok(Doubled::Relay(relay, near))
    }

    /// What the backend gets, once.
    fn source(&mut self) -> Source<'_> {
        match self {
            Self::Empty => Source::empty(),
            Self::Bytes(bytes) => Source::bytes(bytes.clone()),
            Self::Reader(reader) => reader.take().map_or_else(Source::empty, Source::reader),
            Self::Relayed(_, near) => near.take().map_or_else(Source::empty, Source::descriptor),
            Self::File(fd, ..) | Self::Unheard(fd, _) => Source::borrowed_descriptor((*fd).as_fd()),
        }
    }

    /// Ends it, after the call: what could be had from the beginning, why nothing was overheard, how the source failed.
    fn settle(self) -> (Vec<u8>, Option<io::Error>, Option<io::Error>) {
        match self {
            Self::Empty | Self::Reader(_) => (Vec::new(), None, None),
            Self::Bytes(bytes) => (bytes, None, None),
            Self::Relayed(relay, near) => {
                drop(near);
                (Vec::new(), None, relay.settle().err())
            }
            Self::File(_, file, from) => match taken_of(file, from) {
                Ok(bytes) => (bytes, None, None),
                Err(error) => (Vec::new(), Some(error), None),
            },
            Self::Unheard(_, error) => (Vec::new(), Some(error), None),
        }
    }
}

enum Doubled {
    Relay(Relay, OwnedFd),
    File(File, u64),
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
    let mut failed = Error::new(ErrorKind::SourceFailed, error.operation(), "").with_source(failure);
    if let Some(subject) = error.subject() {
        failed = failed.about(subject);
    }
    if let Some(report) = error.kill_report() {
        failed = failed.with_kill_report(report.clone());
    }
    if let Some(partial) = error.partial() {
        failed = failed.with_partial(partial.clone());
    }
    failed
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
            Some(Partial::Streams { stdin, mut stdout, mut stderr }) => {
                let before = (stdout, stderr);
                put(&mut stdout, out);
                put(&mut stderr, err);
                if (stdout, stderr) == before {
                    return Err(error);
                }
                Err(error.with_partial(Partial::Streams { stdin, stdout, stderr }))
            }
            _ => Err(error),
        },
    }
}

fn delivered(answer: &Result<StdioResult>) -> Delivered {
    let report = match answer {
        Ok(result) => Some(result.stdin),
        Err(error) => match error.partial() {
            Some(Partial::Streams { stdin, .. }) => Some(*stdin),
            // Without a word of it, nothing is known to have been delivered but by a command that ran.
            _ => error.never_started().then(StreamReport::default),
        },
    };
    match report {
        Some(report) => Delivered { bytes: Some(report.bytes), ended: report.end == StreamEnd::Eof },
        None => Delivered { bytes: None, ended: false },
    }
}
