//! How threads of ours wait, and how they lock: [`Notify`] for threads, [`Waker`] for poll loops, and no third way.
//!
//! Public for the crates of this workspace alone, and without a promise of stability.

mod lock;
mod notify;
mod waker;

pub use lock::lock;
pub use notify::Notify;
pub use waker::Waker;
