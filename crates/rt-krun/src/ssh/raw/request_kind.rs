//! What a channel asks of a server and waits for.

/// What a channel can be asked, and answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RequestKind {
    /// To run a command.
    Exec,
    /// To set a variable.
    Variable,
}
