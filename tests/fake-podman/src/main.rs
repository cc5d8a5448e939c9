//! A fake podman for tests without an engine. It imitates a version of podman (a profile) and its
//! failures (faults). It knows only the verbs, flags, messages and answers that the tests need, and
//! refuses anything else with a clear message.
//!
//! - `FAKE_PODMAN_DIR`: the directory with its state; needed.
//! - `FAKE_PODMAN_PROFILE`: `4.3.1` (the default), `5.4.2`, `4.9` or `6.0`. The last two are
//!   derived, not measured.
//! - `FAKE_PODMAN_CLOCK`: how many seconds its clock is ahead of the system's; may be negative.
//! - `FAKE_PODMAN_FAULT`: what goes wrong, see [`fault`].
//!
//! Commands are really run, as root: below the container's own root directory, in a mount and a
//! process namespace. The program re-executes itself for that, in modes whose names begin with `@`;
//! no verb of podman does.

#![allow(clippy::disallowed_methods, reason = "it stands in for podman, which starts processes of its own")]

mod answer;
mod archive;
mod call;
mod client;
mod container;
mod copy;
mod creation;
mod description;
mod event;
mod exec;
mod fault;
mod flags;
mod guest;
mod health;
mod health_check;
mod image;
mod images;
mod import;
mod inside;
mod json;
mod lifecycle;
mod listing;
mod log;
mod profile;
mod removal;
mod session;
mod spawn;
mod start;
mod store;
mod supervisor;
mod time;

use std::ffi::OsString;
use std::process::ExitCode;

use rustix::fs::Mode;
use rustix::process::umask;

fn main() -> ExitCode {
    // As podman and the OCI runtimes do first, whatever the caller's is: users of a container read
    // its files.
    umask(Mode::from_raw_mode(0o022));
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    // podman, too, knows only text: bytes that are no UTF-8 become U+FFFD.
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let rest = words.get(1..).unwrap_or_default();
    match words.first().map(String::as_str) {
        Some("@supervise") => supervisor::run(rest),
        Some("@init") => guest::run_init(rest),
        Some("@conmon") => session::detach(rest),
        Some("@session") => session::run(rest),
        Some("@join") => guest::run_join(rest),
        Some("@enter") => guest::run_enter(rest),
        _ => client::run(&words),
    }
}
