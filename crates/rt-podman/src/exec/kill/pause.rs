//! The pause between two looks at the processes of a command.

use std::time::{Duration, Instant};

use rt_process::Process;
use rt_protocol::Until;

/// The length of the pause.
const STEP: Duration = Duration::from_millis(15);

/// Waits while the client's output still moves.
pub(crate) fn pause(process: &mut Process<'_>) {
    let begun = Instant::now();
    if !process.has_exited() {
        // A stream of the caller that fails now changes nothing: the command is being ended
        // already.
        drop(process.drive(&Until::after(STEP)));
    }
    std::thread::sleep(STEP.saturating_sub(begun.elapsed()));
}
