//! The streams of a command that a backend starts, and the pipes that the command may hold itself.

use std::os::fd::BorrowedFd;

use crate::{ExecRequest, ExecStdio};

/// The streams of a command that [`Container::spawn`](crate::Container::spawn) starts; for
/// backends.
#[derive(Debug, Default)]
pub struct CommandStreams {
    stdio: ExecStdio<'static>,
    /// Each is a pipe that was made for this command alone, or nothing.
    is_direct: bool,
}

/// The command's ends of its pipes.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CommandPipes<'a> {
    /// The end that the command reads; `None` if it has no stdin.
    pub stdin: Option<BorrowedFd<'a>>,
    /// The end to which its stdout goes; `None` if that is discarded.
    pub stdout: Option<BorrowedFd<'a>>,
    /// The end to which its stderr goes; `None` if that is discarded.
    pub stderr: Option<BorrowedFd<'a>>,
}

impl CommandStreams {
    /// Returns streams that a backend serves as those of
    /// [`exec_stdio`](crate::Container::exec_stdio).
    pub fn new(stdio: ExecStdio<'static>) -> Self {
        Self { stdio, is_direct: false }
    }

    /// Returns streams that are pipes for this command alone, or nothing.
    pub(crate) fn direct(stdio: ExecStdio<'static>) -> Self {
        Self { stdio, is_direct: true }
    }

    /// Returns the pipes, if the command of this request may hold them itself: each stream is a
    /// pipe that was made for it, or nothing, and no output has a limit. The caller closes its own
    /// copies after the call, so that the outputs end with the command.
    pub fn pipes(&self, request: &ExecRequest) -> Option<CommandPipes<'_>> {
        let ExecStdio { stdin, stdout, stderr } = &self.stdio;
        (self.is_direct && request.is_unlimited()).then(|| CommandPipes {
            stdin: stdin.as_fd(),
            stdout: stdout.as_fd(),
            stderr: stderr.as_fd(),
        })
    }

    /// Takes the streams, to serve them as those of
    /// [`exec_stdio`](crate::Container::exec_stdio). Nothing is left.
    pub fn take(&mut self) -> ExecStdio<'static> {
        std::mem::take(self).stdio
    }
}
