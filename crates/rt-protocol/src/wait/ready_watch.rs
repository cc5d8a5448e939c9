//! Waits until a container is ready, in rounds: one inspect, one attempt at each condition, and the
//! new lines of the log.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::condition::Condition;
use super::probe::{OPERATION, ProbeSuccess, probe_exec, probe_health, probe_port, probe_reachable};
use crate::{
    CapturedOutput, Container, ContainerInfo, ContainerState, Error, ErrorKind, LogLine, LogOptions,
    OutputStream, PartialOutput, Pull, PullStream, Ready, ReadyWhen, Result, TimeLimits, Until, UntilError,
};

/// How many of the last log lines an error has, and how long a line may be.
const LAST_LINES: usize = 20;
const MAX_LINE_BYTES: usize = 16 << 10;

/// The time limit for reading the last log lines of a container that has ended, beyond the caller's
/// limit.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(5);

/// The state of a condition before its first attempt.
const NOT_SEEN: &str = "not seen";

/// One wait.
pub(crate) struct ReadyWatch<'a> {
    container: &'a dyn Container,
    until: &'a Until,
    conditions: Vec<ConditionState<'a>>,
    log: Option<Box<dyn PullStream<LogLine>>>,
    last_lines: VecDeque<LogLine>,
}

/// One condition and its state.
struct ConditionState<'a> {
    condition: &'a Condition,
    met: Option<ProbeSuccess>,
    /// Why the last attempt failed.
    last_failure: String,
}

impl ReadyWhen {
    /// Waits until all conditions are met.
    ///
    /// Nothing is left behind, however the wait ends. `until` limits the whole wait. A TCP attempt
    /// that has begun before still takes its own limit.
    ///
    /// # Errors
    /// - [`NotRunning`](crate::ErrorKind::NotRunning) as soon as the container has ended, or if it
    ///   was never started. The message has its state, its exit code and the unmet conditions.
    /// - [`NoSuchContainer`](crate::ErrorKind::NoSuchContainer) as soon as it does not exist.
    /// - [`TimedOut`](crate::ErrorKind::TimedOut) with the unmet conditions, and why;
    ///   [`Cancelled`](crate::ErrorKind::Cancelled).
    /// - [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a health condition on a container
    ///   without a check.
    /// - Errors of [`inspect`](Container::inspect) and [`logs`](Container::logs), and those of
    ///   [`exec`](Container::exec) that waiting cannot fix
    ///   ([`Unsupported`](crate::ErrorKind::Unsupported), a missing engine, a rejected identity).
    ///
    /// [`Error::partial`](crate::Error::partial) has the last log lines, by output, for all but the
    /// last two.
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
            // A container that is paused, stopping, or in an unknown state may run again, or end.
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

    /// Returns the limit of one request to the engine: the rest of the wait, or the engine's own
    /// limit if that is shorter, so that an engine that hangs is reported as such.
    fn question(&self) -> Until {
        match self.until.remaining() {
            Some(left) if left < TimeLimits::DEFAULT.read => self.until.clone(),
            _ => self.without_deadline(),
        }
    }

    fn without_deadline(&self) -> Until {
        self.until.cancel_token().map_or_else(Until::forever, Until::cancelled)
    }

    /// Returns the error of a request, or that of the wait if it ended meanwhile.
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

    /// Makes one attempt at each condition that is not met yet.
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
                // An attempt that the end of the wait interrupted says less than the one before.
                Err(failure) if state.last_failure == NOT_SEEN || self.until.check().is_ok() => {
                    state.last_failure = failure;
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Spends the pause, and reads the log if a condition needs a line of it.
    fn follow_log(&mut self) -> Result<()> {
        let pause = self.until.clone().or_after(ReadyWhen::PAUSE);
        while let Some(log) = self.log.as_mut() {
            match log.pull(&pause) {
                Ok(Pull::Item(line)) => self.match_line(line),
                Ok(Pull::Pending) => return Ok(()),
                // The next inspect shows whether the container has ended. If not, it is reopened.
                Ok(Pull::End) => self.log = None,
                Err(error) => self.handle_log_error(error)?,
            }
            if !self.wants_lines() {
                self.log = None;
            }
        }
        // The next round begins with a check of the limit.
        let _: std::result::Result<(), UntilError> = pause.sleep(ReadyWhen::PAUSE);
        Ok(())
    }

    /// Ignores the error of a log that may have lost lines: as after the end of any log, the next
    /// inspect says more.
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

    /// Reads the last log lines of a container that has ended, for the error. If the log cannot be
    /// read, the error stays the same.
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

/// Returns options for the log of this run, so that a line of an earlier one does not count: from
/// midway between the end of that run and the start of this one. Engines write the last lines of a
/// run shortly after its end (1.5 ms on podman 4.3.1), and the first lines of the next one may be a
/// little older than its start.
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
