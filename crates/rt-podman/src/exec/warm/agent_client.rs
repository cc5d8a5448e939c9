//! The `podman exec` that started an agent: it lives as long as the agent does.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use rt_agent::{AgentProgram, PendingAgent};
use rt_process::procfs;
use rt_process::{Child, ChildStdio, ExecMarker, ExitStatus, ProcessError};
use rt_protocol::{KILL_GRACE, Signal, Until, User};

use crate::cli::engine::Engine;
use crate::cli::engine::assignment;
use crate::cli::failure::{self, Failure};
use crate::exec::kill::signals::send;
use crate::exec::session::{ExecSession, ExecSessions};
use crate::exec::target::ExecTarget;

/// The most that is kept of what a client says, in bytes.
const MOST_WORDS: u64 = 16 << 10;

/// From look to look at an agent whose client was ended.
const STEP: Duration = Duration::from_millis(10);

/// How long a client that has refused may take to say why and leave.
const REFUSAL_LIMIT: Duration = Duration::from_secs(2);

/// How podman is told to start the program that is descriptor 3.
pub(crate) const PROGRAM_PATH: &str = "/proc/self/fd/3";

/// Why a client has started no agent.
pub(crate) struct Refusal {
    /// podman's words, or what happened.
    pub(crate) words: String,
    /// Whether the next try may go otherwise: it was over the state of the container or a user of
    /// it, or the client was ended.
    pub(crate) may_pass: bool,
}

/// podman's client of one agent.
#[derive(Debug)]
pub(crate) struct AgentClient {
    child: Child,
    stderr: UnixStream,
    /// What podman's record of the agent carries.
    marker: ExecMarker,
    target: ExecTarget,
}

impl AgentClient {
    /// Starts an agent in the container, as `user`, or the container's own. It ends by itself after
    /// `idle` without a command, or when nobody holds the [`PendingAgent`] and what becomes of it.
    pub(crate) fn start(
        engine: &Engine,
        program: &AgentProgram,
        target: &ExecTarget,
        user: Option<&User>,
        idle: Duration,
    ) -> Result<(Self, PendingAgent), ProcessError> {
        let refused = |source| ProcessError::System { what: "prepare the sockets of an agent", source };
        let (pending, socket) = PendingAgent::new().map_err(refused)?;
        let (stderr, theirs) = UnixStream::pair().map_err(refused)?;
        stderr.set_nonblocking(true).map_err(refused)?;
        let marker = ExecMarker::fresh();
        let mut call = engine.spec(["exec", "--preserve-fds=2"]).pass_descriptors();
        if let Some(user) = user {
            call = call.arg(format!("--user={user}"));
        }
        // It is none of the commands that others look for.
        call = call.arg("--env").arg(assignment(ExecMarker::NAME, marker.value().as_ref()));
        call = call.args(["--", &target.id, PROGRAM_PATH, &idle.as_millis().to_string()]);
        let stdio = ChildStdio {
            stdin: program.as_fd().try_clone_to_owned().map_err(refused)?.into(),
            stdout: socket.into(),
            stderr: Stdio::from(OwnedFd::from(theirs)),
        };
        let child = Child::spawn(&call, stdio)?;
        Ok((Self { child, stderr, marker, target: target.clone() }, pending))
    }

    /// Whether the client has left; it is reaped then.
    pub(crate) fn has_left(&self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// What a client that started no agent said, once it has left.
    pub(crate) fn refusal(&self) -> Refusal {
        let status = self.child.wait(&Until::after(REFUSAL_LIMIT)).ok().flatten();
        let mut words = Vec::new();
        // Until there is no more of it: whoever else holds the socket is not waited for.
        match (&self.stderr).take(MOST_WORDS).read_to_end(&mut words) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                tracing::debug!(%error, "what podman said of an agent cannot be read");
            }
            _ => {}
        }
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        // podman 4.3 exits with 0 when TERM reaches it.
        let was_ended = matches!(status, Some(ExitStatus::Signal(_) | ExitStatus::Code(0)));
        let may_pass = was_ended || failure::classify(&words).is_some_and(may_pass);
        let words = match status {
            _ if !words.is_empty() => words,
            Some(status) if was_ended => {
                format!("the client that was to start the agent was ended ({status})")
            }
            Some(status) => format!(
                "the agent ended at once ({status}): a limit on processes or a seccomp profile may refuse what it needs"
            ),
            None => String::from("podman started no agent, and does not end"),
        };
        Refusal { words, may_pass }
    }

    /// Waits until a client whose agent was let go has left, and ends one that does not leave
    /// before `until`. Has podman forget the agent where the client has not.
    pub(crate) fn leave(self, engine: &Engine, until: &Until) {
        self.end_stopped();
        if matches!(self.child.wait(until), Ok(None)) {
            self.end_stopped();
            tracing::debug!(pid = self.child.pid(), "the client of an agent does not leave, it is ended");
            let _ = self.child.end(KILL_GRACE);
        }
        // The agent of a client that was ended from outside may be about to end.
        while !self.has_gone() && until.sleep(STEP).is_ok() {}
        // On a busy machine podman takes longer than it gets between two commands.
        let least = engine.limits.kill_report;
        let has_time = until.remaining().is_none_or(|remaining| remaining > least);
        self.forget(engine, &if has_time { until.clone() } else { Until::after(least) });
    }

    /// Ends an agent that the container has stopped: it does not see that it was let go. Its
    /// commands run on.
    pub(crate) fn end_stopped(&self) {
        let agent = self.session().and_then(|session| procfs::entry(session.pid()?).ok().flatten());
        let is_ours = |pid| procfs::environment_has(pid, ExecMarker::NAME, self.marker.value());
        if let Some(agent) = agent
            && matches!(procfs::is_stopped(agent.pid), Ok(true))
            && matches!(is_ours(agent.pid), Ok(Some(true)))
        {
            send(&agent, &[Signal::KILL]);
        }
    }

    /// Whether the client has left and the agent has ended, too. podman takes one that nobody has
    /// reaped yet for one that runs, and would not forget it.
    pub(crate) fn has_gone(&self) -> bool {
        let agent = |session: ExecSession| procfs::entry(session.pid()?).ok().flatten();
        self.has_left() && self.session().and_then(agent).is_none()
    }

    /// Has podman forget an agent that has ended, where its client did not.
    pub(crate) fn forget(&self, engine: &Engine, until: &Until) {
        if let Some(session) = self.session() {
            session.forget(engine, &self.target.id, until);
        }
    }

    /// podman's record of the agent, if it is still there.
    fn session(&self) -> Option<ExecSession> {
        let static_dir = self.target.static_dir.as_deref().filter(|directory| directory.is_dir())?;
        ExecSessions::new(static_dir).find(&self.marker)
    }
}

/// Whether a failure is over what may change at any time: the container's state, its users, its
/// directories.
fn may_pass(failure: Failure) -> bool {
    use Failure::{BadWorkdir, NoSuchContainer, NotRunning, Removed, UnknownUser};
    matches!(failure, NotRunning | Removed | NoSuchContainer | UnknownUser | BadWorkdir)
}
