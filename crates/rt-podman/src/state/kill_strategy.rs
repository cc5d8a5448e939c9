//! Where a command that must end is looked for.

/// Where the processes of a command that must end are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KillStrategy {
    /// From the host, and by a second exec where the host cannot see them.
    #[default]
    Auto,
    /// By a second exec alone, which needs `sh` and `grep` in the image. For a podman whose containers run on another
    /// machine.
    InContainer,
}

rt_protocol::word_enum!(KillStrategy, "kill strategy", { Auto = "auto", InContainer = "in-container", });
