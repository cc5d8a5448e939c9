//! What a container's log driver means for readers of its log.

use std::path::{Path, PathBuf};

use rt_protocol::{Error, ErrorKind, Result};

use super::own_line::OPERATION;
use crate::state::inspect::Inspected;

/// Where journald listens.
const JOURNAL: &str = "run/systemd/journal/socket";

/// The log driver of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogDriver {
    /// podman can read what it has written.
    #[default]
    Readable,
    /// It keeps nothing: `none`, `passthrough`, `passthrough-tty`.
    Without(String),
    /// The journal of a host on which no journald runs: podman 5 and 6 drop what is written, and
    /// return an empty log.
    NoJournal,
}

impl LogDriver {
    pub(crate) fn of(found: &Inspected) -> Self {
        match found.log_driver.as_str() {
            "none" | "passthrough" | "passthrough-tty" => Self::Without(found.log_driver.clone()),
            "journald" if found.is_of_this_host() && !has_journal(found.conmon_pid) => Self::NoJournal,
            _ => Self::Readable,
        }
    }

    /// Refuses to read the log of a driver that keeps nothing.
    pub(crate) fn refuse(&self) -> Result<()> {
        let Self::Without(driver) = self else { return Ok(()) };
        let message = format!("its log driver `{driver}` keeps nothing");
        Err(Error::new(ErrorKind::Unsupported, OPERATION, message)
            .with_hint("create it with another log driver (`--log-driver=k8s-file`)"))
    }

    /// Judges a log without a line.
    pub(crate) fn explain_empty(&self) -> Result<()> {
        if *self != Self::NoJournal {
            return Ok(());
        }
        let message = "its log driver is `journald`, and no journald runs here";
        Err(Error::new(ErrorKind::Incomplete, OPERATION, message)
            .with_hint("start journald, or create it with another log driver (`--log-driver=k8s-file`)"))
    }
}

/// Returns whether journald runs for this conmon, which may be in another mount namespace, or for
/// this process.
fn has_journal(conmon: Option<u32>) -> bool {
    let root = conmon.map(|pid| PathBuf::from(format!("/proc/{pid}/root")));
    root.iter().map(PathBuf::as_path).chain([Path::new("/")]).any(|root| root.join(JOURNAL).exists())
}
