//! When the image of a new container is pulled.

use crate::word_enum;

/// When the image of a new container is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PullPolicy {
    /// When it is not here.
    #[default]
    Missing,
    /// Never: an image that is not here is an error.
    Never,
    /// Always.
    Always,
    /// When the registry has a newer one.
    Newer,
}

// podman's words.
word_enum!(PullPolicy, "pull policy", {
    Missing = "missing",
    Never = "never",
    Always = "always",
    Newer = "newer",
});
