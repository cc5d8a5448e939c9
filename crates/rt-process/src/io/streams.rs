//! Where the three streams of a process lead; how the bytes get there stands in `stdin_pump` and `output_pump`.

use std::fmt;
use std::process::Stdio;

use rt_protocol::{OutputLimit, Sink, Source};

/// The streams of a process.
#[derive(Debug)]
pub struct Streams<'a> {
    /// Where its stdin comes from. [`Source::empty`] is `/dev/null`; every other source is fed through a pipe.
    ///
    /// A descriptor that is neither pipe, socket nor file (a terminal) is read when poll says that it is ready. Should
    /// somebody else take its bytes in that instant, the read waits for the next ones, and everything else with it:
    /// no system offers a way to ask such a descriptor without changing its flags.
    pub stdin: Source<'a>,
    /// Where its stdout goes, through a pipe. Writing to a regular file takes as long as its file system does.
    pub stdout: Output<'a>,
    /// Where its stderr goes, likewise.
    pub stderr: Output<'a>,
}

impl Streams<'_> {
    /// No stdin, and both outputs captured.
    pub fn captured(stdout: OutputLimit, stderr: OutputLimit) -> Streams<'static> {
        Streams { stdin: Source::empty(), stdout: Output::Capture(stdout), stderr: Output::Capture(stderr) }
    }
}

/// Where one output of a process goes.
pub enum Output<'a> {
    /// It is kept, up to the limit; what is beyond is counted.
    Capture(OutputLimit),
    /// It is handed on.
    Bridge(Sink<'a>),
    /// It is handed on, and a copy is kept, up to the limit. The copy goes on when the sink has failed.
    Tee(Sink<'a>, OutputLimit),
}

/// What a [`Child`](crate::Child) gets as its three streams: nothing, a pipe whose other end is ours, a descriptor of the caller's that is
/// handed to it as it is, or this program's own.
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
