//! The agent: a static program without a libc that starts commands in a container, as its host asks for them.
//!
//! `agent` waits for requests and forks a `supervisor` for each; that starts the `command`, says how it ends, and ends
//! its process `tree` when it is told to. What is said between them and the host stands in `wire_format`. Calls of the kernel
//! are made in `kernel`, and nowhere else: these are the `unsafe` parts, with `syscall`, `entry` and `memory`.

#![no_std]
#![no_main]
// Otherwise `memcpy` would be compiled to a call of itself.
#![no_builtins]

mod agent;
mod command;
mod entry;
mod kernel;
mod memory;
mod supervisor;
mod syscall;
mod tree;
mod user_database;
#[path = "../src/wire_format.rs"]
#[allow(dead_code, reason = "each side uses a part of it")]
mod wire_format;

/// Nothing here is meant to panic. Should it, the host hears of it by the end of the socket.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    kernel::exit(101)
}
