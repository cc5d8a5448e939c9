//! Runs a process to its end and captures its output, within a limit.

use rt_protocol::{KILL_GRACE, OutputLimit, Source, Until};

use crate::{Finished, Output, ProcessError, ProcessSpec, Streams, with_process};

/// Runs a process to its end and captures its output.
///
/// If `until` ends first, the process group is ended (TERM, 2 s, KILL) before this returns. If the
/// process itself has exited and only another process holds its outputs open, the result is
/// complete. Nothing is signalled then.
///
/// # Errors
/// - The errors of starting it, see [`with_process`].
/// - [`Interrupted`](ProcessError::Interrupted), with the output so far. If `until` ended before
///   the start, nothing was started and `finished.pid` is `None`.
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
