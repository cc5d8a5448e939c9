//! Who holds the outputs of a command that has ended: a child that it has left behind.
//!
//! conmon leaves with the command, whoever else writes to its pipes, and the client with conmon. So the end of the client's
//! output is no proof that the command's has ended. What a child writes later is lost (seen on 4.3.1 and 5.4.2).

use std::collections::BTreeSet;

use rt_process::{ExecMarker, procfs};

/// Whether a process with this marker holds the pipe of stdout, and that of stderr, open. `client` is the number of the
/// exec's client: nothing of the command is older. Not found are those that the host does not see, and a child without the
/// marker in its environment (`env -i`).
pub(crate) fn held_streams(marker: &ExecMarker, client: u32) -> [bool; 2] {
    // In the instant of an execve(2) a process shows no environment, so there is a second look.
    let held = look(marker, client);
    if held == [false; 2] { look(marker, client) } else { held }
}

fn look(marker: &ExecMarker, client: u32) -> [bool; 2] {
    let mut written = [const { BTreeSet::new() }; 2];
    let mut read = BTreeSet::new();
    for pid in procfs::pids_since(client).unwrap_or_default() {
        if !matches!(procfs::environment_has(pid, ExecMarker::NAME, marker.value()), Ok(Some(true))) {
            continue;
        }
        for end in procfs::pipe_ends(pid).ok().flatten().unwrap_or_default() {
            match end.fd {
                _ if !end.is_written => drop(read.insert(end.pipe)),
                fd @ 1..=2 => drop(written[fd as usize - 1].insert(end.pipe)),
                _ => {}
            }
        }
    }
    // A pipe from one of them to another is theirs alone.
    written.map(|pipes| pipes.difference(&read).next().is_some())
}
