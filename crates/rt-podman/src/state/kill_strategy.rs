//! Where to search for the processes of a command that must end.

rt_protocol::word_enum! {
    /// Where to search for the processes of a command that must end.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum KillStrategy: "kill strategy" {
        /// On the host, and by a second exec if the host cannot see them.
        #[default]
        Auto = "auto",
        /// By a second exec only, which needs `sh` and `grep` in the image. For a podman whose
        /// containers run on another machine.
        InContainer = "in-container",
    }
}
