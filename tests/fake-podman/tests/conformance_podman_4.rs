//! The conformance suite on the fake podman as version 4.3.1.

#![allow(clippy::unwrap_used, reason = "a stage that cannot be set is its own report")]

#[path = "stage/engine.rs"]
mod engine;
#[path = "stage/suite.rs"]
mod suite;

fn main() -> std::process::ExitCode {
    suite::run("4.3.1")
}
