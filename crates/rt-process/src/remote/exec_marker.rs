//! The environment variable that identifies the processes of a remote command (in a container, in a
//! guest).

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A unique value that is set in a command's environment as [`ExecMarker::NAME`].
///
/// Processes inherit it, so a scan of `/proc/*/environ` finds the command's descendants wherever
/// they are. A process can remove it (`env -i`), so it is one sign among several. It never proves
/// that nothing is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecMarker(String);

impl ExecMarker {
    /// The variable's name. Commands can see it.
    pub const NAME: &'static str = "RT_EXEC_ID";

    /// Creates a fresh value: 32 hexadecimal digits.
    #[must_use]
    pub fn fresh() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // `RandomState` is keyed by the system's randomness; process id and count distinguish forks
        // and calls.
        let half = |salt: u64| {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(salt);
            hasher.write_u64(count);
            hasher.write_u32(std::process::id());
            hasher.finish()
        };
        Self(format!("{:016x}{:016x}", half(0), half(1)))
    }

    /// Returns the value.
    pub fn value(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_markers_are_alike() {
        let values: std::collections::BTreeSet<_> = (0..1000).map(|_| ExecMarker::fresh().0).collect();
        assert_eq!(values.len(), 1000);
        assert!(values.iter().all(|value| value.len() == 32));
    }
}
