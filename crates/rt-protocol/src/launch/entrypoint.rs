//! The entrypoint of a new container.

use crate::Argv;

/// The words before the command of a new container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Entrypoint {
    /// The image's own, if it has one.
    #[default]
    Image,
    /// None: the command is the whole argv.
    None,
    /// These words. The image's own command is not used then.
    Argv(Argv),
}
