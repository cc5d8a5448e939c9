//! When the image of a new container is pulled.

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

impl PullPolicy {
    /// podman's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Never => "never",
            Self::Always => "always",
            Self::Newer => "newer",
        }
    }
}
