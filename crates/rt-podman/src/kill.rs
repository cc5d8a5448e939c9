//! Ending a command where it runs, and looking whether it is gone.
//!
//! Signals to a `podman exec` client never reach the command, so the processes themselves are found and ended: from the
//! host, where podman's own records and `/proc` tell which processes are meant ([`host`]), or by a second exec where the
//! host cannot see them ([`inside`]).

pub(crate) mod host;
pub(crate) mod inside;

use std::time::{Duration, Instant};

use rt_process::{Drive, Process};
use rt_protocol::{Fate, KillReport, Until, User};

use crate::container::PodmanContainer;
use crate::exec_witness::ExecWitness;
use rt_process::Marker;

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

/// How long a client whose command is gone may take to say so and leave.
const CLIENT_GRACE: Duration = Duration::from_secs(1);

/// Ends what `process`, the client of an exec marked `marker`, has started, and then the client. `user` is whom the command
/// was to run as, if not the container's own; `witness` has looked since before the client was started.
pub(crate) fn end_exec(
    container: &PodmanContainer,
    process: &mut Process<'_>,
    marker: &Marker,
    witness: &mut ExecWitness,
    user: Option<&User>,
) -> KillReport {
    let begun = Instant::now();
    let found = match container.kill_side() {
        KillSide::Auto => host::end(container, process, marker, witness),
        KillSide::Container => host::Verdict::CannotLook(String::from("it was not asked to")),
    };
    let (fate, killed, survivors) = match found {
        host::Verdict::Ended(ended) => (ended.fate, ended.killed, ended.survivors),
        host::Verdict::CannotLook(why) => {
            let ended = inside::end(container, marker, user, &why);
            (ended.fate, ended.killed, ended.survivors)
        }
    };
    // The client leaves by itself once its command is gone, with the last of the output. One that does not is ended; its
    // exec session is then stale until the container stops.
    if fate != Fate::Alive && !process.has_exited() {
        // However the drive ends, the client is ended next.
        let _: Drive = process.drive(&Until::after(CLIENT_GRACE));
    }
    process.end(Duration::ZERO);
    KillReport::new(fate, killed, survivors, begun.elapsed())
}
