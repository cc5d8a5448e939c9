//! Starts this program again in one of its own modes, and waits until that process has become its
//! command.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

/// This program in the mode `mode`. Of the environment only the store and its clock go along: no
/// secret of the caller's, and no fault, which is meant for one call.
pub(crate) fn own<const N: usize>(mode: &str, words: [&str; N]) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(mode).args(words).env_clear();
    for name in ["FAKE_PODMAN_DIR", "FAKE_PODMAN_PROFILE", "FAKE_PODMAN_CLOCK"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.current_dir("/").stdin(Stdio::null());
    Ok(command)
}

/// The file in which a process says why it did not become its command.
pub(crate) fn failure_file(process_file: &Path) -> PathBuf {
    process_file.with_extension("failure")
}

/// What became of a process that was to become a command.
pub(crate) enum StartResult {
    Command,
    /// It has ended already, with this status.
    Ended(WaitStatus),
    /// It did not get there, for this reason.
    Failed(String),
}

/// Waits until the child `pid` runs another program than this one.
pub(crate) fn wait_for_command(pid: Pid, process_file: &Path) -> io::Result<StartResult> {
    let own = fs::read_link("/proc/self/exe")?;
    let failure = || {
        let text = fs::read_to_string(failure_file(process_file)).unwrap_or_default();
        (!text.is_empty()).then_some(text)
    };
    loop {
        if let Some((_, status)) = waitpid(Some(pid), WaitOptions::NOHANG)? {
            return Ok(failure().map_or(StartResult::Ended(status), StartResult::Failed));
        }
        // A process that has just ended has no program; it is reaped in the next round.
        if fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program != own) {
            return Ok(StartResult::Command);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The exit code of a process, with 128+N for signal N.
pub(crate) fn exit_code(status: WaitStatus) -> i32 {
    status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or_default())
}
