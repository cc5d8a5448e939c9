//! Why a command is ended before its own end, and the error for it.

use std::borrow::Cow;
use std::{fmt, io};

use crate::{Error, ErrorKind, OutputStream, UntilError};

/// The reason why a command, or a process of a backend, is ended before its own end.
#[derive(Debug)]
#[must_use = "what was interrupted still runs"]
pub enum Interruption {
    /// The caller's [`Until`](crate::Until) has ended.
    Stopped(UntilError),
    /// The caller's source failed.
    SourceFailed(io::Error),
    /// A sink of the caller failed.
    SinkFailed(OutputStream, io::Error),
}

impl Interruption {
    /// Returns the error of the call; for backends. They add what is left of the command by
    /// [`Error::of_ended_command`] or [`Error::of_unstarted_command`].
    pub fn into_error(self, operation: impl Into<Cow<'static, str>>) -> Error {
        match self {
            Self::Stopped(stop) => Error::stopped(stop, operation),
            Self::SourceFailed(cause) => {
                Error::new(ErrorKind::SourceFailed, operation, "reading it failed").with_source(cause)
            }
            Self::SinkFailed(stream, cause) => {
                let message = match stream {
                    OutputStream::Stdout => "writing stdout failed",
                    OutputStream::Stderr => "writing stderr failed",
                };
                Error::new(ErrorKind::SinkFailed, operation, message).with_source(cause)
            }
        }
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(stop) => stop.fmt(f),
            Self::SourceFailed(_) => f.write_str("the source of its stdin failed"),
            Self::SinkFailed(..) => f.write_str("a sink of its output failed"),
        }
    }
}

impl From<UntilError> for Interruption {
    fn from(stop: UntilError) -> Self {
        Self::Stopped(stop)
    }
}
