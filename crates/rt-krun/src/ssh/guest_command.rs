//! A command that runs on a channel, as other threads see it that give it orders.

use std::sync::Arc;
use std::time::Duration;

use rt_process::{CommandSlot, ExecMarker};
use rt_protocol::{Result, TerminalSize, Until};

use super::channel::job::JobHandle;
use super::session::SessionPermit;
use crate::SshUser;

/// How long the request for a command may take to be sent.
const LIMIT: Duration = Duration::from_secs(10);

/// A command on a channel.
#[derive(Clone, Debug)]
pub(super) struct GuestCommand {
    pub(super) permit: Arc<SessionPermit>,
    pub(super) handle: JobHandle,
    pub(super) marker: ExecMarker,
    pub(super) user: SshUser,
}

impl GuestCommand {
    /// Changes the size of a command's terminal. Has no effect once it has ended.
    pub(super) fn resize(slot: &CommandSlot<Self>, size: TerminalSize) -> Result<()> {
        if let Some(command) = slot.command("resize a terminal in", &Until::after(LIMIT))? {
            command.permit.resize(&command.handle, size);
        }
        Ok(())
    }
}
