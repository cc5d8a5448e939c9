//! Measurements through rt-krun: a real sshd on loopback, and a user there who is not root. What is
//! measured stands in the modules below, and beside it the other ways to the same end: OpenSSH's
//! client, its multiplexer, russh, libssh2 alone.
//!
//! All of them have the guest's shell change the directory and become a program. A bare `true`
//! would be the shell's own word, which saves the execve(2) that every command of ours has; and
//! `cd` is what rt-krun does by default.

pub(super) mod exec;
pub(super) mod memory;
mod mux_session;
mod russh_session;
mod ssh2_session;
mod ssh_config;
pub(super) mod stdio;

use rt_protocol::{ContainerName, ContainerRuntime, ExecRequest, Until};

use crate::bench::outcome::Outcome;
use crate::krun::LoopbackGuest;

/// What all others say for the command that does nothing.
const TRUE: &str = "cd /workspace && exec true";

/// Ours, so many times one after the other.
fn run_true(runtime: &dyn ContainerRuntime, name: &ContainerName, times: u32) -> Outcome {
    let request = ExecRequest::new(["true"])?;
    for _ in 0..times {
        if !runtime.exec(name, &request, &Until::forever())?.success() {
            return Err("true is not true".into());
        }
    }
    Ok(())
}

/// The same in a guest of the laboratory.
fn run_true_in(guest: &LoopbackGuest<'_>, times: u32) -> Outcome {
    run_true(&guest.runtime, &guest.sandbox.name, times)
}
