//! The signals that ask `xtask` to stop, noted and never acted on here: the wait loops of `child` look, end
//! what they wait for and return an error, and the clean-up runs as after any other failure.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::{Failure, Result};

static SEEN: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Takes over SIGINT, SIGTERM and SIGHUP for the life of the process.
pub(crate) fn watch() -> Result<()> {
    let seen = SEEN.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_usize(signal, Arc::clone(seen), signal.unsigned_abs() as usize)
            .map_err(|error| Failure::new(format!("cannot watch signal {signal}: {error}")))?;
    }
    Ok(())
}

/// The number of the last signal seen.
pub(crate) fn signal() -> Option<i32> {
    let number = SEEN.get()?.load(Ordering::Relaxed);
    i32::try_from(number).ok().filter(|number| *number != 0)
}

/// Forgets a SIGINT: the terminal gave it to a child too, and the child decides what it means.
pub(crate) fn leave_to_child() {
    if let Some(seen) = SEEN.get() {
        let _ =
            seen.compare_exchange(SIGINT.unsigned_abs() as usize, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// 128 plus the signal's number, when one was seen.
pub(crate) fn exit_code() -> Option<u8> {
    signal().and_then(|number| u8::try_from(128 + number).ok())
}
