//! Watching a container until it is ready: rounds of one inspect, one attempt at each condition, and a look at the log.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::condition::Condition;
use super::probe::{OPERATION, ProbeSuccess, probe_exec, probe_health, probe_port, probe_reachable};
use crate::{
    CapturedOutput, Container, ContainerInfo, ContainerState, Error, ErrorKind, LogLine, LogOptions,
    OutputStream, PartialOutput, Pull, PullStream, Ready, ReadyWhen, Result, TimeLimits, Until, UntilError,
};

/// How many of the last log lines an error carries, and how long a line may be.
const LAST_LINES: usize = 20;
const MAX_LINE_BYTES: usize = 16 << 10;

/// How long the log of a container that has ended may take for its last lines, beyond the caller's limit.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(5);

/// What is said of a condition before anything is known of it.
const NOT_SEEN: &str = "not seen";

/// One wait.
pub(crate) struct ReadyWatch<'a> {
    container: &'a dyn Container,
    until: &'a Until,
    conditions: Vec<ConditionState<'a>>,
    log: Option<Box<dyn PullStream<LogLine>>>,
    last_lines: VecDeque<LogLine>,
}

/// One condition and what came of it so far.
struct ConditionState<'a> {
    condition: &'a Condition,
    met: Option<ProbeSuccess>,
    /// Why it was not met when last tried.
    last_failure: String,
}

impl ReadyWhen {
    /// Waits until all conditions are met.
    ///
    /// Nothing is left behind, however it ends. `until` bounds the wait as a whole; a TCP attempt that is on its way when it
    /// ends is still answered within its own limit.
    ///
    /// # Errors
    /// - [`NotRunning`](crate::ErrorKind::NotRunning) as soon as the container has ended, or when it was never started,
    ///   with its state and exit code, and what was not met.
    /// - [`NoSuchContainer`](crate::ErrorKind::NoSuchContainer) as soon as it is gone.
    /// - [`TimedOut`](crate::ErrorKind::TimedOut) with what was not met, and why; [`Cancelled`](crate::ErrorKind::Cancelled).
    /// - [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a health condition on a container without a check.
    /// - What inspect and logs answer, and what an exec answers that no patience can mend
    ///   ([`Unsupported`](crate::ErrorKind::Unsupported), a missing engine, a refused identity).
    ///
    /// [`Error::partial`](crate::Error::partial) has the last lines of the log, by output, for all but the last two.
    pub fn wait(&self, container: &dyn Container, until: impl Into<Until>) -> Result<Ready> {
        ReadyWatch::new(self, container, &until.into())
            .run()
            .map_err(|error| error.in_container(&container.key().name))
    }
}

impl<'a> ReadyWatch<'a> {
    pub(crate) fn new(when: &'a ReadyWhen, container: &'a dyn Container, until: &'a Until) -> Self {
        let state = |condition| ConditionState { condition, met: None, last_failure: String::from(NOT_SEEN) };
        let conditions = when.conditions.iter().map(state).collect();
        Self { container, until, conditions, log: None, last_lines: VecDeque::new() }
    }

    pub(crate) fn run(mut self) -> Result<Ready> {
        let begun = Instant::now();
        loop {
            self.until.check().map_err(|stop| self.stopped(stop))?;
            let found = self.container.inspect(&self.question());
            let info = found.map_err(|error| self.interrupted(error))?.ok_or_else(|| {
                Error::new(ErrorKind::NoSuchContainer, OPERATION, "").with_hint("create it first")
            })?;
            if matches!(info.state, ContainerState::Created | ContainerState::Removing)
                || info.state.has_exited()
            {
                self.read_last_lines();
                return Err(self.not_running(&info));
            }
            // One that is paused, stopping, or in a state of a later engine may come back, or end.
            if info.state.is_running() {
                self.probe(&info)?;
                if self.all_met() {
                    return Ok(self.ready(begun.elapsed()));
                }
            }
            if self.wants_lines() && self.log.is_none() {
                self.last_lines.clear();
                let opened = self.container.logs(&log_options(&info), &self.question());
                self.log = Some(opened.map_err(|error| self.interrupted(error))?);
            }
            self.follow_log()?;
        }
    }

    /// What one question to the engine may take: the rest of the wait, or of a long one the engine's own limit, so that an
    /// engine that hangs is told as such.
    fn question(&self) -> Until {
        match self.until.remaining() {
            Some(left) if left < TimeLimits::DEFAULT.read => self.until.clone(),
            _ => self.without_deadline(),
        }
    }

    fn without_deadline(&self) -> Until {
        self.until.cancel_token().map_or_else(Until::forever, Until::cancelled)
    }

    /// The error of a question, or of the wait that ended meanwhile.
    fn interrupted(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::TimedOut => self.stopped(UntilError::DeadlineExceeded),
            ErrorKind::Cancelled => self.stopped(UntilError::Cancelled),
            _ => error,
        }
    }

    fn all_met(&self) -> bool {
        self.conditions.iter().all(|state| state.met.is_some())
    }

    fn wants_lines(&self) -> bool {
        self.conditions
            .iter()
            .any(|state| state.met.is_none() && matches!(state.condition, Condition::LogLine { .. }))
    }

    fn ready(self, elapsed: Duration) -> Ready {
        let mut ready = Ready { elapsed, ..Ready::default() };
        for state in self.conditions {
            match state.met {
                Some(ProbeSuccess::Line(line)) => ready.lines.push(line),
                Some(ProbeSuccess::Address(address)) => ready.addresses.push(address),
                Some(ProbeSuccess::Plain) | None => {}
            }
        }
        ready
    }

    /// One attempt at each condition that is not met yet.
    fn probe(&mut self, info: &ContainerInfo) -> Result<()> {
        for state in self.conditions.iter_mut().filter(|state| state.met.is_none()) {
            let attempt = match state.condition {
                Condition::LogLine { .. } => continue,
                Condition::Exec(request) => probe_exec(self.container, request, self.until)?,
                Condition::Reachable => probe_reachable(self.container, self.until)?,
                Condition::TcpPort(port) => probe_port(&info.ports, *port, self.until),
                Condition::Healthy => probe_health(info.health.as_ref())?,
            };
            match attempt {
                Ok(met) => state.met = Some(met),
                // An attempt that was cut short by the end of the wait says less than the one before it.
                Err(failure) if state.last_failure == NOT_SEEN || self.until.check().is_ok() => {
                    state.last_failure = failure;
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Spends the pause, on the log where a line of it is wanted.
    fn follow_log(&mut self) -> Result<()> {
        let pause = self.until.clone().or_after(ReadyWhen::PAUSE);
        while let Some(log) = self.log.as_mut() {
            match log.pull(&pause) {
                Ok(Pull::Item(line)) => self.match_line(line),
                Ok(Pull::Pending) => return Ok(()),
                // The container has ended, which the next inspect says; if it has not, its log is opened again.
                Ok(Pull::End) => self.log = None,
                Err(error) => self.handle_log_error(error)?,
            }
            if !self.wants_lines() {
                self.log = None;
            }
        }
        // A limit that is over is seen at the beginning of the next round.
        let _: std::result::Result<(), UntilError> = pause.sleep(ReadyWhen::PAUSE);
        Ok(())
    }

    /// Of a log that may have lost lines, as of any that has ended, the next inspect says more.
    fn handle_log_error(&mut self, error: Error) -> Result<()> {
        if error.kind() != ErrorKind::Incomplete {
            return Err(error);
        }
        self.log = None;
        for state in self.conditions.iter_mut().filter(|state| state.met.is_none()) {
            if matches!(state.condition, Condition::LogLine { .. }) {
                state.last_failure = format!("{NOT_SEEN}; {}", error.message());
            }
        }
        Ok(())
    }

    fn match_line(&mut self, line: LogLine) {
        let text = line.text().into_owned();
        for state in self.conditions.iter_mut().filter(|state| state.met.is_none()) {
            if let Condition::LogLine { is_sign, .. } = state.condition
                && is_sign(&text)
            {
                state.met = Some(ProbeSuccess::Line(text.clone()));
            }
        }
        if self.last_lines.len() == LAST_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line);
    }

    /// Reads what a container that has ended has written, for the error. A log that cannot be read changes nothing about
    /// the answer.
    fn read_last_lines(&mut self) {
        let until = self.without_deadline().or_after(LAST_LINES_LIMIT);
        let opened = match self.log.take() {
            Some(log) => Ok(log),
            None if self.last_lines.is_empty() => {
                let options = LogOptions::new().tail(LAST_LINES as u64).max_line_bytes(MAX_LINE_BYTES);
                self.container.logs(&options, &until)
            }
            None => return,
        };
        let Ok(mut log) = opened else { return };
        loop {
            match log.pull(&until) {
                Ok(Pull::Item(line)) => self.match_line(line),
                Ok(_) => return,
                Err(error) => {
                    let _ = self.handle_log_error(error);
                    return;
                }
            }
        }
    }

    fn not_running(&self, info: &ContainerInfo) -> Error {
        let code = match info.exit_code {
            Some(code) if info.state.has_exited() => format!(" with exit code {code}"),
            _ => String::new(),
        };
        let hint = if info.state == ContainerState::Created {
            "start it first"
        } else {
            "see the last lines of its log"
        };
        let message = format!("it is {}{code}{}", info.state, self.unmet("; not met: "));
        self.with_last_lines(Error::new(ErrorKind::NotRunning, OPERATION, message)).with_hint(hint)
    }

    fn stopped(&self, stop: UntilError) -> Error {
        let kind = match stop {
            UntilError::DeadlineExceeded => ErrorKind::TimedOut,
            UntilError::Cancelled => ErrorKind::Cancelled,
        };
        self.with_last_lines(Error::new(kind, OPERATION, self.unmet("not met: ")))
    }

    fn unmet(&self, before: &str) -> String {
        let unmet: Vec<_> = self
            .conditions
            .iter()
            .filter(|state| state.met.is_none())
            .map(|state| format!("{} ({})", state.condition, state.last_failure))
            .collect();
        if unmet.is_empty() { String::new() } else { format!("{before}{}", unmet.join(", ")) }
    }

    fn with_last_lines(&self, error: Error) -> Error {
        if self.last_lines.is_empty() {
            return error;
        }
        let of = |stream: OutputStream| {
            let lines = self.last_lines.iter().filter(|line| line.stream == stream);
            CapturedOutput::complete(lines.fold(Vec::new(), |mut text, line| {
                text.extend_from_slice(&line.bytes);
                text.push(b'\n');
                text
            }))
        };
        error.with_partial(PartialOutput::Output {
            stdout: of(OutputStream::Stdout),
            stderr: of(OutputStream::Stderr),
        })
    }
}

/// The log of this run, so that a sign of an earlier one does not count: from midway between its end and the start.
/// Engines note the last lines of a run a little after its end (1.5 ms on podman 4.3.1), and the first lines of the next
/// one may be a little older than its start.
fn log_options(info: &ContainerInfo) -> LogOptions {
    let options = LogOptions::new().follow().max_line_bytes(MAX_LINE_BYTES);
    let (Some(finished), Some(started)) = (info.finished_at, info.started_at) else {
        return options;
    };
    match started.duration_since(finished) {
        Ok(between) => options.since(finished + between / 2),
        Err(_) => options,
    }
}
