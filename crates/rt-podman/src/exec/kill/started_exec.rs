//! What is known of an exec before it must end, so that nobody needs to be asked then.

use std::path::Path;

use rt_process::procfs::{self, ProcessEntry};
use rt_process::{ExecMarker, Process};

use super::signals::is_same;
use crate::exec::target::ExecTarget;

/// An exec whose client has been started: what must be known of it before it is to end, so that nobody needs to be asked then.
#[derive(Debug)]
pub(crate) struct StartedExec<'a> {
    pub(crate) marker: ExecMarker,
    /// The container that it was started in.
    pub(crate) target: &'a ExecTarget,
    /// The client. It may have been reaped, and its number given to another, when the command must end.
    pub(crate) client: Option<ProcessEntry>,
    /// When the client was started, in clock ticks: nothing of the command is older.
    pub(crate) began: u64,
}

impl<'a> StartedExec<'a> {
    /// What its processes carry.
    pub(crate) fn marker(&self) -> &ExecMarker {
        &self.marker
    }

    /// Of a client that was just started.
    pub(crate) fn of(target: &'a ExecTarget, process: &Process<'_>, marker: ExecMarker) -> Self {
        let client = procfs::entry(process.pid()).ok().flatten();
        let began = client.as_ref().map_or(0, |client| client.start_time);
        Self { marker, target, client, began }
    }

    /// Whether podman has no more records of the container, and has those of others.
    pub(crate) fn container_was_removed(&self) -> bool {
        self.target.static_dir.as_deref().is_some_and(|static_dir| {
            let of_all = static_dir.parent().and_then(Path::parent);
            !static_dir.exists() && of_all.is_some_and(Path::is_dir)
        })
    }

    /// Whether somebody has stopped the client, so that it does nothing of itself.
    pub(crate) fn client_is_stopped(&self) -> bool {
        self.client.as_ref().is_some_and(|client| {
            let now = procfs::entry(client.pid).ok().flatten();
            now.is_some_and(|now| is_same(client, &now)) && matches!(procfs::is_stopped(client.pid), Ok(true))
        })
    }
}
