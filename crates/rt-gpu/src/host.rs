//! The GPUs of a host, and what the host lacks to use them. The arguments are derived in
//! `run_args`.

mod drm;
mod gpu;
mod nvidia;
mod pci;
mod report;

use std::path::{Path, PathBuf};

use crate::rooted_path::rooted_path;
use crate::{CdiRegistry, CdiSource, GpuTier, GpuVendor};
pub(crate) use drm::{KFD, RenderNode};
pub use gpu::Gpu;
pub use pci::PciAddress;
pub use report::{GpuReport, VendorReport};

/// A host, as its files below a root directory describe it.
///
/// Nothing is cached: each call reads the files again. No call fails. What cannot be read counts as
/// absent, and reports mention it where they can.
///
/// ```
/// use rt_gpu::GpuHost;
///
/// let empty = tempfile::tempdir()?;
/// let host = GpuHost::at(empty.path());
/// assert!(!host.check_gpu_available());
/// assert!(host.report().to_string().contains("nvidia: not usable"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuHost {
    root: PathBuf,
    cdi: CdiSource,
}

impl GpuHost {
    /// Returns this host, with the root directory `/`.
    pub fn new() -> Self {
        Self::at("/")
    }

    /// Returns a host whose files are below the directory `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), cdi: CdiSource::default() }
    }

    /// Sets the directories and versions of CDI specs that an engine reads.
    #[must_use]
    pub fn cdi_source(self, cdi: CdiSource) -> Self {
        Self { cdi, ..self }
    }

    /// Returns the root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads the CDI specs.
    pub fn cdi(&self) -> CdiRegistry {
        CdiRegistry::read(&self.root, &self.cdi)
    }

    /// Returns whether a CDI spec declares `nvidia.com/gpu`. [`CdiRegistry::check`] says whether a
    /// start would succeed.
    pub fn check_gpu_available(&self) -> bool {
        self.cdi().declares(GpuVendor::Nvidia.cdi_kind())
    }

    /// Returns the vendors whose GPUs can get into a container, in order.
    pub fn detect_gpu_vendors(&self) -> Vec<GpuVendor> {
        let usable = self.report().vendors.into_iter().filter(|report| report.tier.is_some());
        usable.map(|report| report.vendor).collect()
    }

    /// Returns the GPUs of a vendor that the host itself shows, in the order of their indices. CDI
    /// specs may offer others.
    pub fn gpus(&self, vendor: GpuVendor) -> Vec<Gpu> {
        match vendor {
            GpuVendor::Nvidia => nvidia::gpus(&self.root),
            GpuVendor::Amd | GpuVendor::Intel => drm::gpus(&self.render_nodes(vendor), vendor),
        }
    }

    /// Returns what the host has of each vendor, and what is missing.
    pub fn report(&self) -> GpuReport {
        let cdi = self.cdi();
        GpuReport { vendors: GpuVendor::ALL.map(|vendor| self.report_on(vendor, &cdi)).into() }
    }

    pub(crate) fn report_on(&self, vendor: GpuVendor, cdi: &CdiRegistry) -> VendorReport {
        let kind = vendor.cdi_kind();
        let cdi_devices: Vec<_> = cdi.device_names(kind).into_iter().map(String::from).collect();
        let gpus = self.gpus(vendor);
        let mut missing = Vec::new();
        let tier = if cdi_devices.is_empty() {
            missing.push(self.missing_spec(kind, cdi));
            match vendor {
                GpuVendor::Nvidia => self.nvidia_tier(&mut missing),
                GpuVendor::Amd | GpuVendor::Intel => self.drm_tier(vendor, &gpus, &mut missing),
            }
        } else {
            Some(GpuTier::Cdi)
        };
        VendorReport { vendor, tier, gpus, cdi_devices, missing }
    }

    fn missing_spec(&self, kind: &str, cdi: &CdiRegistry) -> String {
        let dirs: Vec<_> = self.cdi.dirs().iter().map(|dir| dir.display().to_string()).collect();
        let mut text = if cdi.declares(kind) {
            format!("the CDI specs of {kind} are in conflict, and no device is left")
        } else {
            format!("no CDI spec in {} declares {kind}", dirs.join(" or "))
        };
        // Any unusable file may be the one that declares the kind.
        for problem in cdi.problems() {
            text = format!("{text}; {problem}");
        }
        text
    }

    fn nvidia_tier(&self, missing: &mut Vec<String>) -> Option<GpuTier> {
        if nvidia::has_hook(&self.root) {
            return Some(GpuTier::OciHook);
        }
        missing.push(format!("no OCI hook {} in {}", nvidia::HOOK, nvidia::HOOK_DIRS.join(" or ")));
        if nvidia::has_control_node(&self.root) {
            return Some(GpuTier::DeviceNodes);
        }
        missing.push(format!("no {}: the driver is not loaded", nvidia::CONTROL_NODE));
        None
    }

    fn drm_tier(&self, vendor: GpuVendor, gpus: &[Gpu], missing: &mut Vec<String>) -> Option<GpuTier> {
        if gpus.is_empty() {
            missing.push(format!("no render node of {vendor}'s in {}", drm::RENDER_NODES));
        }
        let lacks_kfd = vendor == GpuVendor::Amd && !self.has(KFD);
        if lacks_kfd {
            missing.push(format!("no {KFD}: the compute driver is not loaded"));
        }
        (!gpus.is_empty() && !lacks_kfd).then_some(GpuTier::DeviceNodes)
    }

    /// Returns NVIDIA's device nodes: those of single GPUs, and those that all GPUs share.
    pub(crate) fn nvidia_nodes(&self) -> Vec<nvidia::Node> {
        nvidia::nodes(&self.root)
    }

    pub(crate) fn render_nodes(&self, vendor: GpuVendor) -> Vec<RenderNode> {
        drm::render_nodes(&self.root, vendor)
    }

    fn has(&self, path: &str) -> bool {
        rooted_path(&self.root, Path::new(path)).exists()
    }
}

impl Default for GpuHost {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns whether a CDI spec of this host declares `nvidia.com/gpu`; see
/// [`GpuHost::check_gpu_available`]. Never fails.
pub fn check_gpu_available() -> bool {
    GpuHost::new().check_gpu_available()
}

/// Returns the vendors whose GPUs can get into a container on this host; see
/// [`GpuHost::detect_gpu_vendors`].
pub fn detect_gpu_vendors() -> Vec<GpuVendor> {
    GpuHost::new().detect_gpu_vendors()
}

#[cfg(test)]
pub(crate) mod tests;
