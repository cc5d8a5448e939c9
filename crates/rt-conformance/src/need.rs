//! What a case needs of the fixture.

use std::fmt;

/// What a case needs of the fixture, beyond the capabilities of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Need {
    /// Commands mean what a POSIX shell makes of them.
    Shell,
    /// Commands see the files that were copied, mounted or written before.
    Files,
    /// A directory that nobody made is missing.
    Directories,
    /// The main process of a new container does what its command says: its log, its exit code, its way with TERM.
    MainProcess,
    /// Commands write while they run; their output is never built as a whole first.
    Streaming,
    /// A command can count the processes of its guest.
    Processes,
    /// Commands are programs of a system, and see what it gives them: descriptors, signals, limits.
    System,
    /// A launch that must fail at its start does: an unknown command.
    LaunchFailures,
    /// Commands take over what the launch said of the main process: workdir, user.
    LaunchSettings,
    /// Commands get in without a network of the container.
    Offline,
    /// A command's user may be given a group of the request's choice.
    Groups,
    /// [`Fixture::broken`](crate::Fixture::broken) has a runtime whose engine cannot be asked.
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
            Self::Offline => "commands without a network",
            Self::Groups => "users in any group",
            Self::BrokenEngine => "a runtime whose engine cannot be asked",
        })
    }
}
