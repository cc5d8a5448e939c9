//! Sends a signal to a command in a guest, by a script on a channel of its own.
//!
//! The signal request of a channel says nothing about its success. OpenSSH serves it for users
//! other than root and some signals; Dropbear signals the first process alone.

use std::sync::Arc;
use std::time::Duration;

use rt_process::{CommandSlot, RemoteSignal};
use rt_protocol::{Container, Error, ErrorKind, Result, Signal, Until};

use super::guest_command::GuestCommand;
use super::guest_script::GuestScript;
use super::session::pool::Pool;

const OPERATION: &str = "signal a command in";

/// How long a command may take to begin, and the script to run.
const LIMIT: Duration = Duration::from_secs(10);

/// The time between two looks for a command that is about to begin.
const PAUSE: Duration = Duration::from_millis(20);

/// Sends a signal to the process group of a command, once it has begun. Has no effect once it has
/// ended.
pub(super) fn send(
    pool: &Arc<Pool>,
    guest: &Arc<dyn Container>,
    slot: &CommandSlot<GuestCommand>,
    signal: Signal,
) -> Result<()> {
    let until = Until::after(LIMIT);
    let Some(command) = slot.command(OPERATION, &until)? else { return Ok(()) };
    let GuestCommand { permit, handle, marker, user } = &command;
    // Before that, its processes are those of the login shell.
    let not_begun = || CommandSlot::<GuestCommand>::not_begun(OPERATION);
    handle.wait_for_command(&until).map_err(|_| not_begun())?;
    let script = GuestScript { pool, container: guest, user, permit: Some(permit) };
    let failed = |message: &str| {
        Error::new(ErrorKind::BackendFailed, OPERATION, message).in_container(&guest.key().name)
    };
    while !handle.has_ended() {
        let said = script.run(RemoteSignal::argv(marker, signal), &until);
        match said.as_deref().map(RemoteSignal::parse) {
            Ok(RemoteSignal::Sent) => return Ok(()),
            Ok(RemoteSignal::FoundNothing) => {}
            Ok(RemoteSignal::Refused) => {
                return Err(failed("the guest's user may not signal it")
                    .with_hint("a program that has become another user takes signals of that user"));
            }
            Ok(RemoteSignal::Unknown) => {
                return Err(failed("the guest has not run the script that sends it")
                    .with_hint("see whether the guest has `grep`"));
            }
            Err(why) => return Err(failed(&format!("the guest could not be asked: {why}"))),
        }
        // The shell is about to become the command, or the command has just ended.
        if until.check().is_err() {
            return Err(failed("none of its processes was found in the guest")
                .with_hint("a program that has become another user is not found"));
        }
        if handle.wait(&Until::after(PAUSE)).is_ok() {
            break;
        }
    }
    Ok(())
}
