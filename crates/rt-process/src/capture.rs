//! A process that is run to its end for what it says, within a limit.

use rt_protocol::{KILL_GRACE, OutputLimit, Source, Until};

use crate::{Drive, Finished, Output, ProcessError, ProcessSpec, Streams, with_process};

/// Runs a process to its end and captures what it says.
///
/// When `until` ends first, the process group is ended (TERM, 2 s, KILL) before this returns. A process that has exited
/// and only left somebody who holds its outputs open is not ended by that, nor what it left behind: its answer is
/// complete.
///
/// # Errors
/// - What starting it can fail with, see [`with_process`].
/// - [`Stopped`](ProcessError::Stopped), with what it said until then. When `until` is over before anything was started,
///   nothing is, and `finished.pid` is `None`.
/// - [`SourceFailed`](ProcessError::SourceFailed), likewise.
pub fn capture(
    spec: &ProcessSpec,
    stdin: Source<'_>,
    stdout: OutputLimit,
    stderr: OutputLimit,
    until: &Until,
) -> Result<Finished, ProcessError> {
    if let Err(stop) = until.check() {
        return Err(ProcessError::Stopped { stop, finished: Box::default() });
    }
    let streams = Streams { stdin, stdout: Output::Capture(stdout), stderr: Output::Capture(stderr) };
    with_process(spec, streams, |process| {
        let drive = process.drive(until);
        if !matches!(drive, Drive::Finished) {
            process.end(KILL_GRACE);
        }
        let finished = process.finish();
        match drive {
            Drive::Finished => Ok(finished),
            Drive::Stopped(stop) => Err(ProcessError::Stopped { stop, finished: Box::new(finished) }),
            Drive::SourceFailed(source) => {
                Err(ProcessError::SourceFailed { source, finished: Box::new(finished) })
            }
            // A capture has no sink of the caller's that could fail.
            Drive::SinkFailed(_, source) => Err(ProcessError::System { what: "keep its output", source }),
        }
    })?
}
