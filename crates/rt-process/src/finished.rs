//! What is left of a process that is over.

use std::time::Duration;

use rt_protocol::{CapturedOutput, StreamReport};

use crate::ExitStatus;

/// What is left of a process.
///
/// The default is that of a process that was never started.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Finished {
    /// Its number; it may be another process's by now. `None` when nothing was started.
    pub pid: Option<u32>,
    /// How it ended. `None` when it still runs, was detached, or its status was lost, because this program waits
    /// for children that are not its own.
    pub status: Option<ExitStatus>,
    /// What went into its stdin.
    pub stdin: StreamReport,
    /// What came out of its stdout.
    pub stdout: StreamReport,
    /// What came out of its stderr.
    pub stderr: StreamReport,
    /// What was kept of its stdout.
    pub stdout_capture: CapturedOutput,
    /// What was kept of its stderr.
    pub stderr_capture: CapturedOutput,
    /// From its start to this answer.
    pub elapsed: Duration,
}
