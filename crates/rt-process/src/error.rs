//! Why a process could not be run to its end. A backend decides what that means for its callers.

use std::io;
use std::path::PathBuf;

use rt_protocol::{Error, ErrorKind, Interruption};

use crate::Finished;

/// Why a process could not be run to its end. A non-zero exit code is not an error.
///
/// No variant shows an argument or an environment variable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program does not exist: no entry on `PATH`, or nothing at the path.
    #[error("no program `{}` was found", .program.display())]
    NotFound {
        /// The name or path that was searched.
        program: PathBuf,
    },
    /// The program exists but cannot be executed, because of its permissions, its format, or a
    /// missing interpreter.
    #[error("`{}` cannot be executed", .path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// The error of the system, if it was asked: EACCES, ENOEXEC, or ENOENT for a missing
        /// interpreter.
        source: Option<io::Error>,
    },
    /// Arguments and environment together are too long (E2BIG; the limits on Linux are about 2 MiB
    /// in total and 128 KiB for a single one).
    #[error("the {arguments} arguments and the environment of `{}` are too long", .program.display())]
    TooLong {
        /// The program.
        program: PathBuf,
        /// The number of arguments, without the program's name.
        arguments: usize,
    },
    /// The working directory does not exist or cannot be entered.
    #[error("cannot start in directory `{}`", .path.display())]
    WorkingDirectory {
        /// The directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The process could not be started for another reason, such as too many processes or
    /// descriptors, or a NUL in an argument.
    #[error("cannot start `{}`", .program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// This program ignores SIGCHLD, so the kernel would not keep the exit status of a child
    /// (wait(2), "NOTES"). Nothing was started.
    #[error("how `{}` ends cannot be seen: this program ignores SIGCHLD", .program.display())]
    SigchldIgnored {
        /// The program.
        program: PathBuf,
    },
    /// A descriptor that the caller gave as a source or sink is a message-oriented socket. Nothing
    /// was started.
    #[error("{reason}")]
    UnsupportedFd {
        /// What is wrong with it.
        reason: io::Error,
    },
    /// The system refused something that the process needs: a pipe, a thread. Nothing was left
    /// running.
    #[error("cannot {what}")]
    System {
        /// What was refused, worded to follow "cannot".
        what: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The caller's limit or stream ended the process. Only [`capture`](crate::capture()) returns
    /// this.
    #[error("{interruption}")]
    Interrupted {
        /// What interrupted it.
        interruption: Interruption,
        /// Output and status so far. Without a `pid`, nothing was started.
        finished: Box<Finished>,
    },
}

impl ProcessError {
    /// Returns the error of a command whose streams cannot be served.
    pub fn of_streams(&self, operation: &'static str) -> Error {
        match self {
            Self::UnsupportedFd { .. } => Error::new(ErrorKind::InvalidRequest, operation, self.to_string())
                .with_hint("give a stream socket or a pipe"),
            _ => Error::out_of_resources(operation, self.to_string()),
        }
    }

    /// Converts an error from setting up streams; `what` was being set up.
    pub(crate) fn from_stream_setup(what: &'static str, source: io::Error) -> Self {
        // The kind that `FdKind::of` returns. None of our pipes, threads or fstat(2) calls returns
        // EINVAL.
        if source.kind() == io::ErrorKind::InvalidInput {
            Self::UnsupportedFd { reason: source }
        } else {
            Self::System { what, source }
        }
    }
}
