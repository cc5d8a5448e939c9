//! What a case needs of the fixture.

use std::fmt;

/// What a case needs of the fixture, beyond the capabilities of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Need {
    /// A POSIX shell interprets commands.
    Shell,
    /// Commands see files that were copied, mounted or written before.
    Files,
    /// A directory does not exist unless it was made.
    Directories,
    /// The main process of a new container does what its command says: its log, its exit code, its
    /// reaction to TERM.
    MainProcess,
    /// Commands write while they run. Their output is not built completely before.
    Streaming,
    /// A command can count the processes of its guest.
    Processes,
    /// Commands are programs of an operating system and see their descriptors, signals and limits.
    System,
    /// A launch that must fail at its start does so: one with an unknown command.
    LaunchFailures,
    /// Commands inherit the settings of the launch for the main process: workdir, user.
    LaunchSettings,
    /// Files are written as root.
    Root,
    /// Commands can enter a container without a network.
    Offline,
    /// A request can set the group of a command's user.
    Groups,
    /// Containers have control groups of their own, so that they can be paused and limited.
    Cgroups,
    /// [`Fixture::broken`](crate::Fixture::broken) returns a runtime whose engine cannot answer.
    BrokenEngine,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shell => "commands with a shell's meaning",
            Self::Files => "files that commands can see",
            Self::Directories => "directories that can be missing",
            Self::MainProcess => "main processes that run",
            Self::Streaming => "output that is streamed",
            Self::Processes => "processes that can be counted",
            Self::System => "programs of a system",
            Self::LaunchFailures => "launches that can fail",
            Self::LaunchSettings => "commands that inherit from the launch",
            Self::Root => "files that are written as root",
            Self::Offline => "commands without a network",
            Self::Groups => "users in any group",
            Self::Cgroups => "control groups of a container",
            Self::BrokenEngine => "a runtime whose engine cannot be asked",
        })
    }
}
