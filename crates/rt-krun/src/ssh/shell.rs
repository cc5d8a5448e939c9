//! Speaks to the login shell of a guest: how a command is written for it, and how it reports a
//! failure.

pub(crate) mod agent_script;
pub(crate) mod login_shell;
pub(crate) mod quoting;
pub(crate) mod remote_command;
pub(crate) mod remote_failure;
pub(crate) mod words;
