//! The ways in which commands get into a container, and why one of them is not taken.

use std::fmt;

use rt_protocol::{Capabilities, Capability, UntilError};

rt_protocol::word_enum! {
    /// How commands get into containers.
    ///
    /// - **Cold**: each command is a `podman exec`, which takes some 150 ms and three processes.
    /// - **Warm**: the first command of a container starts an agent there, by one `podman exec`.
    ///   Each command after that is one message to it, and takes about as long as a local fork and
    ///   exec.
    ///
    /// # Differences
    ///
    /// A command sees the same on both paths: user, groups, capabilities, limits, seccomp, labels,
    /// namespaces, control group, environment, directory, streams. Results differ in these points:
    ///
    /// | | warm | cold |
    /// | --- | --- | --- |
    /// | a command ended by a signal | `Signal("TERM")` | `Code(143)`, as for `exit 143` |
    /// | a script without `#!`, a missing interpreter, a broken program | `CommandNotExecutable` | `Code(1)`, and the OCI runtime's text on stderr |
    /// | a path below a file, or a loop of links | `CommandNotFound`, `CommandNotExecutable` | `BackendFailed` |
    /// | a program or directory that the user may not enter | `CommandNotExecutable`, `BadWorkdir` | crun finds and enters them as root |
    /// | `$0` of a script with a relative path | as given | crun puts the working directory before it |
    /// | session | one for each command | the OCI runtime's |
    /// | signal 32 | default | crun ignores it |
    /// | what a command hides from `rt` (`setsid env -i`) | is ended with it, and proved to be gone | is named as `Unknown` |
    /// | `podman events`, `podman top` | one exec and one process for each agent | one exec for each command |
    /// | processes of the container | one more, and one more for each command | the command's own |
/// | size of the container, podman 5 | some 900 bytes more for each agent: podman's record of it | the same for each command while it runs |
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum ExecPath: "exec path" {
        /// Warm where it works, and cold elsewhere. A command never runs twice. The default.
        #[default]
        Auto = "auto",
        /// Warm, or an error: [`Unsupported`](rt_protocol::ErrorKind::Unsupported) with the reason.
        Warm = "warm",
        /// Cold, always.
        Cold = "cold",
    }
}

impl ExecPath {
    /// What the backend serves in every container.
    pub(crate) fn capabilities(self) -> Capabilities {
        match self {
            Self::Warm => Capabilities::all(),
            Self::Auto | Self::Cold => {
                Capabilities::all().without(Capability::ByteArguments).without(Capability::Signals)
            }
        }
    }
}

/// How the commands of one user get into one container now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warmth {
    /// By an agent.
    Warm,
    /// By `podman exec`.
    Cold(ColdReason),
}

/// Why commands go by `podman exec` and not by an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColdReason {
    /// The runtime was built with [`ExecPath::Cold`].
    Chosen,
    /// This build of the crate has no agent for this processor or system.
    NoProgram,
    /// The system gives this process no sealed memory that may be executed (`vm.memfd_noexec`).
    /// With the system's words.
    NoMemory(String),
    /// This process does not see the processes of the container: podman talks to another machine,
    /// or the container does not run.
    NotSeen,
    /// The container has `CAP_SYS_PTRACE` (`--privileged` has it too): a process in it could trace
    /// an agent and forge a status.
    MayTrace,
    /// No agent could be started, or it took no commands. With the words of podman, or what
    /// happened. Tried again after a second, then after twice as long each time, up to a minute;
    /// after a minute if it took no commands; or at once if the cause may have passed: the
    /// container's state, an unknown user, a client of podman that was ended.
    Refused(String),
}

/// Why there is no agent.
#[derive(Debug)]
pub(crate) enum NoAgent {
    /// The caller's limit was over before it was known.
    Stopped(UntilError),
    /// There will be none, for this reason.
    Cold(ColdReason),
}

impl fmt::Display for Warmth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Warm => f.write_str("commands go by an agent in the container"),
            Self::Cold(reason) => write!(f, "commands go by `podman exec`: {reason}"),
        }
    }
}

impl fmt::Display for ColdReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("the runtime was built so"),
            Self::NoProgram => f.write_str("there is no agent for this processor"),
            Self::NoMemory(why) => write!(f, "the system gives no executable memory: {why}"),
            Self::NotSeen => f.write_str("the processes of the container are not seen from here"),
            Self::MayTrace => f.write_str("processes of the container may trace others (CAP_SYS_PTRACE)"),
            Self::Refused(why) => write!(f, "no agent could be used: {why}"),
        }
    }
}
