//! The podman arguments that give GPUs to a container. `run_args` derives them from a host.

use std::ffi::OsString;
use std::fmt;

use crate::{GpuSet, GpuVendor};

/// The arguments that give GPUs to a container, as podman takes them.
///
/// [`GpuLaunch::gpus`](crate::GpuLaunch::gpus) adds them to a launch. `Display` is for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GpuArgs {
    args: Vec<GpuArg>,
    grants: Vec<GpuGrant>,
}

/// One argument of [`GpuArgs`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GpuArg {
    /// An option and its value: `--device`, `nvidia.com/gpu=all`.
    Option(&'static str, String),
    /// An environment variable in the container, read by NVIDIA's hook and libraries.
    Env(&'static str, String),
}

/// The granted GPUs of one vendor, and how they get into the container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GpuGrant {
    /// The vendor.
    pub vendor: GpuVendor,
    /// The granted GPUs.
    pub set: GpuSet,
    /// How they get into the container.
    pub tier: GpuTier,
}

/// How GPUs get into a container, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum GpuTier {
    /// Through a CDI spec.
    Cdi,
    /// Through NVIDIA's OCI hook, which reads the environment variables.
    OciHook,
    /// As plain device nodes.
    DeviceNodes,
}

impl GpuArgs {
    /// Returns the arguments for a simple switch: none, or all NVIDIA GPUs through CDI. The host is
    /// not checked. If it has no such GPUs, the start fails with a
    /// [`GpuConfigError`](crate::GpuConfigError).
    ///
    /// ```
    /// let args = rt_gpu::GpuArgs::switched(true);
    /// assert_eq!(
    ///     args.to_string(),
    ///     "--device nvidia.com/gpu=all \
    ///      -e NVIDIA_VISIBLE_DEVICES=all -e NVIDIA_DRIVER_CAPABILITIES=all"
    /// );
    /// assert!(rt_gpu::GpuArgs::switched(false).is_empty());
    /// ```
    pub fn switched(enabled: bool) -> Self {
        let mut args = Self::default();
        if enabled {
            args.option("--device", format!("{}=all", GpuVendor::Nvidia.cdi_kind()));
            args.nvidia_env(&GpuSet::All);
            args.grant(GpuVendor::Nvidia, GpuSet::All, GpuTier::Cdi);
        }
        args
    }

    /// Returns the arguments in order, without duplicates.
    pub fn args(&self) -> &[GpuArg] {
        &self.args
    }

    /// Returns warnings for people, at most one for each vendor. The warning is about single GPUs
    /// that are granted as device nodes: without a CDI spec, the driver may number them in a
    /// different order.
    ///
    /// ```
    /// assert!(rt_gpu::GpuArgs::switched(true).warnings().is_empty());
    /// ```
    pub fn warnings(&self) -> Vec<String> {
        let is_doubtful =
            |grant: &&GpuGrant| grant.tier == GpuTier::DeviceNodes && matches!(grant.set, GpuSet::Indices(_));
        let warn = |grant: &GpuGrant| {
            format!(
                "single GPUs of {}'s are granted by their device nodes, by the order of their PCI addresses: the driver may \
                 number them in another; generate a CDI spec to name each",
                grant.vendor
            )
        };
        self.grants.iter().filter(is_doubtful).map(warn).collect()
    }

    /// Returns what is granted, in the order of the vendors.
    pub fn grants(&self) -> &[GpuGrant] {
        &self.grants
    }

    /// Returns whether no GPU is granted.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// Returns the arguments as separate words for `podman create` and `podman run`.
    pub fn words(&self) -> Vec<OsString> {
        self.texts().map(OsString::from).collect()
    }

    fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.args.iter().flat_map(|arg| match arg {
            GpuArg::Option(flag, value) => [(*flag).to_owned(), value.clone()],
            GpuArg::Env(name, value) => [String::from("-e"), format!("{name}={value}")],
        })
    }

    pub(crate) fn option(&mut self, flag: &'static str, value: impl Into<String>) {
        self.add(GpuArg::Option(flag, value.into()));
    }

    /// Adds the variables that NVIDIA's hook and libraries read.
    pub(crate) fn nvidia_env(&mut self, set: &GpuSet) {
        let visible = match set {
            GpuSet::All => String::from("all"),
            GpuSet::Indices(indices) => indices.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        };
        self.add(GpuArg::Env("NVIDIA_VISIBLE_DEVICES", visible));
        self.add(GpuArg::Env("NVIDIA_DRIVER_CAPABILITIES", String::from("all")));
    }

    pub(crate) fn grant(&mut self, vendor: GpuVendor, set: GpuSet, tier: GpuTier) {
        self.grants.push(GpuGrant { vendor, set, tier });
    }

    fn add(&mut self, arg: GpuArg) {
        if !self.args.contains(&arg) {
            self.args.push(arg);
        }
    }
}

impl fmt::Display for GpuArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for GpuTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cdi => "CDI",
            Self::OciHook => "OCI hook",
            Self::DeviceNodes => "device nodes",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_gpus_by_their_nodes_come_with_a_warning() {
        let warnings = |tier, set| {
            let mut args = GpuArgs::default();
            args.grant(GpuVendor::Nvidia, set, tier);
            args.warnings()
        };
        let single = || GpuSet::Indices([0].into());
        assert!(warnings(GpuTier::DeviceNodes, single())[0].contains("nvidia"), "whose");
        for (tier, set) in
            [(GpuTier::DeviceNodes, GpuSet::All), (GpuTier::Cdi, single()), (GpuTier::OciHook, single())]
        {
            assert!(warnings(tier, set).is_empty(), "{tier:?}");
        }
    }
}
