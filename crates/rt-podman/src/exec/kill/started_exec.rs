//! What is known about an exec before it must end, so that no question is needed then.

use std::path::Path;

use rt_process::procfs::{self, ProcessEntry};
use rt_process::{ExecMarker, Process};

use super::signals::is_same;
use crate::exec::target::ExecTarget;

/// An exec whose client has been started, with all that is needed to end it.
#[derive(Debug)]
pub(crate) struct StartedExec<'a> {
    pub(crate) marker: ExecMarker,
    /// The container in which it was started.
    pub(crate) target: &'a ExecTarget,
    /// The client. When the command must end, it may have been reaped and its number reused.
    pub(crate) client: Option<ProcessEntry>,
    /// When the client was started, in clock ticks: no process of the command is older.
    pub(crate) began: u64,
}

impl<'a> StartedExec<'a> {
    /// Returns the marker that its processes carry.
    pub(crate) fn marker(&self) -> &ExecMarker {
        &self.marker
    }

    /// Describes the exec of a client that was just started.
    pub(crate) fn of(target: &'a ExecTarget, process: &Process<'_>, marker: ExecMarker) -> Self {
        let client = procfs::entry(process.pid()).ok().flatten();
        let began = client.as_ref().map_or(0, |client| client.start_time);
        Self { marker, target, client, began }
    }

    /// Of a command that no client has asked for, at `began` or later.
    pub(crate) fn without_client(target: &'a ExecTarget, marker: ExecMarker, began: u64) -> Self {
        Self { marker, target, client: None, began }
    }

    /// Returns whether podman has no records of the container any more, but has those of others.
    pub(crate) fn container_was_removed(&self) -> bool {
        self.target.static_dir.as_deref().is_some_and(|static_dir| {
            let of_all = static_dir.parent().and_then(Path::parent);
            !static_dir.exists() && of_all.is_some_and(Path::is_dir)
        })
    }

    /// Returns whether the client was stopped by a signal, so that it does nothing by itself.
    pub(crate) fn client_is_stopped(&self) -> bool {
        self.client.as_ref().is_some_and(|client| {
            let now = procfs::entry(client.pid).ok().flatten();
            now.is_some_and(|now| is_same(client, &now)) && matches!(procfs::is_stopped(client.pid), Ok(true))
        })
    }
}
