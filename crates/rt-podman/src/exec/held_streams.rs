//! Finds children of an ended command that still hold its outputs open.
//!
//! conmon exits with the command, even if others still write to its pipes, and the client exits
//! with conmon. So the end of the client's output does not prove the end of the command's. What a
//! child writes later is lost (seen on 4.3.1 and 5.4.2).

use std::collections::BTreeSet;

use rt_process::{ExecMarker, procfs};

/// Returns whether a process with this marker holds the pipe of stdout, and that of stderr, open.
/// `client` is the pid of the exec's client: no process of the command is older. Processes that the
/// host does not see, and a child without the marker in its environment (`env -i`), are not found.
pub(crate) fn held_streams(marker: &ExecMarker, client: u32) -> [bool; 2] {
    // During an execve(2) a process shows no environment, so there is a second look.
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
    // A pipe between two of them is internal.
    written.map(|pipes| pipes.difference(&read).next().is_some())
}
