//! Why a process could not be run to its end; what that means to a caller of a backend is decided there, not here.

use std::io;
use std::path::PathBuf;

use rt_protocol::Interruption;

use crate::Finished;

/// Why a process could not be run to its end. Its own non-zero exit is no error.
///
/// No variant shows an argument or a variable of the environment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// There is no such program: no entry on `PATH`, or nothing at the path.
    #[error("no program `{}` was found", .program.display())]
    NotFound {
        /// The name or path that was looked for.
        program: PathBuf,
    },
    /// The program is there and cannot be executed: its permissions, its format, or its interpreter is missing.
    #[error("`{}` cannot be executed", .path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// What the system said, when it was asked: EACCES, ENOEXEC, or ENOENT for a missing interpreter.
        source: Option<io::Error>,
    },
    /// Arguments and environment together are longer than the system takes (E2BIG; about 2 MiB on Linux, and 128 KiB for
    /// a single one).
    #[error("the {arguments} arguments and the environment of `{}` are too long", .program.display())]
    TooLong {
        /// The program.
        program: PathBuf,
        /// How many arguments there were, without the program's name.
        arguments: usize,
    },
    /// The directory to start in does not exist or cannot be entered.
    #[error("cannot start in directory `{}`", .path.display())]
    WorkingDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The process could not be started for another reason: too many processes or descriptors, a NUL in an argument.
    #[error("cannot start `{}`", .program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// This program ignores SIGCHLD, so the kernel would keep no exit status of a child (wait(2), "NOTES"). Nothing was
    /// started.
    #[error("how `{}` ends cannot be seen: this program ignores SIGCHLD", .program.display())]
    SigchldIgnored {
        /// The program.
        program: PathBuf,
    },
    /// A descriptor that the caller gave as a source or sink cannot be one: a message-oriented socket. Nothing was
    /// started.
    #[error("{reason}")]
    UnsupportedFd {
        /// What is wrong with it.
        reason: io::Error,
    },
    /// The system refused something that is needed around a process: a pipe, a thread. Nothing was left running.
    #[error("cannot {what}")]
    System {
        /// What was refused, to be read after "cannot".
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The caller's limit or stream ended the process; only [`capture`](crate::capture()) answers this.
    #[error("{interruption}")]
    Interrupted {
        /// By what.
        interruption: Interruption,
        /// What there was until then. Without a `pid` nothing was started.
        finished: Box<Finished>,
    },
}

impl ProcessError {
    /// What an error at the making of streams is; `what` was being made.
    pub(crate) fn from_stream_setup(what: &'static str, source: io::Error) -> Self {
        // The kind that `FdKind::of` gives; no pipe, thread or fstat(2) of ours answers EINVAL.
        if source.kind() == io::ErrorKind::InvalidInput {
            Self::UnsupportedFd { reason: source }
        } else {
            Self::System { what, source }
        }
    }
}
