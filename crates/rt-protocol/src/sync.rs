//! How threads wait and lock: [`Notify`] for threads, [`Waker`] for poll loops, and no third way.
//!
//! Public only for the crates of this workspace; it may change at any time.

mod lock;
mod notify;
mod waker;

pub use lock::lock;
pub use notify::Notify;
pub use waker::Waker;
