//! The conformance suite on the fake podman as version 5.4.2.

#![allow(clippy::unwrap_used, reason = "a stage that cannot be set is its own report")]

#[path = "stage/engine.rs"]
mod engine;
#[path = "stage/suite.rs"]
mod suite;

fn main() -> std::process::ExitCode {
    suite::run("5.4.2")
}
