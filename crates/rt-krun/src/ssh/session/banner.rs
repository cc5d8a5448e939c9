//! Waits until a guest can be entered: its sshd shows its banner. A TCP connection alone proves
//! nothing, since passt accepts before the guest listens, and then resets.

use std::io::{ErrorKind as IoErrorKind, Read};
use std::time::{Duration, Instant};

use rt_protocol::sync::Waker;
use rt_protocol::{Container, Error, ErrorKind, Result, Until, UntilError};
use rustix::event::PollFlags;

use super::tcp::{self, Watch, unreachable};
use crate::EndpointResolver;
use crate::ssh::shell::words;

const OPERATION: &str = "wait for the sshd of";

/// How long one attempt may take.
const TRY_LIMIT: Duration = Duration::from_secs(5);

/// The time between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// The most that is read before the banner, in bytes. A server may send other lines first (RFC
/// 4253, section 4.2).
const MOST_BYTES: usize = 16 << 10;

/// Waits for the banner.
pub(crate) fn wait(container: &dyn Container, resolver: &dyn EndpointResolver, until: &Until) -> Result<()> {
    let with_container = |error: Error| error.in_container(&container.key().name);
    let mut reason = String::from("it was not asked yet");
    let mut try_once = || {
        until.check()?;
        match attempt(container, resolver, until) {
            Err(error)
                if !matches!(
                    error.kind(),
                    ErrorKind::NoSuchContainer | ErrorKind::NotRunning | ErrorKind::Stopping
                ) =>
            {
                error.message().clone_into(&mut reason);
                until.sleep(PAUSE).map(|()| None)
            }
            done => Ok(Some(done)),
        }
    };
    let stop = loop {
        match try_once() {
            Ok(None) => {}
            Ok(Some(done)) => return done.map_err(with_container),
            Err(stop) => break stop,
        }
    };
    let kind = match stop {
        UntilError::Cancelled => ErrorKind::Cancelled,
        UntilError::DeadlineExceeded => ErrorKind::TimedOut,
    };
    let error = Error::new(kind, OPERATION, format!("at the last try: {reason}"));
    Err(with_container(error.with_hint("see the container's log for what keeps its sshd")))
}

fn attempt(container: &dyn Container, resolver: &dyn EndpointResolver, until: &Until) -> Result<()> {
    let Some(info) = container.inspect(until)? else {
        return Err(Error::new(ErrorKind::NoSuchContainer, OPERATION, "").with_hint("create it first"));
    };
    if !info.state.is_running() {
        return Err(Error::not_serving(&container.key().name, &info, OPERATION, |options, until| {
            container.logs(options, until)
        }));
    }
    let endpoint = resolver.resolve(container)?;
    let refused = |cause| unreachable("a pipe was refused").with_source(cause);
    let waker = Waker::new().map_err(refused)?;
    let _registration = waker.wake_on_cancel(until);
    let limit = Instant::now() + TRY_LIMIT;
    let watch = Watch {
        waker: &waker,
        deadline: until.deadline().map_or(limit, |deadline| limit.min(deadline.instant())),
        is_called_off: &|| until.check().is_err(),
    };
    let mut socket = tcp::open(&endpoint, &watch)?;
    let mut heard = Vec::new();
    let mut chunk = [0; 512];
    loop {
        if shows_banner(&heard) {
            return Ok(());
        }
        match socket.read(&mut chunk) {
            Ok(0) => return Err(missing(&heard)),
            Ok(_) if heard.len() >= MOST_BYTES => return Err(missing(&heard)),
            Ok(count) => heard.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == IoErrorKind::WouldBlock => {
                watch.wait(&socket, PollFlags::IN, "its SSH banner")?;
            }
            Err(error) if error.kind() == IoErrorKind::Interrupted => {}
            Err(error) => {
                return Err(
                    unreachable(format!("it broke the connection off ({})", error.kind())).with_source(error)
                );
            }
        }
    }
}

/// Returns the error for a guest that showed no banner, with the text that it sent instead: sshd
/// explains in a line why it rejects a connection.
pub(crate) fn missing(heard: &[u8]) -> Error {
    let first = heard.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty());
    let Some(first) = first else { return unreachable("it showed no SSH banner") };
    // Quoted and escaped, since the guest chose these words.
    let error = unreachable(format!("it showed no SSH banner, but said \"{}\"", words::shown(first)));
    // The first is used since OpenSSH 9.8, for any reason; the other one before.
    if matches!(first, b"Not allowed at this time" | b"Exceeded MaxStartups") {
        return error.with_hint(
            "its sshd turns connections away for now, because too many are about to log in (MaxStartups), or because earlier \
             ones from this address did not (PerSourcePenalties); see its log, and try again later",
        );
    }
    error
}

/// Returns whether one of the lines is the banner of an SSH 2 server.
pub(crate) fn shows_banner(heard: &[u8]) -> bool {
    let mut lines = heard.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    lines.any(|line| line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-"))
}

#[cfg(test)]
mod tests {
    use rt_null::{LogScript, NullRuntime};
    use rt_protocol::{ContainerName, ContainerRuntime, ContainerState};

    use super::*;
    use crate::TcpEndpoint;

    #[test]
    fn a_guest_that_has_ended_says_its_exit_code_and_its_last_lines() {
        let runtime = NullRuntime::new();
        runtime.set_state("guest", ContainerState::Running).unwrap();
        runtime.set_logs("guest", LogScript::new().line("no kernel")).unwrap();
        runtime.end("guest", 7).unwrap();
        let guest = runtime.container(&ContainerName::new("guest").unwrap());
        let nowhere = |_: &dyn Container| Ok(TcpEndpoint::on_loopback(1).unwrap());
        let error = wait(&*guest, &nowhere, &Until::after(Duration::from_secs(20))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
        assert!(error.message().contains("exit code 7; its log ends with \"no kernel\""), "{error}");
        for (state, kind) in
            [(ContainerState::Stopping, ErrorKind::Stopping), (ContainerState::Paused, ErrorKind::TimedOut)]
        {
            runtime.set_state("guest", state).unwrap();
            // It may be unpaused in time.
            let error = wait(&*guest, &nowhere, &Until::after(Duration::from_millis(300))).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
        }
    }

    #[test]
    fn a_banner_is_a_whole_line_that_says_ssh_2() {
        assert!(shows_banner(b"SSH-2.0-OpenSSH_9.2\r\n"));
        assert!(shows_banner(b"welcome\r\nSSH-2.0-x\n"));
        for none in [&b""[..], b"SSH-2.0-OpenSSH", b"SSH-1.5-old\n", b"HTTP/1.1 400\r\n", b"xSSH-2.0-\n"] {
            assert!(!shows_banner(none));
        }
    }

    #[test]
    fn an_error_quotes_what_came_instead_of_a_banner() {
        let turned_away = missing(b"Not allowed at this time\r\n");
        assert!(turned_away.to_string().contains("said \"Not allowed at this time\""), "{turned_away}");
        assert!(turned_away.hint().is_some_and(|hint| hint.contains("PerSourcePenalties")));
        let hostile = missing(b"\r\n\x1b[2J\xff\0evil\n").to_string();
        assert!(hostile.contains("said \"\\u{1b}[2J\u{fffd}\\0evil\""), "{hostile}");
        assert!(missing(&[b'x'; 9000]).to_string().len() < 400);
        assert!(missing(b"\r\n").to_string().contains("showed no SSH banner ("));
    }
}
