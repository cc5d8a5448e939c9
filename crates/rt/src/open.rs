//! Opening a backend by its name.

use std::sync::Arc;

use rt_protocol::{ContainerRuntime, Error, ErrorKind, Result};

use crate::Backend;

/// Opens a backend with its default settings.
///
/// Only checks whether the backend's program exists; [`detect`](crate::detect()) says whether the
/// backend works. For other settings, such as another podman or other limits, build the backend's
/// own runtime; it implements the same trait.
///
/// # Errors
/// - [`FeatureDisabled`](ErrorKind::FeatureDisabled): this build does not include the backend; the
///   hint names the feature.
/// - [`InvalidRequest`](ErrorKind::InvalidRequest): krun has no defaults, since it needs an
///   identity and a way to find its guests. Build a `KrunRuntime` instead.
/// - [`BackendMissing`](ErrorKind::BackendMissing),
///   [`BackendNotExecutable`](ErrorKind::BackendNotExecutable): podman cannot be started.
///
/// ```
/// use rt::{Backend, ErrorKind};
///
/// match rt::open(Backend::Null) {
///     Ok(runtime) => assert!(runtime.id().as_str().starts_with("null")),
///     Err(error) => assert_eq!(error.kind(), ErrorKind::FeatureDisabled),
/// }
/// ```
pub fn open(backend: Backend) -> Result<Arc<dyn ContainerRuntime>> {
    match backend {
        #[cfg(feature = "podman")]
        Backend::Podman => Ok(Arc::new(rt_podman::PodmanRuntime::new()?)),
        #[cfg(feature = "krun")]
        Backend::Krun => Err(krun_not_configured()),
        #[cfg(feature = "null")]
        Backend::Null => Ok(Arc::new(rt_null::NullRuntime::new())),
        #[cfg(not(all(feature = "podman", feature = "krun", feature = "null")))]
        other => Err(feature_disabled(other)),
    }
}

/// Returns the error for a backend that this build does not include.
#[cfg(not(all(feature = "podman", feature = "krun", feature = "null")))]
pub(crate) fn feature_disabled(backend: Backend) -> Error {
    Error::new(ErrorKind::FeatureDisabled, "open", "")
        .with_subject(format!("backend `{backend}`"))
        .with_hint(format!("build rt with its feature `{backend}`"))
}

/// Returns the error for krun, which cannot be opened by its name alone.
#[cfg(feature = "krun")]
pub(crate) fn krun_not_configured() -> Error {
    Error::new(ErrorKind::InvalidRequest, "open", "it needs an identity and a resolver of endpoints")
        .with_subject(format!("backend `{}`", Backend::Krun))
        .with_hint("build a rt_krun::KrunRuntime with a TcpSshTransport")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_is_not_compiled_in_names_its_feature() {
        for backend in Backend::ALL {
            match open(*backend) {
                Ok(_) => assert!(backend.is_compiled_in()),
                // A machine without podman.
                Err(error) if error.kind() == ErrorKind::BackendMissing => {
                    assert_eq!(*backend, Backend::Podman);
                }
                Err(error) if *backend == Backend::Krun && backend.is_compiled_in() => {
                    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::FeatureDisabled);
                    assert!(error.to_string().contains(backend.as_str()), "{error}");
                }
            }
        }
    }
}
