//! Detects which backends work on this machine, by running something with each of them.

use std::fmt;

use rt_protocol::{ErrorKind, Result, Until};

use crate::Backend;

/// Whether one backend works on this machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Detection {
    /// The backend.
    pub backend: Backend,
    /// `Ok` if it works here, otherwise the reason.
    pub verdict: Result<()>,
}

impl Detection {
    /// Returns whether it works here.
    pub fn is_usable(&self) -> bool {
        self.verdict.is_ok()
    }

    /// Returns whether this build includes the backend.
    pub fn is_compiled_in(&self) -> bool {
        !matches!(&self.verdict, Err(error) if error.kind() == ErrorKind::FeatureDisabled)
    }
}

impl fmt::Display for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Ok(()) => write!(f, "{}: usable", self.backend),
            Err(error) => write!(f, "{}: not usable: {error}", self.backend),
        }
    }
}

/// Tries every backend and returns the results. For podman this runs a container and a command in
/// it, which takes about half a second, needs no image and leaves nothing behind.
///
/// If `until` has no deadline, a backend that does not answer within 60 seconds counts as not
/// usable.
///
/// ```
/// use rt::{Backend, Until};
///
/// for found in rt::detect(&Until::after(std::time::Duration::from_secs(30))) {
///     println!("{found}");
///     if found.backend == Backend::Null {
///         assert_eq!(found.is_usable(), found.is_compiled_in());
///     }
/// }
/// ```
pub fn detect(until: &Until) -> Vec<Detection> {
    Backend::ALL
        .iter()
        .map(|backend| Detection { backend: *backend, verdict: probe(*backend, until) })
        .collect()
}

fn probe(backend: Backend, until: &Until) -> Result<()> {
    // Only used with podman.
    let _ = until;
    match backend {
        #[cfg(feature = "podman")]
        Backend::Podman => rt_podman::PodmanRuntime::new()?.probe(until),
        // Only a caller that has the key of a guest can say whether krun works.
        #[cfg(feature = "krun")]
        Backend::Krun => Err(crate::open::krun_not_configured()),
        #[cfg(feature = "null")]
        Backend::Null => Ok(()),
        #[cfg(not(all(feature = "podman", feature = "krun", feature = "null")))]
        other => Err(crate::open::feature_disabled(other)),
    }
}
