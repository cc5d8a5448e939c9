//! Running a command with `podman exec`, and judging what came of it.

use std::time::{Duration, SystemTime};

use rt_process::{Drive, ExitStatus, Finished, Output, Process, Streams, with_process};
use rt_protocol::{
    Capture, CapturedOutput, Error, ErrorKind, ExecRequest, ExecResult, ExecStdio, ExitOutcome, Fate,
    KillReport, OutputLimit, OutputStream, Partial, Result, StdioResult, Stop, StreamEnd, StreamReport,
    Until,
};

use crate::container::PodmanContainer;
use crate::engine::process_error;
use crate::exec_events::ExecEvents;
use crate::failure::{self, Failure};
use crate::{exec_argv, kill};
use rt_process::Marker;

const OPERATION: &str = "exec in";

/// What is kept of stderr in any case, in bytes of its end: podman's own last words stand there.
const LAST_WORDS: usize = 16 << 10;

/// Runs a command and captures its output.
pub(crate) fn captured(
    container: &PodmanContainer,
    request: &ExecRequest,
    until: &Until,
) -> Result<ExecResult> {
    let limit = request.stderr_limit();
    let kept = OutputLimit::head_and_tail(limit.head(), limit.tail().max(LAST_WORDS));
    let streams = Streams::captured(request.stdout_limit(), if limit.is_unlimited() { limit } else { kept });
    let call = Call { container, request, bridged: false };
    let (outcome, finished) = call.run(streams, until)?;
    Ok(ExecResult::new(outcome, finished.stdout_capture, finished.stderr_capture, finished.elapsed))
}

/// Runs a command with its streams bridged.
pub(crate) fn bridged(
    container: &PodmanContainer,
    request: &ExecRequest,
    stdio: ExecStdio<'_>,
    until: &Until,
) -> Result<StdioResult> {
    request.check_bridged().map_err(|error| error.in_container(container.name()))?;
    let streams = Streams {
        stdin: stdio.stdin,
        stdout: Output::Bridge(stdio.stdout),
        stderr: Output::Tee(stdio.stderr, OutputLimit::head_and_tail(0, LAST_WORDS)),
    };
    let call = Call { container, request, bridged: true };
    let (outcome, finished) = call.run(streams, until)?;
    Ok(StdioResult::new(outcome, finished.stdin, finished.stdout, finished.stderr, finished.elapsed))
}

/// One exec on its way.
struct Call<'a> {
    container: &'a PodmanContainer,
    request: &'a ExecRequest,
    bridged: bool,
}

/// Why a command was ended before it ended by itself.
enum Why {
    Stop(Stop),
    Source(std::io::Error),
    Sink(OutputStream, std::io::Error),
}

impl Call<'_> {
    fn run(&self, mut streams: Streams<'_>, until: &Until) -> Result<(ExitOutcome, Finished)> {
        until.check().map_err(|stop| self.not_begun(self.about(Error::stopped(stop, OPERATION))))?;
        self.refuse_unserved()?;
        self.container.refuse_microvm(OPERATION, until).map_err(|error| self.not_begun(error))?;
        let target = self.container.target(until).map_err(|error| self.not_begun(error))?;
        let marker = Marker::fresh();
        let interactive = !streams.stdin.is_empty();
        let call = self.container.engine().spec::<_, &str>([]);
        let passed = exec_argv::exec(call, self.request, interactive, &marker, &target)
            .map_err(|error| self.about(error))?;
        let call = passed.call;
        if let Some(env_file) = passed.stdin {
            streams.stdin = env_file;
        }
        tracing::debug!(
            operation = OPERATION,
            container = %self.container.name(),
            program = %self.request.argv().program().to_string_lossy(),
            arguments = self.request.argv().len() - 1,
            timeout = ?until.remaining(),
            "podman exec"
        );
        let overlap = self.container.overlap();
        let started = SystemTime::now();
        let ended = with_process(&call, streams, |process| {
            let why = match process.drive(until) {
                Drive::Finished => {
                    let mut finished = process.finish();
                    let client_died = !matches!(finished.status, Some(ExitStatus::Code(_)));
                    if client_died || self.container.goes_on(&marker) {
                        // Somebody ended the client. Its command may go on, and nobody would ever hear of it; what the
                        // client says on its way out is not the command's.
                        kill::end_exec(self.container, process, &marker, started, self.request.user());
                        finished.status = None;
                    }
                    return Ok(finished);
                }
                Drive::Stopped(stop) => Why::Stop(stop),
                Drive::SourceFailed(error) => Why::Source(error),
                Drive::SinkFailed(stream, error) => Why::Sink(stream, error),
            };
            Err(self.end(process, why, &marker, started, interactive))
        })
        .map_err(|error| self.about(process_error(OPERATION, error)))?;
        let mut finished = ended?;
        let outcome = self.judge(&finished, started, overlap.alone())?;
        if outcome == ExitOutcome::Lost {
            // The client's streams came to their end, and the command's may not have.
            lose_ends(&mut finished);
        }
        self.tidy(&mut finished, interactive);
        Ok((outcome, finished))
    }

    /// A call that was stopped before its command could begin says so.
    fn not_begun(&self, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled) {
            return error;
        }
        let report = KillReport::new(Fate::NeverStarted, 0, Vec::new(), Duration::ZERO);
        let partial = if self.bridged {
            let none = StreamReport::new(0, StreamEnd::Stopped);
            Partial::Streams { stdin: StreamReport::default(), stdout: none, stderr: none }
        } else {
            let none = CapturedOutput::default().with_end(StreamEnd::Stopped);
            Partial::Output { stdout: none.clone(), stderr: none }
        };
        error.with_kill_report(report).with_partial(partial)
    }

    fn refuse_unserved(&self) -> Result<()> {
        let missing = self.request.demands().missing_from(crate::capabilities());
        if missing.is_empty() {
            return Ok(());
        }
        // Of what an exec can demand, podman lacks one: it turns bytes that are not UTF-8 into U+FFFD without a word.
        Err(self.about(Error::unsupported(OPERATION, missing)).with_hint("podman takes only UTF-8"))
    }

    /// Ends the command where it runs, and makes the error of it.
    fn end(
        &self,
        process: &mut Process<'_>,
        why: Why,
        marker: &Marker,
        started: SystemTime,
        interactive: bool,
    ) -> Error {
        let report = kill::end_exec(self.container, process, marker, started, self.request.user());
        let mut finished = process.finish();
        self.tidy(&mut finished, interactive);
        tracing::debug!(container = %self.container.name(), %report, "a command was ended");
        let error = match why {
            Why::Stop(stop) => Error::stopped(stop, OPERATION),
            Why::Source(cause) => Error::source_failed(OPERATION, cause),
            Why::Sink(stream, cause) => Error::sink_failed(OPERATION, stream, cause),
        };
        self.about(error)
            .with_hint(report.fate.advice())
            .with_kill_report(report)
            .with_partial(self.partial(finished))
    }

    fn partial(&self, finished: Finished) -> Partial {
        if self.bridged {
            Partial::Streams { stdin: finished.stdin, stdout: finished.stdout, stderr: finished.stderr }
        } else {
            Partial::Output { stdout: finished.stdout_capture, stderr: finished.stderr_capture }
        }
    }

    /// What the client's exit says of the command. podman uses 125, 126, 127 and 255 for failures of its own, and so may
    /// the command; 137 and 255 may be the command's end or the container's.
    fn judge(&self, finished: &Finished, started: SystemTime, alone: bool) -> Result<ExitOutcome> {
        let code = match finished.status {
            Some(ExitStatus::Code(code)) => code,
            Some(ExitStatus::Signal(_)) | None => return Ok(ExitOutcome::Lost),
        };
        let stderr = self.without_own_lines(&finished.stderr_capture.text());
        let said = matches!(code, 125 | 126 | 127 | 255).then(|| failure::classify(&stderr)).flatten();
        if code == 125 && said.is_none() && finished.stdout.bytes == 0 && self.never_began(started, alone) {
            return Err(Failure::Other.into_error(OPERATION, self.container.name(), &stderr));
        }
        // podman itself writes nothing to stdout: whoever did has run.
        if let Some(failure) = said
            && finished.stdout.bytes == 0
            && !self.has_run(code, failure, started, alone)
        {
            return Err(failure.into_error(OPERATION, self.container.name(), &stderr));
        }
        if (said.is_some() || matches!(code, 137 | 255)) && self.container.has_gone_since(started) {
            return Ok(ExitOutcome::Lost);
        }
        Ok(ExitOutcome::Code(code))
    }

    /// Whether podman's event log is sure that the command never began.
    fn never_began(&self, started: SystemTime, alone: bool) -> bool {
        let events = ExecEvents::since(self.container.engine(), self.container.name(), started);
        alone && events.is_some_and(|events| events.started == 0)
    }

    /// Whether the command has run, in spite of podman's words on stderr: podman's event log has its end, with its code,
    /// before the client leaves. Where other commands ran in the meantime that end may be another's; then, and without a
    /// log, the words decide, and the code.
    fn has_run(&self, code: i32, failure: Failure, started: SystemTime, alone: bool) -> bool {
        match ExecEvents::since(self.container.engine(), self.container.name(), started) {
            Some(events) if events.started == 0 => false,
            Some(events) if !events.ended_with(code) && failure != Failure::Removed => false,
            Some(events) if alone && events.started == 1 => true,
            // Said only of a container that was there.
            _ => failure == Failure::Removed || failure == Failure::Other && code != 125,
        }
    }

    /// podman's words, without lines of the request's own words: those must not be read as an error of podman's.
    fn without_own_lines(&self, stderr: &str) -> String {
        let user = self.request.user().map(ToString::to_string);
        let own = [
            Some(self.request.argv().program().to_string_lossy()),
            self.request.workdir().map(|workdir| workdir.as_os_str().to_string_lossy()),
            user.as_deref().map(Into::into),
        ];
        own.into_iter().flatten().fold(stderr.to_owned(), |text, word| failure::without_lines_of(text, &word))
    }

    /// What the caller gets of the streams. A command without a stdin has none in its report either: what went into podman's
    /// was the env file of its secrets. And of a captured stderr it is as much as was asked for.
    fn tidy(&self, finished: &mut Finished, interactive: bool) {
        if !interactive {
            finished.stdin = StreamReport::default();
        }
        if !self.bridged {
            let kept = std::mem::take(&mut finished.stderr_capture);
            finished.stderr_capture = narrowed(kept, self.request.stderr_limit());
        }
    }

    fn about(&self, error: Error) -> Error {
        error.in_container(self.container.name())
    }
}

/// Says of both outputs that they did not come to their own end.
fn lose_ends(finished: &mut Finished) {
    for report in [&mut finished.stdout, &mut finished.stderr] {
        report.end = StreamEnd::Stopped;
    }
    for captured in [&mut finished.stdout_capture, &mut finished.stderr_capture] {
        *captured = std::mem::take(captured).with_end(StreamEnd::Stopped);
    }
}

/// What a smaller limit would have kept; `kept` was taken with one of the same head and of no smaller a tail.
fn narrowed(kept: CapturedOutput, limit: OutputLimit) -> CapturedOutput {
    if !kept.is_truncated() {
        let mut capture = Capture::new(limit);
        capture.push(kept.as_bytes());
        return capture.finish(kept.end());
    }
    let tail = kept.tail();
    let dropped = tail.len().saturating_sub(limit.tail());
    CapturedOutput::cut(kept.head(), kept.omitted() + dropped as u64, &tail[dropped..]).with_end(kept.end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_narrowed_output_is_what_the_smaller_limit_keeps(
            stream in proptest::collection::vec(any::<u8>(), 0..200), head in 0usize..80, tail in 0usize..40, more in 0usize..80,
        ) {
            let capture = |limit| {
                let mut capture = Capture::new(limit);
                capture.push(&stream);
                capture.finish(StreamEnd::LeftOpen)
            };
            let limit = OutputLimit::head_and_tail(head, tail);
            let kept = capture(OutputLimit::head_and_tail(head, tail + more));
            prop_assert_eq!(narrowed(kept, limit), capture(limit));
        }
    }
}
