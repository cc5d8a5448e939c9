//! Where the three streams of a process lead. `stdin_pump` and `output_pump` move the bytes.

use std::fmt;
use std::process::Stdio;

use rt_protocol::{ExecStdio, OutputLimit, Sink, Source};

/// The streams of a process.
#[derive(Debug)]
pub struct Streams<'a> {
    /// The source of its stdin. [`Source::empty`] is `/dev/null`; every other source is fed through
    /// a pipe.
    ///
    /// A descriptor that is neither pipe, socket nor file (for example a terminal) is read when
    /// poll says that it is ready. If another process takes its bytes in that instant, the read
    /// waits for the next ones, and all streams of the process wait with it. No system can read
    /// such a descriptor without blocking unless its flags are changed.
    pub stdin: Source<'a>,
    /// The destination of its stdout, through a pipe. A write to a regular file takes as long as
    /// its file system does.
    pub stdout: Output<'a>,
    /// The destination of its stderr, through a pipe.
    pub stderr: Output<'a>,
}

impl<'a> Streams<'a> {
    /// Both outputs handed on to their sinks.
    pub fn bridged(stdio: ExecStdio<'a>) -> Self {
        Self {
            stdin: stdio.stdin,
            stdout: Output::Bridge(stdio.stdout),
            stderr: Output::Bridge(stdio.stderr),
        }
    }
}

impl Streams<'_> {
    /// No stdin, and both outputs captured.
    pub fn captured(stdout: OutputLimit, stderr: OutputLimit) -> Streams<'static> {
        Streams { stdin: Source::empty(), stdout: Output::Capture(stdout), stderr: Output::Capture(stderr) }
    }
}

/// The destination of one output of a process.
pub enum Output<'a> {
    /// Kept up to the limit; bytes beyond it are counted.
    Capture(OutputLimit),
    /// Handed on to the sink.
    Bridge(Sink<'a>),
    /// Handed on to the sink, with a copy kept up to the limit. The copy continues if the sink
    /// fails.
    Tee(Sink<'a>, OutputLimit),
}

/// The three streams of a [`Child`](crate::Child). Each is null, a pipe whose other end is ours, a
/// descriptor of the caller passed on unchanged, or inherited from this program.
#[derive(Debug)]
pub struct ChildStdio {
    /// Its descriptor 0.
    pub stdin: Stdio,
    /// Its descriptor 1.
    pub stdout: Stdio,
    /// Its descriptor 2.
    pub stderr: Stdio,
}

impl ChildStdio {
    /// `/dev/null` for all three.
    pub fn null() -> Self {
        Self { stdin: Stdio::null(), stdout: Stdio::null(), stderr: Stdio::null() }
    }

    /// A pipe for each.
    pub fn piped() -> Self {
        Self { stdin: Stdio::piped(), stdout: Stdio::piped(), stderr: Stdio::piped() }
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(limit) => f.debug_tuple("Capture").field(limit).finish(),
            Self::Bridge(sink) => f.debug_tuple("Bridge").field(sink).finish(),
            Self::Tee(sink, limit) => f.debug_tuple("Tee").field(sink).field(limit).finish(),
        }
    }
}
