//! Runs the podman program and reads its output.

pub(crate) mod answer;
pub(crate) mod caller_paths;
pub(crate) mod engine;
pub(crate) mod failure;
pub(crate) mod json;
pub(crate) mod secret_env;
pub(crate) mod shell;
