//! Running a command with `podman exec`, and judging what came of it.

use std::time::SystemTime;

use rt_process::{Drive, ExitStatus, Finished, Output, Process, Streams, with_process};
use rt_protocol::{
    Error, ExecRequest, ExecResult, ExecStdio, ExitOutcome, Fate, KillReport, OutputLimit, OutputStream,
    Partial, Result, StdioResult, Stop, StreamReport, Until,
};

use crate::container::PodmanContainer;
use crate::engine::process_error;
use crate::exec_events::ExecEvents;
use crate::failure::{self, Failure};
use crate::{exec_argv, kill};
use rt_process::Marker;

const OPERATION: &str = "exec in";

/// What is kept of a bridged command's stderr, to read podman's own last words from.
const LAST_WORDS: OutputLimit = OutputLimit::head_and_tail(0, 16 << 10);

/// Runs a command and captures its output.
pub(crate) fn captured(
    container: &PodmanContainer,
    request: &ExecRequest,
    until: &Until,
) -> Result<ExecResult> {
    let streams = Streams::captured(request.stdout_limit(), request.stderr_limit());
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
        stderr: Output::Tee(stdio.stderr, LAST_WORDS),
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
        if let Err(stop) = until.check() {
            let report = KillReport::new(Fate::NeverStarted, 0, Vec::new(), std::time::Duration::ZERO);
            return Err(self.about(Error::stopped(stop, OPERATION)).with_kill_report(report));
        }
        self.refuse_unserved()?;
        self.container.refuse_microvm(OPERATION, until)?;
        let target = self.container.target()?;
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
                        kill::end_exec(self.container, process, &marker, started);
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
        hide_env_file(&mut finished, interactive);
        let outcome = self.judge(&finished, started, overlap.alone())?;
        Ok((outcome, finished))
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
        let report = kill::end_exec(self.container, process, marker, started);
        let mut finished = process.finish();
        hide_env_file(&mut finished, interactive);
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
        let stderr = finished.stderr_capture.text();
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

    /// Whether the command has run, in spite of podman's words on stderr: podman's event log knows, unless other commands
    /// ran in the meantime. Then, and without a log, the words decide, and the code.
    fn has_run(&self, code: i32, failure: Failure, started: SystemTime, alone: bool) -> bool {
        match ExecEvents::since(self.container.engine(), self.container.name(), started) {
            Some(events) if events.started == 0 => false,
            Some(events) if alone && events.started == 1 => true,
            Some(events) if !events.ended_with(code) && failure != Failure::Removed => false,
            // Said only of a container that was there.
            _ => failure == Failure::Removed || failure == Failure::Other && code != 125,
        }
    }

    fn about(&self, error: Error) -> Error {
        error.in_container(self.container.name())
    }
}

/// A command without a stdin has none in its report either: what went into podman's was the env file of its secrets.
fn hide_env_file(finished: &mut Finished, interactive: bool) {
    if !interactive {
        finished.stdin = StreamReport::default();
    }
}
