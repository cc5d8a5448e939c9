//! Why a command is ended before it ends by itself, and the error that its caller gets.

use std::borrow::Cow;
use std::{fmt, io};

use crate::{Error, ErrorKind, OutputStream, UntilError};

/// Why a command, or a process of a backend's, is ended before it ends by itself.
#[derive(Debug)]
#[must_use = "what was interrupted still runs"]
pub enum Interruption {
    /// The caller's limit is over.
    Stopped(UntilError),
    /// The caller's source failed.
    SourceFailed(io::Error),
    /// A sink of the caller's failed.
    SinkFailed(OutputStream, io::Error),
}

impl Interruption {
    /// The error of the call; for backends. They say next what became of the command, by
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
