//! When the image of a new container is pulled.

use crate::word_enum;

// podman's words.
word_enum! {
    /// When the image of a new container is pulled.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum PullPolicy: "pull policy" {
        /// If it is not present.
        #[default]
        Missing = "missing",
        /// Never. An image that is not present is an error.
        Never = "never",
        /// Always.
        Always = "always",
        /// If the registry has a newer one.
        Newer = "newer",
    }
}
