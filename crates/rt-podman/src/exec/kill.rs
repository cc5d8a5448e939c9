//! Ending a command where it runs, and looking whether it is gone.
//!
//! Signals to a `podman exec` client never reach the command, so the processes themselves are found and ended: from the
//! host, where podman's own records and `/proc` tell which processes are meant ([`host`], [`family`]), or by a second exec
//! where the host cannot see them ([`inside`]).

mod claims;
mod conmon;
mod container_signs;
mod family;
mod host;
mod inside;

use std::path::Path;
use std::time::{Duration, Instant};

use rt_process::procfs::{self, ProcessEntry, Signal};
use rt_process::{Drive, Marker, Process};
use rt_protocol::{Fate, KillReport, Survivor, Until, User};

use super::target::ExecTarget;
use super::witness::ExecWitness;
use crate::container::PodmanContainer;

pub(crate) use claims::Claims;

/// Where the processes of a command that must end are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KillSide {
    /// From the host, and by a second exec where the host cannot see them.
    #[default]
    Auto,
    /// By a second exec alone, which needs `sh` and `grep` in the image. For a podman whose containers run on another
    /// machine.
    Container,
}

/// An exec whose client has been started: what must be known of it before it is to end, so that nobody needs to be asked then.
#[derive(Debug)]
pub(crate) struct StartedExec<'a> {
    marker: Marker,
    /// The container that it was started in.
    target: &'a ExecTarget,
    /// The client. It may have been reaped, and its number given to another, when the command must end.
    client: Option<ProcessEntry>,
    /// When the client was started, in clock ticks: nothing of the command is older.
    began: u64,
}

impl<'a> StartedExec<'a> {
    /// What its processes carry.
    pub(crate) fn marker(&self) -> &Marker {
        &self.marker
    }

    /// Of a client that was just started.
    pub(crate) fn of(target: &'a ExecTarget, process: &Process<'_>, marker: Marker) -> Self {
        let client = procfs::entry(process.pid()).ok().flatten();
        let began = client.as_ref().map_or(0, |client| client.start_time);
        Self { marker, target, client, began }
    }

    /// Whether podman has no more records of the container, and has those of others.
    fn container_was_removed(&self) -> bool {
        self.target.static_dir.as_deref().is_some_and(|static_dir| {
            let of_all = static_dir.parent().and_then(Path::parent);
            !static_dir.exists() && of_all.is_some_and(Path::is_dir)
        })
    }

    /// Whether somebody has stopped the client, so that it does nothing of itself.
    fn client_is_stopped(&self) -> bool {
        self.client.as_ref().is_some_and(|client| {
            let now = procfs::entry(client.pid).ok().flatten();
            now.is_some_and(|now| family::is_same(client, &now))
                && matches!(procfs::is_stopped(client.pid), Ok(true))
        })
    }
}

/// What became of a command.
struct Ended {
    fate: Fate,
    killed: usize,
    survivors: Vec<Survivor>,
}

/// How long a client whose command is gone may take to say so and leave.
const CLIENT_GRACE: Duration = Duration::from_secs(1);
/// From look to look.
const STEP: Duration = Duration::from_millis(15);

/// Ends what `process`, the client of `exec`, has started, and then the client. `user` is whom the command was to run as, if not
/// the container's own; `witness` has looked since before the client was started.
pub(crate) fn end_exec(
    container: &PodmanContainer,
    process: &mut Process<'_>,
    exec: &StartedExec<'_>,
    witness: &mut ExecWitness,
    user: Option<&User>,
) -> KillReport {
    let begun = Instant::now();
    let found = match container.kill_side() {
        KillSide::Auto => host::end(container, process, exec, witness),
        KillSide::Container => host::Verdict::CannotLook(String::from("it was not asked to")),
    };
    let mut conmon = None;
    let ended = match found {
        host::Verdict::Ended(ended, of_exec) => {
            conmon = of_exec;
            ended
        }
        host::Verdict::NobodyCanLook(why) => {
            Ended { fate: Fate::Unknown(why), killed: 0, survivors: Vec::new() }
        }
        host::Verdict::CannotLook(why) => {
            let ended = inside::end(container, &exec.marker, user, &why);
            Ended { fate: ended.fate, killed: ended.killed, survivors: ended.survivors }
        }
    };
    if let Some(conmon) = &conmon {
        // Where somebody has stopped it, it has yet to see that its command has ended.
        family::send(conmon, &[Signal::Cont]);
    }
    // The client leaves by itself once its command is gone, with the last of the output. One that does not is ended; its
    // exec session is then stale until the container stops.
    if ended.fate != Fate::Alive && !process.has_exited() && !exec.client_is_stopped() {
        // However the drive ends, the client is ended next.
        let _: Drive = process.drive(&Until::after(CLIENT_GRACE));
    }
    process.end(Duration::ZERO);
    KillReport::new(ended.fate, ended.killed, ended.survivors, begun.elapsed())
}

/// Lets some time pass in which the client's output goes on moving.
fn pause(process: &mut Process<'_>) {
    let begun = Instant::now();
    if !process.has_exited() {
        // A stream of the caller that fails now changes nothing: the command is being ended already.
        let _: Drive = process.drive(&Until::after(STEP));
    }
    std::thread::sleep(STEP.saturating_sub(begun.elapsed()));
}
