//! How an image is pulled, and as whom.

use std::path::PathBuf;

use crate::{Error, ErrorKind, ImageRef, InvalidValue, Result, Secret};

/// Options of [`ContainerRuntime::pull_image`](crate::ContainerRuntime::pull_image).
///
/// ```
/// use rt_protocol::{PullOptions, RegistryAuth, RegistryCredentials, Secret};
///
/// let credentials = RegistryCredentials::new("ci", Secret::new("hunter2"))?;
/// let options = PullOptions::new().credentials(credentials);
/// let Some(RegistryAuth::Credentials(user)) = &options.auth else { panic!() };
/// assert_eq!(user.user(), "ci");
/// assert!(!format!("{options:?}").contains("hunter2"));
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct PullOptions {
    /// How the registry knows the caller. Without it, the engine uses what it knows, such as the
    /// logins of its user.
    pub auth: Option<RegistryAuth>,
    /// Whether the registry may be one without TLS, or with a certificate that cannot be verified.
    /// Then anybody on the way to it can read the credentials, and send another image.
    pub insecure: bool,
}

impl PullOptions {
    /// Returns options with the engine's own logins, and with verification of the registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a user and a password.
    #[must_use]
    pub fn credentials(self, credentials: RegistryCredentials) -> Self {
        Self { auth: Some(RegistryAuth::Credentials(credentials)), ..self }
    }

    /// Sets a file with logins, as `podman login` writes it. A relative path counts from the
    /// directory of this process.
    #[must_use]
    pub fn auth_file(self, path: impl Into<PathBuf>) -> Self {
        Self { auth: Some(RegistryAuth::File(path.into())), ..self }
    }

    /// Allows a registry without TLS, or with a certificate that cannot be verified.
    #[must_use]
    pub fn insecure(self) -> Self {
        Self { insecure: true, ..self }
    }

    /// Checks that credentials are meant for one registry. For backends.
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) for credentials with a reference that names no
    /// registry: the engine might try several, and would send the password to each.
    pub fn check_for(&self, reference: &ImageRef) -> Result<()> {
        if matches!(self.auth, Some(RegistryAuth::Credentials(_))) && reference.registry().is_none() {
            let message = "the credentials are meant for one registry, and the reference names none";
            return Err(Error::new(ErrorKind::InvalidRequest, "pull", message)
                .with_hint("name the image with its registry, such as docker.io/library/alpine")
                .of_image(reference));
        }
        Ok(())
    }
}

/// How a registry knows the caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegistryAuth {
    /// By a user and a password, for the registry that the reference names.
    Credentials(RegistryCredentials),
    /// By a file with logins for any number of registries, as `podman login` writes it.
    File(PathBuf),
}

/// A user of a registry and the password, or a token in its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegistryCredentials {
    user: String,
    password: Secret,
}

impl RegistryCredentials {
    /// Checks the user.
    ///
    /// # Errors
    /// A user that is empty, or has a colon or a control character: HTTP's basic authentication
    /// separates user and password by a colon (RFC 7617).
    pub fn new(
        user: impl Into<String>,
        password: impl Into<Secret>,
    ) -> std::result::Result<Self, InvalidValue> {
        let user = user.into();
        let reason = if user.is_empty() {
            "it is empty"
        } else if user.contains(':') {
            "it has a colon"
        } else if user.contains(char::is_control) {
            "it has a control character"
        } else {
            return Ok(Self { user, password: password.into() });
        };
        Err(InvalidValue::new("user of a registry", user, reason))
    }

    /// Returns the user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the password.
    pub fn password(&self) -> &Secret {
        &self.password
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_no_registry_can_be_told_is_refused_without_the_password() {
        for user in ["", "a:b", "a\nb", "\u{7f}"] {
            let error = RegistryCredentials::new(user, "hunter2").unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        let good = RegistryCredentials::new("ä b", "hunter2").unwrap();
        let options = PullOptions::new().credentials(good).insecure();
        for text in [format!("{options:?}"), format!("{options:#?}")] {
            assert!(text.contains("ä b") && !text.contains("hunter2"), "{text}");
        }
    }
}
