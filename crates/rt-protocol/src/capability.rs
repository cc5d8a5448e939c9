//! What a backend can do, and what a request requires.

use std::fmt;

use crate::word_enum;

word_enum! {
    /// One thing that a backend can or cannot do.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    #[repr(u8)]
    pub enum Capability: "capability" {
        /// [`Container::exec_stdio`](crate::Container::exec_stdio).
        ExecStdio = "exec-stdio",
        /// [`Container::spawn`](crate::Container::spawn): the backend starts commands that run
        /// while the caller does other things. Without it,
        /// [`ContainerExt::spawn_command`](crate::ContainerExt::spawn_command) runs
        /// [`exec_stdio`](crate::Container::exec_stdio) on a thread.
        Spawn = "spawn",
        /// [`RunningCommand::signal`](crate::RunningCommand::signal).
        SendSignal = "send-signal",
        /// Plain variables of a request.
        ExecEnv = "exec-env",
        /// Secret variables of a request.
        ExecSecretEnv = "exec-secret-env",
        /// The workdir of a request.
        ExecWorkdir = "exec-workdir",
        /// The user of a request.
        ExecUser = "exec-user",
        /// Output limits of a request.
        OutputLimits = "output-limits",
        /// The terminal of a request, and, with [`Spawn`](Self::Spawn),
        /// [`RunningCommand::resize`](crate::RunningCommand::resize).
        Terminal = "terminal",
        /// Arguments, values and paths that are not UTF-8.
        ByteArguments = "byte-arguments",
        /// After a command was ended, the backend checks what is left of it, so
        /// [`KillOutcome::Gone`](crate::KillOutcome::Gone) is a checked fact.
        VerifiedKill = "verified-kill",
        /// A death by signal is reported as [`ExitOutcome::Signal`](crate::ExitOutcome::Signal).
        /// Without this capability, it is reported as [`Code(128 + N)`](crate::ExitOutcome::Code)
        /// in the containers where the backend does not learn the signal.
        Signals = "signals",
        /// [`Container::start`](crate::Container::start).
        Start = "start",
        /// [`Container::stop`](crate::Container::stop).
        Stop = "stop",
        /// [`Container::wait`](crate::Container::wait).
        Wait = "wait",
        /// [`Container::pause`](crate::Container::pause) and
        /// [`unpause`](crate::Container::unpause).
        Pause = "pause",
        /// [`Container::kill`](crate::Container::kill).
        Kill = "kill",
        /// [`Container::rw_size`](crate::Container::rw_size) and
        /// [`ContainerRuntime::rw_sizes`](crate::ContainerRuntime::rw_sizes).
        RwSize = "rw-size",
        /// [`Container::stats`](crate::Container::stats).
        Stats = "stats",
        /// [`Container::copy_in`](crate::Container::copy_in).
        CopyIn = "copy-in",
        /// [`Container::copy_out`](crate::Container::copy_out).
        CopyOut = "copy-out",
        /// [`Container::copy_in_tar`](crate::Container::copy_in_tar) and
        /// [`copy_out_tar`](crate::Container::copy_out_tar).
        CopyTar = "copy-tar",
        /// [`Container::write_file`](crate::Container::write_file).
        WriteFile = "write-file",
        /// Files that are replaced as a whole
        /// ([`FileOptions::atomic`](crate::FileOptions::atomic)).
        AtomicWrite = "atomic-write",
        /// [`Container::read_file`](crate::Container::read_file).
        ReadFile = "read-file",
        /// [`Container::stat`](crate::Container::stat).
        StatFile = "stat-file",
        /// [`Container::list_dir`](crate::Container::list_dir).
        ListDir = "list-dir",
        /// [`Container::remove_path`](crate::Container::remove_path).
        RemovePath = "remove-path",
        /// [`Container::login_command`](crate::Container::login_command).
        LoginCommand = "login-command",
        /// [`Container::logs`](crate::Container::logs) and
        /// [`stream_initial_logs`](crate::Container::stream_initial_logs).
        Logs = "logs",
        /// [`ContainerRuntime::list`](crate::ContainerRuntime::list) and the methods that call it.
        List = "list",
        /// [`ContainerRuntime::create`](crate::ContainerRuntime::create).
        Create = "create",
        /// [`ContainerRuntime::force_remove`](crate::ContainerRuntime::force_remove) and
        /// [`Container::remove`](crate::Container::remove).
        ForceRemove = "force-remove",
        /// [`ContainerRuntime::image`](crate::ContainerRuntime::image) and
        /// [`images`](crate::ContainerRuntime::images).
        Images = "images",
        /// [`Image::history`](crate::Image::history).
        ImageHistory = "image-history",
        /// [`Image::remove`](crate::Image::remove).
        ImageRemove = "image-remove",
        /// [`ContainerRuntime::pull_image`](crate::ContainerRuntime::pull_image).
        ImagePull = "image-pull",
        /// [`ContainerRuntime::reserve_port`](crate::ContainerRuntime::reserve_port).
        ReservePort = "reserve-port",
        /// [`ContainerRuntime::events`](crate::ContainerRuntime::events).
        Events = "events",
        /// Published ports of a launch.
        LaunchPorts = "launch-ports",
        /// Mounts of a launch.
        LaunchMounts = "launch-mounts",
        /// Memory, CPU and process limits of a launch.
        LaunchLimits = "launch-limits",
        /// The network of a launch.
        LaunchNetwork = "launch-network",
        /// Devices and other GPU arguments of a launch.
        LaunchGpu = "launch-gpu",
        /// The OCI runtime of a launch.
        LaunchOciRuntime = "launch-oci-runtime",
        /// The entrypoint of a launch.
        LaunchEntrypoint = "launch-entrypoint",
        /// A read-only root file system of a launch.
        LaunchReadOnlyRoot = "launch-read-only-root",
        /// File systems in memory of a launch.
        LaunchTmpfs = "launch-tmpfs",
        /// Volumes of a launch.
        LaunchVolumes = "launch-volumes",
        /// Kernel capabilities and security options of a launch.
        LaunchSecurity = "launch-security",
        /// The restart policy of a launch.
        LaunchRestart = "launch-restart",
        /// The health check of a launch.
        LaunchHealthCheck = "launch-health-check",
        /// The stop signal of a launch.
        LaunchStopSignal = "launch-stop-signal",
        /// Extra arguments of a launch, in the engine's syntax.
        LaunchExtraArgs = "launch-extra-args",
    }
}

/// A set of [`Capability`] values.
///
/// ```
/// use rt_protocol::{Capabilities, Capability};
///
/// let can = Capabilities::none().with(Capability::ExecEnv).with(Capability::Logs);
/// let needs: Capabilities =
///     [Capability::ExecEnv, Capability::ExecUser].into_iter().collect();
/// let missing: Vec<_> = needs.difference(can).into_iter().collect();
/// assert_eq!(missing, [Capability::ExecUser]);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

const _: () = assert!(Capability::ALL.len() <= 64, "one bit each");

impl Capabilities {
    /// Returns the empty set.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Returns those whose condition holds.
    pub(crate) fn needed<const N: usize>(conditions: [(bool, Capability); N]) -> Self {
        conditions.into_iter().filter_map(|(needed, capability)| needed.then_some(capability)).collect()
    }

    /// Returns every capability of this version of the contract.
    pub fn all() -> Self {
        Capability::ALL.iter().copied().collect()
    }

    /// Returns the set with one capability added.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u8)
    }

    /// Returns the set with one capability removed.
    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability as u8))
    }

    /// Returns whether the capability is in the set.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// Returns the set without the ways to run a command, which a wrapper does not inherit
    /// ([`ContainerRuntime`](crate::ContainerRuntime#wrappers)):
    /// [`ExecStdio`](Capability::ExecStdio), [`Spawn`](Capability::Spawn),
    /// [`SendSignal`](Capability::SendSignal), [`LoginCommand`](Capability::LoginCommand), and
    /// those of later versions.
    #[must_use]
    pub const fn without_commands(self) -> Self {
        self.without(Capability::ExecStdio)
            .without(Capability::Spawn)
            .without(Capability::SendSignal)
            .without(Capability::LoginCommand)
    }

    /// Returns the capabilities of this set that `other` lacks: `required.difference(available)` is
    /// what is missing.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Iterates over the capabilities, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |capability| self.contains(*capability))
    }
}

impl From<Capability> for Capabilities {
    fn from(capability: Capability) -> Self {
        Self::none().with(capability)
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Self::none(), Self::with)
    }
}

impl Extend<Capability> for Capabilities {
    fn extend<I: IntoIterator<Item = Capability>>(&mut self, capabilities: I) {
        *self = capabilities.into_iter().fold(*self, Self::with);
    }
}

impl IntoIterator for Capabilities {
    type Item = Capability;
    type IntoIter = std::vec::IntoIter<Capability>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().collect::<Vec<_>>().into_iter()
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, capability) in self.iter().enumerate() {
            write!(f, "{}{capability}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_has_a_bit_and_a_name_of_its_own() {
        assert_eq!(Capabilities::all().iter().count(), Capability::ALL.len());
        let names: std::collections::BTreeSet<_> =
            Capability::ALL.iter().map(|capability| capability.as_str()).collect();
        assert_eq!(names.len(), Capability::ALL.len());
    }
}
