//! Measurements on a real podman: ours beside the simplest other way to the same end, in turns. What is measured stands in
//! the modules below, the turns in `rounds`, a result in `row`; `cargo xtask bench` makes the podman and prints the table.

mod exec;
mod removal;
mod rounds;
mod row;
mod shell;
mod states;
mod stdio;

pub use row::Row;

use crate::live::Live;

/// What any step of a measurement may answer.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// One measurement by its name.
pub type Bench = (&'static str, fn(&Live) -> Outcome<Row>);

/// All of them.
pub const BENCHES: [Bench; 5] = [
    ("podman-exec", exec::measure),
    ("podman-stdio-out", stdio::measure_out),
    ("podman-stdio-in", stdio::measure_in),
    ("podman-states", states::measure),
    ("podman-force-remove", removal::measure),
];
