//! The arguments that give GPUs to a container, and what they stand for. How they follow from a host stands in `run_args`.

use std::ffi::OsString;
use std::fmt;

use crate::{GpuSet, GpuVendor};

/// The arguments that give GPUs to a container, in podman's words.
///
/// Handed to a launch by [`GpuLaunch::gpus`](crate::GpuLaunch::gpus); `Display` is for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GpuArgs {
    args: Vec<GpuArg>,
    grants: Vec<GpuGrant>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GpuArg {
    /// An option and its value: `--device`, `nvidia.com/gpu=all`.
    Option(&'static str, String),
    /// A variable in the container, for NVIDIA's hook and libraries.
    Env(&'static str, String),
}

/// The GPUs of one vendor that are granted, and how they get into the container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GpuGrant {
    /// Whose.
    pub vendor: GpuVendor,
    /// Which.
    pub set: GpuSet,
    /// How.
    pub tier: GpuTier,
}

/// How GPUs get into a container, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum GpuTier {
    /// By a CDI spec.
    Cdi,
    /// By NVIDIA's OCI hook, which reads the variables.
    OciHook,
    /// By their device nodes alone.
    DeviceNodes,
}

impl GpuArgs {
    /// The arguments for a switch, whatever the host has: nothing, or all of NVIDIA's GPUs by CDI. A host without them
    /// refuses the start with a [`GpuConfigError`](crate::GpuConfigError).
    ///
    /// ```
    /// let args = rt_gpu::GpuArgs::switched(true);
    /// assert_eq!(
    ///     args.to_string(),
    ///     "--device nvidia.com/gpu=all -e NVIDIA_VISIBLE_DEVICES=all -e NVIDIA_DRIVER_CAPABILITIES=all"
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

    /// The arguments in order; none stands there twice.
    pub fn args(&self) -> &[GpuArg] {
        &self.args
    }

    /// What may not be as it seems, in words, one for each vendor: a single GPU that is granted by its device node is the best
    /// that can be done without a CDI spec, and no more.
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

    /// What is granted, in the order of the vendors.
    pub fn grants(&self) -> &[GpuGrant] {
        &self.grants
    }

    /// Whether there is nothing to grant.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// The words of `podman create` and `podman run`.
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

    /// What NVIDIA's hook and libraries read.
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
