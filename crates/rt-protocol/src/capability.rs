//! What a backend can do, and what a request asks for.

use std::fmt;

use crate::word_enum;

macro_rules! capabilities {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// One thing that a backend can or cannot do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Capability {
            $($(#[$doc])* $name,)*
        }

        word_enum!(Capability, "capability", { $($name = $text,)* });
    };
}

capabilities! {
    /// [`Container::exec_stdio`](crate::Container::exec_stdio).
    ExecStdio = "exec-stdio",
    /// Plain variables in a request.
    ExecEnv = "exec-env",
    /// Secret variables in a request.
    ExecSecretEnv = "exec-secret-env",
    /// A workdir in a request.
    ExecWorkdir = "exec-workdir",
    /// A user in a request.
    ExecUser = "exec-user",
    /// Output limits in a request.
    OutputLimits = "output-limits",
    /// Words, values and paths that are not UTF-8.
    ByteArguments = "byte-arguments",
    /// A command that is ended is looked up afterwards: [`KillOutcome::Gone`](crate::KillOutcome::Gone) means seen to be gone.
    VerifiedKill = "verified-kill",
    /// A death by signal is reported as [`ExitOutcome::Signal`](crate::ExitOutcome::Signal).
    Signals = "signals",
    /// [`Container::start`](crate::Container::start).
    Start = "start",
    /// [`Container::stop`](crate::Container::stop).
    Stop = "stop",
    /// [`Container::wait`](crate::Container::wait).
    Wait = "wait",
    /// [`Container::rw_size`](crate::Container::rw_size) and [`ContainerRuntime::rw_sizes`](crate::ContainerRuntime::rw_sizes).
    RwSize = "rw-size",
    /// [`Container::copy_in`](crate::Container::copy_in).
    CopyIn = "copy-in",
    /// [`Container::copy_out`](crate::Container::copy_out).
    CopyOut = "copy-out",
    /// [`Container::copy_in_tar`](crate::Container::copy_in_tar) and [`copy_out_tar`](crate::Container::copy_out_tar).
    CopyTar = "copy-tar",
    /// [`Container::login_command`](crate::Container::login_command).
    LoginCommand = "login-command",
    /// [`Container::logs`](crate::Container::logs) and [`stream_initial_logs`](crate::Container::stream_initial_logs).
    Logs = "logs",
    /// [`ContainerRuntime::list`](crate::ContainerRuntime::list) and what is built on it.
    List = "list",
    /// [`ContainerRuntime::create`](crate::ContainerRuntime::create).
    Create = "create",
    /// [`ContainerRuntime::force_remove`](crate::ContainerRuntime::force_remove).
    ForceRemove = "force-remove",
    /// [`ContainerRuntime::image`](crate::ContainerRuntime::image) and [`images`](crate::ContainerRuntime::images).
    Images = "images",
    /// [`Image::history`](crate::Image::history).
    ImageHistory = "image-history",
    /// [`Image::remove`](crate::Image::remove).
    ImageRemove = "image-remove",
    /// [`ContainerRuntime::reserve_port`](crate::ContainerRuntime::reserve_port).
    ReservePort = "reserve-port",
    /// [`ContainerRuntime::events`](crate::ContainerRuntime::events).
    Events = "events",
    /// Published ports in a launch.
    LaunchPorts = "launch-ports",
    /// Mounts in a launch.
    LaunchMounts = "launch-mounts",
    /// Memory and CPU limits in a launch.
    LaunchLimits = "launch-limits",
    /// A network mode in a launch.
    LaunchNetwork = "launch-network",
    /// Devices and other arguments for GPUs in a launch.
    LaunchGpu = "launch-gpu",
    /// The choice of an OCI runtime in a launch.
    LaunchOciRuntime = "launch-oci-runtime",
    /// Arguments in the engine's own words in a launch.
    LaunchExtraArgs = "launch-extra-args",
}

/// A set of [`Capability`] values.
///
/// ```
/// use rt_protocol::{Capabilities, Capability};
///
/// let can = Capabilities::none().with(Capability::ExecEnv).with(Capability::Logs);
/// let needs: Capabilities = [Capability::ExecEnv, Capability::ExecUser].into_iter().collect();
/// assert_eq!(needs.difference(can).iter().collect::<Vec<_>>(), [Capability::ExecUser]);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

const _: () = assert!(Capability::ALL.len() <= 64, "one bit each");

impl Capabilities {
    /// The empty set.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Every capability that this version of the contract knows.
    pub fn all() -> Self {
        Capability::ALL.iter().copied().collect()
    }

    /// The set with one more.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u8)
    }

    /// The set with one less.
    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability as u8))
    }

    /// Whether the capability is in the set.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// The set without the ways to run a command, which a wrapper does not inherit from what it wraps
    /// ([`ContainerRuntime`](crate::ContainerRuntime)): [`ExecStdio`](Capability::ExecStdio),
    /// [`LoginCommand`](Capability::LoginCommand), and those of later versions.
    #[must_use]
    pub const fn without_commands(self) -> Self {
        self.without(Capability::ExecStdio).without(Capability::LoginCommand)
    }

    /// What this set has and `other` lacks: read as "what these demands miss in that backend".
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members in the order of the contract.
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
