//! What an engine reports while it pulls an image.

use std::fmt;

/// A step of a pull, reported when it begins.
///
/// Engines do not report how many bytes have come: podman does so only on a terminal, as a drawing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum PullProgress {
    /// The engine asks a registry for the image. If the reference names no registry, it may try
    /// several, one after the other.
    Trying {
        /// The full name, with its registry.
        image: String,
    },
    /// A layer is next. Several layers may be transferred at the same time. A layer that is already
    /// present is reported too, and not transferred.
    Layer {
        /// Its digest: `sha256:…`.
        digest: String,
    },
    /// All layers are present. The configuration of the image is next.
    Config {
        /// Its digest: `sha256:…`.
        digest: String,
    },
    /// The image is written to the engine's store.
    Storing,
    /// The registry did not work, and the engine tries again. Layers are reported again.
    Retrying {
        /// Why, in the engine's words.
        reason: String,
    },
}

/// A line for people.
impl fmt::Display for PullProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trying { image } => write!(f, "trying {image}"),
            Self::Layer { digest } => write!(f, "layer {digest}"),
            Self::Config { digest } => write!(f, "configuration {digest}"),
            Self::Storing => f.write_str("storing the image"),
            Self::Retrying { reason } => write!(f, "trying again after: {reason}"),
        }
    }
}
