//! The password of a pull, which no recording shows.

use rt_protocol::{PullOptions, RegistryAuth, Secret};

/// Returns the password and the name that stands for it in a recording.
pub(crate) fn registry_password(options: &PullOptions) -> Option<(String, &Secret)> {
    match &options.auth {
        Some(RegistryAuth::Credentials(credentials)) => {
            Some((format!("password of {}", credentials.user()), credentials.password()))
        }
        _ => None,
    }
}
