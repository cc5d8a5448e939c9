//! Signals to a command of a `podman exec` that runs while the caller does other things, and
//! resizes of its terminal.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rt_process::procfs::ProcessEntry;
use rt_process::{CommandSlot, ExecMarker, RemoteSignal};
use rt_protocol::{Error, ErrorKind, Result, Signal, TerminalSize, Until, User};

use super::kill::family::Family;
use super::kill::inside;
use super::kill::started_exec::StartedExec;
use super::target::ExecTarget;
use crate::state::kill_strategy::KillStrategy;
use crate::state::target::Target;

const OPERATION: &str = "signal a command in";

/// The time between two looks for a command that has not begun.
const PAUSE: Duration = Duration::from_millis(10);

/// What is known of a call by those who send signals to its command.
#[derive(Debug, Default)]
pub(crate) struct SignalSlot(CommandSlot<ClientStart>);

/// A client that was started.
#[derive(Clone, Debug)]
struct ClientStart {
    target: Arc<ExecTarget>,
    marker: ExecMarker,
    client: Option<ProcessEntry>,
    began: u64,
}

impl SignalSlot {
    /// Notes that the client was started.
    pub(crate) fn start(&self, target: &Arc<ExecTarget>, exec: &StartedExec<'_>) {
        self.0.start(ClientStart {
            target: Arc::clone(target),
            marker: exec.marker.clone(),
            client: exec.client.clone(),
            began: exec.began,
        });
    }

    /// Notes that the call is over. Signals have no effect from here on.
    pub(crate) fn close(&self) {
        self.0.close();
    }

    /// Sends a signal to the process group of the command, once it has begun. Has no effect after
    /// the call. `user` is the command's user, if not the container's own.
    pub(crate) fn send(&self, container: &Target, user: Option<&User>, signal: Signal) -> Result<()> {
        let limit = Until::after(container.engine().limits.read);
        let failed =
            |kind, message: String| Error::new(kind, OPERATION, message).in_container(container.name());
        loop {
            let Some(start) = self.0.command(OPERATION, &limit)? else { return Ok(()) };
            match start.act(container, |family| family.signal_group(signal)) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    let why = match inside::signal(container, &start.marker, user, signal, &limit) {
                        Ok(RemoteSignal::Sent) => return Ok(()),
                        Ok(RemoteSignal::FoundNothing) => None,
                        Ok(RemoteSignal::Refused) => Some(String::from("its user may not send it")),
                        Ok(_) => Some(String::from("the image has no `grep`")),
                        Err(why) => Some(why),
                    };
                    if let Some(why) = why {
                        let message = format!("the host cannot send it ({error}), and {why}");
                        return Err(failed(ErrorKind::Unsupported, message)
                            .with_hint("use an image with a shell, or the warm path (ExecPath::Warm)"));
                    }
                }
                Err(error) => return Err(failed(ErrorKind::System, error.to_string())),
            }
            if limit.check().is_err() {
                return Err(CommandSlot::<ClientStart>::not_begun(OPERATION));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Changes the size of the command's terminal, once it has begun. Has no effect after the call.
    ///
    /// conmon is told, and not podman's client: from a change on that comes before the client has
    /// recorded that the command runs, it passes on none (seen on 4.3.1).
    pub(crate) fn resize(&self, container: &Target, size: TerminalSize) -> Result<()> {
        const OPERATION: &str = "resize a terminal in";
        let limit = Until::after(container.engine().limits.read);
        let resize = |family: &Family<'_>| {
            let (Some(_), Some(session)) = (family.first()?, family.session()) else { return Ok(false) };
            session.resize(size, &limit)?;
            // conmon may have got the terminal after this, if the OCI runtime has exited just now.
            std::thread::sleep(PAUSE);
            session.resize(size, &limit).map(|()| true)
        };
        loop {
            let Some(start) = self.0.command(OPERATION, &limit)? else { return Ok(()) };
            match start.act(container, resize) {
                Ok(true) => return Ok(()),
                Ok(false) if limit.check().is_err() => {
                    return Err(CommandSlot::<ClientStart>::not_begun(OPERATION));
                }
                Ok(false) => std::thread::sleep(PAUSE),
                Err(error) => {
                    let kind = match error.kind() {
                        io::ErrorKind::Unsupported => ErrorKind::Unsupported,
                        io::ErrorKind::TimedOut => ErrorKind::BackendUnresponsive,
                        _ => ErrorKind::System,
                    };
                    return Err(Error::new(kind, OPERATION, error.to_string())
                        .in_container(container.name())
                        .with_hint("use the warm path (ExecPath::Warm)"));
                }
            }
        }
    }
}

impl ClientStart {
    /// Does something from the host. Returns false if the command has not begun.
    fn act(&self, container: &Target, act: impl Fn(&Family<'_>) -> io::Result<bool>) -> io::Result<bool> {
        if container.kill_strategy() == KillStrategy::InContainer {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "it was not asked to"));
        }
        let exec = StartedExec {
            marker: self.marker.clone(),
            target: &self.target,
            client: self.client.clone(),
            began: self.began,
        };
        let mut family = Family::new(&exec, container.claims())?;
        family.look()?;
        if !family.has_seen_container() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this host does not see the processes of the container",
            ));
        }
        act(&family)
    }
}
