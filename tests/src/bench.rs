//! Measurements: ours beside the simplest other way to the same end, in turns, on a real podman and
//! a real sshd. What is measured stands in the modules below, the turns in `rounds`, a result in
//! `row`; `cargo xtask bench` makes the podman and prints the table.

mod bollard_session;
mod exec;
mod krun;
mod outcome;
mod pipe;
mod redaction;
mod removal;
mod rounds;
mod row;
mod sandboxes;
mod shell;
mod states;
mod stdio;
mod warm;
mod warm_files;
mod warm_memory;

pub use krun::memory::{PEAK, tell_peak};
pub use outcome::Outcome;
pub use row::{Row, Target, Unit};

use crate::live::Live;

/// One measurement by its name.
pub type Bench = (&'static str, fn(&Live) -> Outcome<Row>);

/// All of them.
pub const BENCHES: [Bench; 41] = [
    ("podman-exec-warm", warm::measure),
    ("podman-exec-warm-socket", warm::measure_socket),
    ("podman-exec-warm-fork", warm::measure_fork),
    ("podman-exec-warm-first", warm::measure_first),
    ("podman-exec-warm-threads", warm::measure_threads),
    ("podman-exec-warm-cpu", warm::measure_cpu),
    ("podman-exec-warm-memory", warm_memory::measure),
    ("podman-file-write-warm", warm_files::measure_write),
    ("podman-file-read-warm", warm_files::measure_read),
    ("podman-stdio-out-warm", stdio::measure_out_warm),
    ("podman-exec", exec::measure),
    ("podman-exec-bollard", exec::measure_bollard),
    ("async-sandboxes-launch", sandboxes::measure_launch),
    ("async-sandboxes-commands", sandboxes::measure_commands),
    ("async-sandboxes-removal", sandboxes::measure_removal),
    ("podman-stdio-out", stdio::measure_out),
    ("podman-floor-out", stdio::measure_out_floor),
    ("podman-stdio-in", stdio::measure_in),
    ("podman-states", states::measure),
    ("podman-force-remove", removal::measure),
    ("krun-exec-warm", krun::exec::measure_warm),
    ("krun-exec-warm-ssh", krun::exec::measure_warm_ssh),
    ("krun-exec-ssh", krun::exec::measure_ssh),
    ("krun-exec-controlmaster", krun::exec::measure_control_master),
    ("krun-floor-ssh", krun::exec::measure_ssh_floor),
    ("krun-floor-controlmaster", krun::exec::measure_control_master_floor),
    ("krun-exec-openssh", krun::exec::measure_mux),
    ("krun-exec-russh", krun::exec::measure_russh),
    ("krun-exec-ssh2", krun::exec::measure_ssh2),
    ("krun-exec-threads", krun::exec::measure_at_once),
    ("krun-stdio-out-warm", krun::stdio::measure_out_warm),
    ("krun-stdio-in-warm", krun::stdio::measure_in_warm),
    ("krun-stdio-out-ssh2", krun::stdio::measure_out_ssh2),
    ("krun-stdio-out-ssh", krun::stdio::measure_out_ssh),
    ("krun-stdio-in-ssh2", krun::stdio::measure_in_ssh2),
    ("krun-stdio-in-ssh", krun::stdio::measure_in_ssh),
    ("krun-memory-out", krun::memory::measure_out),
    ("krun-memory-in", krun::memory::measure_in),
    ("redaction-argv", redaction::measure_argv),
    ("redaction-scrubber", redaction::measure_scrubber),
    ("redaction-scrubber-words", redaction::measure_scrubber_of_words),
];
