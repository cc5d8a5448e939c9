//! Runs a command with `podman exec`, and judges the result.

pub(crate) mod argv;
pub(crate) mod attach_socket;
pub(crate) mod events;
pub(crate) mod held_streams;
pub(crate) mod kill;
pub(crate) mod session;
pub(crate) mod signal_slot;
pub(crate) mod target;
pub(crate) mod verdict;
pub(crate) mod warm;
pub(crate) mod witness;

use std::borrow::Cow;
use std::sync::Arc;

use rt_process::{ExitStatus, Finished, Output, Process, Streams, with_process};
use rt_protocol::{
    BackgroundCommand, Capture, CapturedOutput, CommandControl, CommandStreams, Error, ErrorKind,
    ExecRequest, ExecResult, ExecStdio, ExitOutcome, Interruption, KillOutcome, OperationSpan, OutputLimit,
    PartialOutput, Result, StdioResult, StreamEnd, StreamReport, Until,
};

use crate::cli::answer;
use crate::cli::engine::process_error;
use crate::cli::failure::{self, Failure};
use crate::state::improper_state;
use crate::state::target::Target;
use events::LogEnd;
use held_streams::held_streams;
use kill::started_exec::StartedExec;
use rt_process::ExecMarker;
use signal_slot::SignalSlot;
use target::ExecTarget;
use verdict::{Facts, Verdict};
use warm::WarmCall;
use witness::ExecWitness;

pub(crate) const OPERATION: &str = "exec in";

/// How much of the end of stderr is always kept, in bytes: podman's own last message is there.
const LAST_WORDS: usize = 16 << 10;

/// Runs a command and captures its output.
pub(crate) fn captured(
    container: &Target,
    request: &ExecRequest,
    until: &Until,
    span: &OperationSpan,
) -> Result<ExecResult> {
    refuse_unserved(container, request)?;
    if let Some(warm) = WarmCall::open(container, request, false, until)? {
        span.set_path("warm");
        if let Some(result) = warm.captured(request, until)? {
            return Ok(result);
        }
    }
    span.set_path("cold");
    let limit = request.stderr_limit();
    let kept = OutputLimit::head_and_tail(limit.head(), limit.tail().max(LAST_WORDS));
    let streams = Streams::captured(request.stdout_limit(), if limit.is_unlimited() { limit } else { kept });
    let call = Call { container, request, bridged: false, signals: None };
    let (outcome, finished) = call.run(streams, until)?;
    Ok(ExecResult::new(outcome, finished.stdout_capture, finished.stderr_capture, finished.elapsed))
}

/// Runs a command with its streams bridged.
pub(crate) fn bridged(
    container: &Target,
    request: &ExecRequest,
    stdio: ExecStdio<'_>,
    until: &Until,
    span: &OperationSpan,
) -> Result<StdioResult> {
    refuse_unserved(container, request)?;
    if let Some(warm) = WarmCall::open(container, request, true, until)? {
        span.set_path("warm");
        return warm.bridged(request, stdio, None, until);
    }
    span.set_path("cold");
    cold_bridged(container, request, stdio, None, until)
}

pub(crate) fn cold_bridged(
    container: &Target,
    request: &ExecRequest,
    stdio: ExecStdio<'_>,
    signals: Option<&SignalSlot>,
    until: &Until,
) -> Result<StdioResult> {
    stdio.bridge(request, |stdio| {
        let streams = Streams {
            stdin: stdio.stdin,
            stdout: Output::Bridge(stdio.stdout),
            stderr: Output::Tee(stdio.stderr, OutputLimit::head_and_tail(0, LAST_WORDS)),
        };
        let call = Call { container, request, bridged: true, signals };
        let (outcome, finished) = call.run(streams, until)?;
        Ok(StdioResult::new(outcome, finished.stdin, finished.stdout, finished.stderr, finished.elapsed))
    })
}

/// Starts a command, which holds its streams itself if it may.
pub(crate) fn spawned(
    container: &Target,
    request: &ExecRequest,
    streams: &mut CommandStreams,
    until: &Until,
    span: &OperationSpan,
) -> Result<Box<dyn CommandControl>> {
    refuse_unserved(container, request)?;
    if let Some(warm) = WarmCall::open(container, request, true, until)? {
        span.set_path("warm");
        match streams.pipes(request) {
            None => return warm.background(request, streams.take(), span),
            Some(pipes) => {
                if let Some(command) = warm.spawned(request, &pipes, until)? {
                    return Ok(command);
                }
            }
        }
    }
    span.set_path("cold");
    let (stdio, signals) = (streams.take(), Arc::<SignalSlot>::default());
    let call = {
        let (container, request, signals) = (container.clone(), request.clone(), Arc::clone(&signals));
        move |until: &Until| {
            let result = cold_bridged(&container, &request, stdio, Some(&signals), until);
            signals.close();
            result
        }
    };
    let command =
        BackgroundCommand::start(span.wrap(call)).map_err(|error| error.in_container(container.name()))?;
    let (slot, of_slot) = (Arc::clone(&signals), container.clone());
    let command = command.with_resizes(move |size| slot.resize(&of_slot, size));
    let (container, user) = (container.clone(), request.user().cloned());
    Ok(Box::new(command.with_signals(move |signal| signals.send(&container, user.as_ref(), signal))))
}

/// Refuses what the exec path of the runtime does not serve in every container.
fn refuse_unserved(container: &Target, request: &ExecRequest) -> Result<()> {
    argv::refuse_marker(request)?;
    let missing = request.required_capabilities().difference(container.state().exec_path.capabilities());
    if missing.is_empty() {
        return Ok(());
    }
    // podman lacks one capability that an exec can require: it silently replaces bytes that are not
    // UTF-8 by U+FFFD.
    Err(Error::unsupported(OPERATION, missing)
        .in_container(container.name())
        .with_hint("podman takes only UTF-8; the warm path takes all bytes (ExecPath::Warm)"))
}

/// One exec in progress.
struct Call<'a> {
    container: &'a Target,
    request: &'a ExecRequest,
    bridged: bool,
    signals: Option<&'a SignalSlot>,
}

impl Call<'_> {
    fn run(&self, mut streams: Streams<'_>, until: &Until) -> Result<(ExitOutcome, Finished)> {
        until.check().map_err(|stop| self.not_started(Error::stopped(stop, OPERATION)))?;
        let target = self.container.exec_target(OPERATION, until).map_err(|error| self.not_started(error))?;
        let marker = ExecMarker::fresh();
        let interactive = !streams.stdin.is_empty();
        let call = self.container.engine().spec::<_, &str>([]);
        let passed = argv::exec(call, self.request, interactive, &marker, &target.id)
            .map_err(|error| self.with_container(error))?;
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
        let mut witness = ExecWitness::of(target.static_dir.as_deref(), &marker);
        if interactive {
            witness = witness.with_stdin();
        }
        let log = self.log_end(&target, &witness, until);
        with_process(&call, streams, |process| {
            let exec = StartedExec::of(&target, process, marker);
            self.signals.iter().for_each(|signals| signals.start(&target, &exec));
            if let Err(interruption) = process.drive_with(until, &mut witness) {
                return Err(self.end(process, interruption, &exec, &mut witness, interactive));
            }
            let mut finished = process.finish();
            witness.look(process);
            let said = self.said(&finished);
            let is_remote = if witness.has_copied_socket() { Some(false) } else { self.is_remote() };
            if is_remote != Some(false) {
                witness.note_remote();
            }
            let facts = Facts {
                container: self.container,
                target: &target,
                witness: &mut witness,
                process,
                log: &log,
                finished: &finished,
                said,
                alone: overlap.alone(),
                is_remote: is_remote == Some(true),
            };
            let verdict = facts.judge();
            let cut = witness.cut_outputs(finished.stdin, finished.stdout.total() + finished.stderr.total());
            end_outputs(&mut finished, cut, StreamEnd::Stopped);
            self.caller_report(&mut finished, interactive);
            self.conclude(verdict, process, finished, &mut witness, &exec)
        })
        .map_err(|error| self.with_container(process_error(OPERATION, error)))?
    }

    /// Returns where podman's log of execs ends before this one. Reads the log only if nothing else
    /// can show the command's fate.
    fn log_end(&self, target: &ExecTarget, witness: &ExecWitness, until: &Until) -> LogEnd {
        if witness.can_see() {
            return LogEnd::unasked(&target.id);
        }
        let profile = self.container.state().profile(until).ok();
        let logger = profile.and_then(|profile| profile.events_logger.as_deref());
        LogEnd::read(self.container.engine(), logger, &target.id, until)
    }

    /// Returns whether the client is one of a podman service; `None` if podman does not say.
    fn is_remote(&self) -> Option<bool> {
        let until = Until::after(self.container.engine().limits.read);
        self.container.state().profile(&until).ok()?.remote
    }

    /// Classifies podman's last message, if the client's exit code is one of podman's own.
    fn said(&self, finished: &Finished) -> Option<Failure> {
        let code = finished.status.and_then(ExitStatus::code)?;
        if !matches!(code, 125 | 126 | 127 | 255) {
            return None;
        }
        let capture = &finished.stderr_capture;
        // Of a message with a very long word, only the end is left.
        let heard = if capture.is_truncated() {
            Cow::from(format!("Error: {}", String::from_utf8_lossy(capture.tail())))
        } else {
            capture.text()
        };
        failure::classify(&self.without_own_words(&heard))
    }

    /// Builds the caller's result. What may still run of the command is ended first.
    fn conclude(
        &self,
        verdict: Verdict,
        process: &mut Process<'_>,
        mut finished: Finished,
        witness: &mut ExecWitness,
        exec: &StartedExec<'_>,
    ) -> Result<(ExitOutcome, Finished)> {
        let stderr = finished.stderr_capture.text().into_owned();
        let failed = |failure: Failure| match failure {
            Failure::NotRunning => improper_state::of_state(self.container, OPERATION, &stderr),
            failure => {
                failure.into_error(OPERATION, self.container.name(), &stderr).of_command(self.request.argv())
            }
        };
        let error = match verdict {
            Verdict::Outcome(outcome) if outcome != ExitOutcome::Lost => {
                end_outputs(&mut finished, held_streams(exec.marker(), process.pid()), StreamEnd::LeftOpen);
                return Ok((outcome, finished));
            }
            Verdict::Outcome(_) => {
                lose_ends(&mut finished);
                return Ok((ExitOutcome::Lost, finished));
            }
            Verdict::Refused(failure) => return Err(failed(failure)),
            Verdict::Failed(failure) => Some(failed(failure)),
            Verdict::Interrupted => None,
        };
        // The client's streams came to their end, but the command's may not have.
        lose_ends(&mut finished);
        // The command's end would never be reported. The client's last message is not the command's
        // output.
        let report = kill::end_exec(self.container, process, exec, witness, self.request.user());
        tracing::debug!(container = %self.container.name(), %report, "the client of an exec was ended by somebody else");
        let error = match error {
            Some(error) => error,
            // It may have run, and nothing of it is left. podman itself writes nothing to stdout,
            // so bytes there show that it ran, whatever the records say.
            None if report.outcome == KillOutcome::Gone
                || report.outcome == KillOutcome::NeverStarted && finished.stdout.total() > 0 =>
            {
                return Ok((ExitOutcome::Lost, finished));
            }
            None => interrupted(&finished),
        };
        Err(self.with_container(error).of_ended_command(report, self.partial(finished)))
    }

    /// Marks an error of a call that was stopped before its command could begin.
    fn not_started(&self, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled) {
            return error;
        }
        self.with_container(error).of_unstarted_command(self.bridged)
    }

    /// Ends the command where it runs, and builds the error.
    fn end(
        &self,
        process: &mut Process<'_>,
        interruption: Interruption,
        exec: &StartedExec<'_>,
        witness: &mut ExecWitness,
        interactive: bool,
    ) -> Error {
        witness.release_socket();
        let report = kill::end_exec(self.container, process, exec, witness, self.request.user());
        let mut finished = process.finish();
        lose_ends(&mut finished);
        self.caller_report(&mut finished, interactive);
        tracing::debug!(container = %self.container.name(), %report, "a command was ended");
        self.with_container(interruption.into_error(OPERATION))
            .of_ended_command(report, self.partial(finished))
    }

    fn partial(&self, finished: Finished) -> PartialOutput {
        if self.bridged {
            PartialOutput::Streams { stdin: finished.stdin, stdout: finished.stdout, stderr: finished.stderr }
        } else {
            PartialOutput::Output { stdout: finished.stdout_capture, stderr: finished.stderr_capture }
        }
    }

    /// Returns podman's text without the request's words, which must not be read as an error of
    /// podman.
    fn without_own_words(&self, stderr: &str) -> String {
        let user = self.request.user().map(ToString::to_string);
        let own = [
            Some(self.request.argv().program().to_string_lossy()),
            self.request.workdir().map(|workdir| workdir.as_os_str().to_string_lossy()),
            user.as_deref().map(Into::into),
        ];
        own.into_iter().flatten().fold(stderr.to_owned(), |text, word| failure::without_word(text, &word))
    }

    /// Reduces the report to the caller's streams. A command without a stdin has none in its
    /// report: what went into podman's stdin was the env file of its secrets. Of a captured stderr,
    /// as much is kept as was requested.
    fn caller_report(&self, finished: &mut Finished, interactive: bool) {
        if !interactive {
            finished.stdin = StreamReport::default();
        }
        if !self.bridged {
            let kept = std::mem::take(&mut finished.stderr_capture);
            finished.stderr_capture = narrowed(kept, self.request.stderr_limit());
        }
    }

    fn with_container(&self, error: Error) -> Error {
        error.in_container(self.container.name())
    }
}

/// Marks these outputs as not ended by themselves, although the client's were.
fn end_outputs(finished: &mut Finished, which: [bool; 2], end: StreamEnd) {
    let reports = [&mut finished.stdout, &mut finished.stderr];
    let captures = [&mut finished.stdout_capture, &mut finished.stderr_capture];
    for ((report, captured), _) in reports.into_iter().zip(captures).zip(which).filter(|(_, which)| *which) {
        if report.end == StreamEnd::Eof {
            report.end = end;
        }
        if captured.end() == StreamEnd::Eof {
            *captured = std::mem::take(captured).with_end(end);
        }
    }
}

/// Marks both outputs: the command was ended, or may continue.
fn lose_ends(finished: &mut Finished) {
    end_outputs(finished, [true; 2], StreamEnd::Stopped);
}

/// Builds the error of a call whose client was ended by another process.
fn interrupted(finished: &Finished) -> Error {
    match finished.status {
        Some(status) => {
            let how = format!("podman's client of it was ended from outside ({status})");
            Error::new(ErrorKind::BackendInterrupted, OPERATION, how)
        }
        None => answer::lost_status(OPERATION),
    }
}

/// Returns what a smaller limit would have kept. `kept` was captured with the same head and a tail
/// that is no smaller.
fn narrowed(kept: CapturedOutput, limit: OutputLimit) -> CapturedOutput {
    if !kept.is_truncated() {
        let mut capture = Capture::new(limit);
        capture.push(kept.as_bytes());
        return capture.finish(kept.end());
    }
    let tail = kept.tail();
    let dropped = tail.len().saturating_sub(limit.tail());
    CapturedOutput::truncated(kept.head(), kept.omitted() + dropped as u64, &tail[dropped..])
        .with_end(kept.end())
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
