//! What the live tests stand on: the environment that `cargo xtask` hands over, containers that remove themselves, and
//! counts of what is left behind. The tests themselves stand in `live/`.

#[cfg(feature = "bench")]
pub mod bench;
pub mod chaos;
pub mod conformance;
pub mod krun;
pub mod leftovers;
pub mod live;
pub mod registry;
pub mod sandbox;
pub mod ssh_lab;

#[path = "../../crates/rt/examples/quickstart/busybox_image.rs"]
#[allow(dead_code, reason = "the example has more than the tests use")]
mod busybox_image;
