//! Watching a container until it is ready: rounds of one inspect, one attempt at each condition, and a look at the log.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::ready_when::Condition;
use crate::{
    CapturedOutput, Container, ContainerInfo, ContainerState, Error, ErrorKind, ExecRequest, Health, LogLine,
    LogOptions, LogStream, OutputStream, Partial, Protocol, PublishedPort, Pull, Ready, ReadyWhen, Result,
    Stop, Until,
};

const OPERATION: &str = "await the readiness of";

/// How many of the last log lines an error carries, and how long a line may be.
const LAST_LINES: usize = 20;
const LONGEST_LINE: usize = 16 << 10;

/// How long the log of a container that has ended may take for its last lines, beyond the caller's limit.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is said of a condition before anything is known of it.
const NOT_SEEN: &str = "not seen";

/// One wait.
pub(crate) struct Watch<'a> {
    container: &'a dyn Container,
    until: &'a Until,
    conditions: Vec<Watched<'a>>,
    log: Option<Box<dyn LogStream>>,
    last_lines: VecDeque<LogLine>,
}

/// One condition and what came of it so far.
struct Watched<'a> {
    condition: &'a Condition,
    met: Option<Met>,
    /// Why it was not met when last tried.
    seen: String,
}

/// What met a condition.
enum Met {
    Line(String),
    Address(SocketAddr),
    Plainly,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(when: &'a ReadyWhen, container: &'a dyn Container, until: &'a Until) -> Self {
        let watched = |condition| Watched { condition, met: None, seen: String::from(NOT_SEEN) };
        let conditions = when.conditions.iter().map(watched).collect();
        Self { container, until, conditions, log: None, last_lines: VecDeque::new() }
    }

    pub(crate) fn run(mut self) -> Result<Ready> {
        let begun = Instant::now();
        loop {
            self.until.check().map_err(|stop| self.stopped(stop))?;
            let info = self.container.inspect()?.ok_or_else(|| {
                Error::new(ErrorKind::NoSuchContainer, OPERATION, "").with_hint("create it first")
            })?;
            if matches!(info.state, ContainerState::Created | ContainerState::Removing)
                || info.state.has_exited()
            {
                self.read_last_words();
                return Err(self.ended(&info));
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
                self.log = Some(self.container.logs(&log_options(&info))?);
            }
            self.listen()?;
        }
    }

    fn all_met(&self) -> bool {
        self.conditions.iter().all(|watched| watched.met.is_some())
    }

    fn wants_lines(&self) -> bool {
        self.conditions
            .iter()
            .any(|watched| watched.met.is_none() && matches!(watched.condition, Condition::LogLine { .. }))
    }

    fn ready(self, elapsed: Duration) -> Ready {
        let mut ready = Ready { elapsed, ..Ready::default() };
        for watched in self.conditions {
            match watched.met {
                Some(Met::Line(line)) => ready.lines.push(line),
                Some(Met::Address(address)) => ready.addresses.push(address),
                Some(Met::Plainly) | None => {}
            }
        }
        ready
    }

    /// One attempt at each condition that is not met yet.
    fn probe(&mut self, info: &ContainerInfo) -> Result<()> {
        for watched in self.conditions.iter_mut().filter(|watched| watched.met.is_none()) {
            let attempt = match watched.condition {
                Condition::LogLine { .. } => continue,
                Condition::Exec(request) => try_exec(self.container, request, self.until)?,
                Condition::TcpPort(port) => try_port(&info.ports, *port, self.until),
                Condition::Healthy => try_health(info.health.as_ref())?,
            };
            match attempt {
                Ok(met) => watched.met = Some(met),
                // An attempt that was cut short by the end of the wait says less than the one before it.
                Err(seen) if watched.seen == NOT_SEEN || self.until.check().is_ok() => watched.seen = seen,
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Spends the pause, on the log where a line of it is wanted.
    fn listen(&mut self) -> Result<()> {
        let pause = self.until.clone().or_after(ReadyWhen::PAUSE);
        while let Some(log) = self.log.as_mut() {
            match log.pull(&pause) {
                Ok(Pull::Item(line)) => self.offer(line),
                Ok(Pull::Idle) => return Ok(()),
                // The container has ended, which the next inspect says; if it has not, its log is opened again.
                Ok(Pull::End) => self.log = None,
                Err(error) => self.end_of_log(error)?,
            }
            if !self.wants_lines() {
                self.log = None;
            }
        }
        // A limit that is over is seen at the beginning of the next round.
        let _: std::result::Result<(), Stop> = pause.sleep(ReadyWhen::PAUSE);
        Ok(())
    }

    /// Of a log that may have lost lines, as of any that has ended, the next inspect says more.
    fn end_of_log(&mut self, error: Error) -> Result<()> {
        if error.kind() != ErrorKind::Incomplete {
            return Err(error);
        }
        self.log = None;
        for watched in self.conditions.iter_mut().filter(|watched| watched.met.is_none()) {
            if matches!(watched.condition, Condition::LogLine { .. }) {
                watched.seen = format!("{NOT_SEEN}; {}", error.message());
            }
        }
        Ok(())
    }

    fn offer(&mut self, line: LogLine) {
        let text = line.text().into_owned();
        for watched in self.conditions.iter_mut().filter(|watched| watched.met.is_none()) {
            if let Condition::LogLine { is_sign, .. } = watched.condition
                && is_sign(&text)
            {
                watched.met = Some(Met::Line(text.clone()));
            }
        }
        if self.last_lines.len() == LAST_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line);
    }

    /// Reads what a container that has ended has written, for the error. A log that cannot be read changes nothing about
    /// the answer.
    fn read_last_words(&mut self) {
        let until =
            self.until.cancel_token().map_or_else(Until::forever, Until::cancelled).or_after(LAST_WORDS);
        let opened = match self.log.take() {
            Some(log) => Ok(log),
            None if self.last_lines.is_empty() => {
                self.container.logs(&LogOptions::new().tail(LAST_LINES as u64).max_line_bytes(LONGEST_LINE))
            }
            None => return,
        };
        let Ok(mut log) = opened else { return };
        loop {
            match log.pull(&until) {
                Ok(Pull::Item(line)) => self.offer(line),
                Ok(_) => return,
                Err(error) => {
                    let _ = self.end_of_log(error);
                    return;
                }
            }
        }
    }

    fn ended(&self, info: &ContainerInfo) -> Error {
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

    fn stopped(&self, stop: Stop) -> Error {
        let kind = match stop {
            Stop::DeadlinePassed => ErrorKind::TimedOut,
            Stop::Cancelled => ErrorKind::Cancelled,
        };
        self.with_last_lines(Error::new(kind, OPERATION, self.unmet("not met: ")))
    }

    fn unmet(&self, before: &str) -> String {
        let unmet: Vec<_> = self
            .conditions
            .iter()
            .filter(|watched| watched.met.is_none())
            .map(|watched| format!("{} ({})", watched.condition, watched.seen))
            .collect();
        if unmet.is_empty() { String::new() } else { format!("{before}{}", unmet.join(", ")) }
    }

    fn with_last_lines(&self, error: Error) -> Error {
        if self.last_lines.is_empty() {
            return error;
        }
        let of = |stream: OutputStream| {
            let lines = self.last_lines.iter().filter(|line| line.stream == stream);
            CapturedOutput::whole(lines.fold(Vec::new(), |mut text, line| {
                text.extend_from_slice(&line.bytes);
                text.push(b'\n');
                text
            }))
        };
        error.with_partial(Partial::Output {
            stdout: of(OutputStream::Stdout),
            stderr: of(OutputStream::Stderr),
        })
    }
}

/// The log of this run, so that a sign of an earlier one does not count: from midway between its end and the start.
/// Engines note the last lines of a run a little after its end (1.5 ms on podman 4.3.1), and the first lines of the next
/// one may be a little older than its start.
fn log_options(info: &ContainerInfo) -> LogOptions {
    let options = LogOptions::new().follow().max_line_bytes(LONGEST_LINE);
    let (Some(finished), Some(started)) = (info.finished_at, info.started_at) else {
        return options;
    };
    match started.duration_since(finished) {
        Ok(between) => options.since(finished + between / 2),
        Err(_) => options,
    }
}

/// What one attempt came to: met, or what was seen instead.
type Attempt = std::result::Result<Met, String>;

fn try_exec(container: &dyn Container, request: &ExecRequest, until: &Until) -> Result<Attempt> {
    match container.exec(request, &until.clone().or_after(ReadyWhen::EXEC_LIMIT)) {
        Ok(result) if result.ok() => Ok(Ok(Met::Plainly)),
        Ok(result) => Ok(Err(result.outcome.to_string())),
        Err(error) => match error.kind() {
            // Waiting mends none of these.
            ErrorKind::InvalidRequest
            | ErrorKind::Unsupported
            | ErrorKind::BackendMissing
            | ErrorKind::BackendNotExecutable
            | ErrorKind::HostKeyMismatch
            | ErrorKind::BadIdentity
            | ErrorKind::AuthenticationRefused
            | ErrorKind::CompiledOut => Err(error),
            // Also a command that is not found: what starts in the container may still put it there.
            kind => Ok(Err(kind.to_string())),
        },
    }
}

fn try_port(ports: &[PublishedPort], container_port: u16, until: &Until) -> Attempt {
    let mut seen = String::from("not published");
    let published = |port: &&PublishedPort| {
        port.container_port == container_port && port.protocol == Protocol::Tcp && port.host_port != 0
    };
    for port in ports.iter().filter(published) {
        let address = SocketAddr::new(reachable(port.host_ip), port.host_port);
        match answers(address, until) {
            Ok(()) => return Ok(Met::Address(address)),
            Err(error) => seen = format!("{address}: {error}"),
        }
    }
    Err(seen)
}

/// A port that is bound to all addresses is asked on loopback.
fn reachable(bound: Option<IpAddr>) -> IpAddr {
    match bound {
        None => Ipv4Addr::LOCALHOST.into(),
        Some(IpAddr::V4(address)) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        Some(IpAddr::V6(address)) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        Some(address) => address,
    }
}

fn answers(address: SocketAddr, until: &Until) -> io::Result<()> {
    let left = until.remaining().unwrap_or(ReadyWhen::CONNECT_LIMIT);
    // A timeout of zero is refused by the standard library.
    let limit = left.clamp(Duration::from_millis(1), ReadyWhen::CONNECT_LIMIT);
    let stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(ReadyWhen::HANG_UP_LIMIT))?;
    match stream.peek(&mut [0]) {
        Ok(0) => Err(io::Error::new(io::ErrorKind::ConnectionReset, "it accepts and hangs up")),
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(error),
    }
}

fn try_health(health: Option<&Health>) -> Result<Attempt> {
    match health {
        Some(Health::Healthy) => Ok(Ok(Met::Plainly)),
        Some(Health::Starting) => Ok(Err(String::from("starting"))),
        Some(Health::Unhealthy) => Ok(Err(String::from("unhealthy"))),
        Some(Health::Other(word)) => Ok(Err(word.clone())),
        None => Err(Error::new(ErrorKind::InvalidRequest, OPERATION, "it has no health check")
            .with_hint("give it one, or wait for something else")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use crate::wait::ready_watch::*;

    fn published(listener: &TcpListener) -> PublishedPort {
        let address = listener.local_addr().unwrap();
        PublishedPort::new(80, Protocol::Tcp, Some(Ipv4Addr::UNSPECIFIED.into()), address.port())
    }

    #[test]
    fn a_port_that_is_listened_on_answers_silent_or_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [published(&listener)];
        assert!(try_port(&ports, 80, &Until::forever()).is_ok());
        let greeter = std::thread::spawn(move || {
            listener.accept().unwrap();
            listener.accept().unwrap().0.write_all(b"220 hello").unwrap();
        });
        assert!(try_port(&ports, 80, &Until::forever()).is_ok());
        greeter.join().unwrap();
    }

    #[test]
    fn a_port_that_accepts_and_hangs_up_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [published(&listener)];
        let closer = std::thread::spawn(move || drop(listener.accept().unwrap()));
        let seen = try_port(&ports, 80, &Until::forever()).err().unwrap();
        assert!(seen.contains("hangs up") || seen.contains("reset"), "{seen}");
        closer.join().unwrap();
    }

    #[test]
    fn a_port_that_is_closed_or_not_published_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [published(&listener)];
        drop(listener);
        assert!(try_port(&ports, 80, &Until::forever()).err().unwrap().contains("refused"));
        assert_eq!(try_port(&ports, 81, &Until::forever()).err().unwrap(), "not published");
        assert_eq!(try_port(&[], 80, &Until::forever()).err().unwrap(), "not published");
    }
}
