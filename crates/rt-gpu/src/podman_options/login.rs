//! The options of podman's `login`.

/// Options without a value.
#[rustfmt::skip]
pub(super) const FLAGS: &[&str] = &[
    "verbose", "get-login", "tls-verify", "password-stdin",
];

/// Options with a value.
#[rustfmt::skip]
pub(super) const VALUES: &[&str] = &[
    "secret", "authfile", "cert-dir", "password", "username", "compat-auth-file",
];
