//! The result of a process that was finished.

use std::time::Duration;

use rt_protocol::{CapturedOutput, StreamReport};

use crate::ExitStatus;

/// The result of a process.
///
/// The default is the result of a process that was never started.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Finished {
    /// Its process id, which may belong to another process by now. `None` if nothing was started.
    pub pid: Option<u32>,
    /// Its exit status. `None` if it still runs, was detached, or its status was lost because this
    /// program waits for children that are not its own.
    pub status: Option<ExitStatus>,
    /// What was written to its stdin.
    pub stdin: StreamReport,
    /// What was read from its stdout.
    pub stdout: StreamReport,
    /// What was read from its stderr.
    pub stderr: StreamReport,
    /// What was captured of its stdout.
    pub stdout_capture: CapturedOutput,
    /// What was captured of its stderr.
    pub stderr_capture: CapturedOutput,
    /// The time from its start to this result.
    pub elapsed: Duration,
}
