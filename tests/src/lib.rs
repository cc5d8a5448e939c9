//! Support for the live tests: the environment that `cargo xtask` provides, containers that remove
//! themselves, and counts of leftovers. The tests are in `live/`.

#[cfg(feature = "bench")]
pub mod bench;
pub mod chaos;
pub mod conformance;
pub mod krun;
pub mod leftovers;
pub mod live;
pub mod registry;
pub mod sandbox;
pub mod spans;
pub mod ssh_lab;

// It is formatted as the example that it is a part of.
#[rustfmt::skip]
#[path = "../../crates/rt/examples/quickstart/busybox_image.rs"]
#[allow(dead_code, reason = "the example has more than the tests use")]
mod busybox_image;
