//! Running a command with `podman exec`, and judging what came of it.

pub(crate) mod argv;
pub(crate) mod attach_socket;
pub(crate) mod events;
pub(crate) mod held_streams;
pub(crate) mod kill;
pub(crate) mod session;
pub(crate) mod target;
pub(crate) mod verdict;
pub(crate) mod witness;

use std::borrow::Cow;

use rt_process::{ExitStatus, Finished, Output, Process, Streams, with_process};
use rt_protocol::{
    Capture, CapturedOutput, Error, ErrorKind, ExecRequest, ExecResult, ExecStdio, ExitOutcome, Interruption,
    KillOutcome, OutputLimit, PartialOutput, Result, StdioResult, StreamEnd, StreamReport, Until,
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
use target::ExecTarget;
use verdict::{Facts, Verdict};
use witness::ExecWitness;

const OPERATION: &str = "exec in";

/// What is kept of stderr in any case, in bytes of its end: podman's own last words stand there.
const LAST_WORDS: usize = 16 << 10;

/// Runs a command and captures its output.
pub(crate) fn captured(container: &Target, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
    let limit = request.stderr_limit();
    let kept = OutputLimit::head_and_tail(limit.head(), limit.tail().max(LAST_WORDS));
    let streams = Streams::captured(request.stdout_limit(), if limit.is_unlimited() { limit } else { kept });
    let call = Call { container, request, bridged: false };
    let (outcome, finished) = call.run(streams, until)?;
    Ok(ExecResult::new(outcome, finished.stdout_capture, finished.stderr_capture, finished.elapsed))
}

/// Runs a command with its streams bridged.
pub(crate) fn bridged(
    container: &Target,
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
    container: &'a Target,
    request: &'a ExecRequest,
    bridged: bool,
}

impl Call<'_> {
    fn run(&self, mut streams: Streams<'_>, until: &Until) -> Result<(ExitOutcome, Finished)> {
        until.check().map_err(|stop| self.not_started(Error::stopped(stop, OPERATION)))?;
        self.refuse_unserved()?;
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
            if let Err(interruption) = process.drive_with(until, &mut witness) {
                return Err(self.end(process, interruption, &exec, &mut witness, interactive));
            }
            let mut finished = process.finish();
            witness.look(process);
            let said = self.said(&finished);
            let facts = Facts {
                container: self.container,
                target: &target,
                witness: &mut witness,
                process,
                log: &log,
                finished: &finished,
                said,
                alone: overlap.alone(),
            };
            let verdict = facts.judge();
            let cut = witness.cut_outputs(finished.stdin, finished.stdout.bytes + finished.stderr.bytes);
            end_outputs(&mut finished, cut, StreamEnd::Stopped);
            self.caller_report(&mut finished, interactive);
            self.conclude(verdict, process, finished, &mut witness, &exec)
        })
        .map_err(|error| self.with_container(process_error(OPERATION, error)))?
    }

    /// Where podman's log of execs ends before this one. Asked for only where nothing else can tell what becomes of it.
    fn log_end(&self, target: &ExecTarget, witness: &ExecWitness, until: &Until) -> LogEnd {
        if witness.can_see() {
            return LogEnd::unasked(&target.id);
        }
        let profile = self.container.state().profile(until).ok();
        let logger = profile.and_then(|profile| profile.events_logger.as_deref());
        LogEnd::read(self.container.engine(), logger, &target.id, until)
    }

    /// What podman's last words mean, where the client's code is one of podman's own.
    fn said(&self, finished: &Finished) -> Option<Failure> {
        let code = finished.status.and_then(ExitStatus::code)?;
        if !matches!(code, 125 | 126 | 127 | 255) {
            return None;
        }
        let capture = &finished.stderr_capture;
        // Of a sentence with a very long word in it only the end is left.
        let heard = if capture.is_truncated() {
            Cow::from(format!("Error: {}", String::from_utf8_lossy(capture.tail())))
        } else {
            capture.text()
        };
        failure::classify(&self.without_own_words(&heard))
    }

    /// The caller's answer. What may still run of the command is ended first.
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
        // The client's streams came to their end, and the command's may not have.
        lose_ends(&mut finished);
        // Nobody would ever hear of the command; what the client said on its way out is not the command's.
        let report = kill::end_exec(self.container, process, exec, witness, self.request.user());
        tracing::debug!(container = %self.container.name(), %report, "the client of an exec was ended by somebody else");
        let error = match error {
            Some(error) => error,
            // It may have run, and nothing of it is left. podman itself writes nothing to stdout: whoever did has run,
            // whatever the records say.
            None if report.outcome == KillOutcome::Gone
                || report.outcome == KillOutcome::NeverStarted && finished.stdout.bytes > 0 =>
            {
                return Ok((ExitOutcome::Lost, finished));
            }
            None => interrupted(&finished),
        };
        Err(self.with_container(error).of_ended_command(report, self.partial(finished)))
    }

    /// A call that was stopped before its command could begin says so.
    fn not_started(&self, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled) {
            return error;
        }
        self.with_container(error).of_unstarted_command(self.bridged)
    }

    fn refuse_unserved(&self) -> Result<()> {
        let missing = self.request.required_capabilities().difference(crate::capabilities());
        if missing.is_empty() {
            return Ok(());
        }
        // Of what an exec can demand, podman lacks one: it turns bytes that are not UTF-8 into U+FFFD without a word.
        Err(self.with_container(Error::unsupported(OPERATION, missing)).with_hint("podman takes only UTF-8"))
    }

    /// Ends the command where it runs, and makes the error of it.
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

    /// podman's words, without those of the request: they must not be read as an error of podman's.
    fn without_own_words(&self, stderr: &str) -> String {
        let user = self.request.user().map(ToString::to_string);
        let own = [
            Some(self.request.argv().program().to_string_lossy()),
            self.request.workdir().map(|workdir| workdir.as_os_str().to_string_lossy()),
            user.as_deref().map(Into::into),
        ];
        own.into_iter().flatten().fold(stderr.to_owned(), |text, word| failure::without_word(text, &word))
    }

    /// What the caller gets of the streams. A command without a stdin has none in its report either: what went into podman's
    /// was the env file of its secrets. And of a captured stderr it is as much as was asked for.
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

/// Says of these outputs that they did not come to their own end, though the client's did.
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

/// Says it of both: the command was ended, or may go on.
fn lose_ends(finished: &mut Finished) {
    end_outputs(finished, [true; 2], StreamEnd::Stopped);
}

/// The error of a call whose client was ended by somebody else.
fn interrupted(finished: &Finished) -> Error {
    match finished.status {
        Some(status) => {
            let how = format!("podman's client of it was ended from outside ({status})");
            Error::new(ErrorKind::BackendInterrupted, OPERATION, how)
        }
        None => answer::lost_status(OPERATION),
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
