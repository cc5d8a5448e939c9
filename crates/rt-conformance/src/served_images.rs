//! What registries serve for the suite.

use rt_protocol::{ImageRef, PullOptions, RegistryCredentials};

/// The images of the registries of a [`Fixture`](crate::Fixture). The suite pulls them, and removes
/// them afterwards.
#[derive(Clone, Debug)]
pub struct ServedImages {
    /// An image that anybody can pull. It has a layer.
    pub open: ImageRef,
    /// An image that its registry does not have.
    pub absent: ImageRef,
    /// An image that is served to the credentials alone.
    pub private: ImageRef,
    /// The credentials.
    pub credentials: RegistryCredentials,
    /// How the registries are reached, such as without TLS.
    pub options: PullOptions,
}
