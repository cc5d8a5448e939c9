//! Which backends work here, and why the others do not: by really running something.

use std::fmt;

use rt_protocol::{ErrorKind, Result, Until};

use crate::Backend;

/// What is known of one backend on this machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Detection {
    /// Which backend.
    pub backend: Backend,
    /// Whether it works here, or why not.
    pub verdict: Result<()>,
}

impl Detection {
    /// Whether it works here.
    pub fn is_usable(&self) -> bool {
        self.verdict.is_ok()
    }

    /// Whether this build has it at all.
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

/// Tries every backend: podman by running a container and a command in it, which takes about half a second, needs no
/// image and leaves nothing. Without a deadline in `until`, a backend that does not answer within 60 s is not usable.
///
/// ```
/// use rt::{Backend, Until};
///
/// for found in rt::detect(&Until::after(std::time::Duration::from_secs(30))) {
///     println!("{found}");
///     assert!(found.backend != Backend::Null || found.is_usable() == found.backend.is_compiled_in());
/// }
/// ```
pub fn detect(until: &Until) -> Vec<Detection> {
    Backend::ALL
        .iter()
        .map(|backend| Detection { backend: *backend, verdict: probe(*backend, until) })
        .collect()
}

fn probe(backend: Backend, until: &Until) -> Result<()> {
    // Unused without podman.
    let _ = until;
    match backend {
        #[cfg(feature = "podman")]
        Backend::Podman => rt_podman::PodmanRuntime::new()?.probe(until),
        // Whether a guest can be entered is known only to who has its key.
        #[cfg(feature = "krun")]
        Backend::Krun => Err(crate::open::krun_not_configured()),
        #[cfg(feature = "null")]
        Backend::Null => Ok(()),
        #[cfg(not(all(feature = "podman", feature = "krun", feature = "null")))]
        other => Err(crate::open::feature_disabled(other)),
    }
}
