//! The signals that ask `xtask` to stop. They only cancel a token. Code that waits then ends the
//! process for which it waits, and returns an error. Cleanup runs as after any other failure.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;

use rt_protocol::CancelToken;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Failure, Result};

static TOKEN: LazyLock<CancelToken> = LazyLock::new(CancelToken::new);
/// The number of the last signal seen; 0 before.
static SEEN: AtomicI32 = AtomicI32::new(0);
static IS_LEFT_TO_CHILD: AtomicBool = AtomicBool::new(false);

/// Takes over SIGINT, SIGTERM and SIGHUP for the life of the process.
pub(crate) fn watch() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Failure::new(format!("cannot watch signals: {error}")))?;
    thread::spawn(move || {
        for number in signals.forever() {
            if number != SIGINT || !IS_LEFT_TO_CHILD.load(Ordering::Relaxed) {
                SEEN.store(number, Ordering::Relaxed);
                TOKEN.cancel();
            }
        }
    });
    Ok(())
}

/// Is cancelled by the first signal.
pub(crate) fn token() -> &'static CancelToken {
    &TOKEN
}

/// The number of the last signal seen.
pub(crate) fn signal() -> Option<i32> {
    Some(SEEN.load(Ordering::Relaxed)).filter(|number| *number != 0)
}

/// Ignores SIGINT until the returned value is dropped. The terminal sends the signal to the child
/// too, and the child decides what to do.
pub(crate) fn leave_to_child() -> LeftToChild {
    IS_LEFT_TO_CHILD.store(true, Ordering::Relaxed);
    LeftToChild
}

pub(crate) struct LeftToChild;

impl Drop for LeftToChild {
    fn drop(&mut self) {
        IS_LEFT_TO_CHILD.store(false, Ordering::Relaxed);
    }
}

/// 128 plus the signal's number, when one was seen.
pub(crate) fn exit_code() -> Option<u8> {
    signal().and_then(|number| u8::try_from(128 + number).ok())
}
