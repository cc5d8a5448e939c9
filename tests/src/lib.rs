//! What the live tests stand on: the environment that `cargo xtask` hands over, containers that remove themselves, and
//! counts of what is left behind. The tests themselves stand in `live/`.

pub mod bench;
pub mod conformance;
pub mod leftovers;
pub mod live;
pub mod sandbox;

#[path = "../../crates/rt/examples/quickstart/busybox_image.rs"]
#[allow(dead_code, reason = "the example has more than the tests use")]
mod busybox_image;
