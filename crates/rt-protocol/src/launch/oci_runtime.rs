//! The OCI runtime of a new container.

use crate::InvalidValue;
use crate::checked_text;

/// The OCI runtime of a container: a name that the engine knows, or an absolute path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OciRuntime(String);

impl OciRuntime {
    /// Checks the name.
    ///
    /// # Errors
    /// A text that is neither a path that begins with `/`, nor a name that matches
    /// `[A-Za-z0-9][A-Za-z0-9_.-]*`.
    pub fn new(runtime: impl Into<String>) -> Result<Self, InvalidValue> {
        let runtime = runtime.into();
        let is_name = runtime.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && runtime.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if is_name || runtime.starts_with('/') && !runtime.contains(char::is_control) {
            Ok(Self(runtime))
        } else {
            Err(InvalidValue::new("OCI runtime", runtime, "it must be a plain name or an absolute path"))
        }
    }
}

checked_text!(OciRuntime);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_never_an_option() {
        for bad in ["", "-x", "a b", "a\n"] {
            assert!(OciRuntime::new(bad).is_err(), "{bad}");
        }
        assert!(OciRuntime::new("/usr/bin/crun").is_ok());
    }
}
