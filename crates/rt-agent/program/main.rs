//! The agent: a static program without a libc that starts commands in a container for its host.
//!
//! `agent` waits for requests and forks a `supervisor` for each. The supervisor starts the
//! `command`, reports how it ends, and ends its process `tree` on request. If the command has a
//! `terminal`, the supervisor copies between that and the host. In the place of a command, a child
//! of it can also do a `file_act`. A `rehearsal` of commands comes before the agent's hello.
//! `wire_format` defines the messages between them and the host. Where no descriptors can be
//! passed, a `multiplexer` is in the agent's place, and carries the streams of all commands in the
//! packets of `packet_format`. Only `kernel` makes system calls; it is `unsafe` together with
//! `syscall`, `entry` and `memory`.

#![no_std]
#![no_main]
// Otherwise `memcpy` would be compiled into a call of itself.
#![no_builtins]

mod agent;
mod buffer;
mod command;
mod entry;
mod file_act;
mod inherited;
mod kernel;
mod memory;
mod multiplexer;
#[path = "../src/packet_format.rs"]
#[allow(dead_code, reason = "each side uses a part of it")]
mod packet_format;
mod rehearsal;
mod supervisor;
mod syscall;
mod terminal;
mod tree;
mod user_database;
#[path = "../src/wire_format.rs"]
#[allow(dead_code, reason = "each side uses a part of it")]
mod wire_format;

/// No code here is meant to panic. If it does, the host sees the end of the socket.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    kernel::exit(101)
}
