//! A process that is run to its end for what it says, within a limit.

use rt_protocol::{KILL_GRACE, OutputLimit, Source, Until};

use crate::{Finished, Output, ProcessError, ProcessSpec, Streams, with_process};

/// Runs a process to its end and captures what it says.
///
/// When `until` ends first, the process group is ended (TERM, 2 s, KILL) before this returns. A process that has exited
/// and only left somebody who holds its outputs open is not ended by that, nor what it left behind: its answer is
/// complete.
///
/// # Errors
/// - What starting it can fail with, see [`with_process`].
/// - [`Interrupted`](ProcessError::Interrupted), with what it said until then. When `until` is over before anything was
///   started, nothing is, and `finished.pid` is `None`.
pub fn capture(
    spec: &ProcessSpec,
    stdin: Source<'_>,
    stdout: OutputLimit,
    stderr: OutputLimit,
    until: &Until,
) -> Result<Finished, ProcessError> {
    if let Err(stop) = until.check() {
        return Err(ProcessError::Interrupted { interruption: stop.into(), finished: Box::default() });
    }
    let streams = Streams { stdin, stdout: Output::Capture(stdout), stderr: Output::Capture(stderr) };
    with_process(spec, streams, |process| {
        let driven = process.drive(until);
        if driven.is_err() {
            process.end(KILL_GRACE);
        }
        let finished = process.finish();
        match driven {
            Ok(()) => Ok(finished),
            Err(interruption) => {
                Err(ProcessError::Interrupted { interruption, finished: Box::new(finished) })
            }
        }
    })?
}
