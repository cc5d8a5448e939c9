//! The kinds of requests of a channel that a server answers.

/// A request of a channel that a server answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RequestKind {
    /// To run a command.
    Exec,
    /// To set a variable.
    Variable,
    /// To give the command a terminal.
    Terminal,
}
