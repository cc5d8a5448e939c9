//! Render nodes: the GPUs of AMD and Intel as the kernel lists them in sysfs.

use std::fs;
use std::path::{Path, PathBuf};

use super::gpu::Gpu;
use super::pci::PciAddress;
use crate::GpuVendor;
use crate::rooted_path::rooted_path;

/// The directory in which the kernel lists render nodes.
pub(super) const RENDER_NODES: &str = "/sys/class/drm";

/// The device of AMD's compute driver.
pub(crate) const KFD: &str = "/dev/kfd";

/// A render node that exists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RenderNode {
    /// Nodes without a PCI address sort last.
    address: (bool, Option<PciAddress>),
    /// N of `/dev/dri/renderDN`.
    number: u32,
    /// Its link by PCI address, through which programs find it; `None` if the link does not exist.
    pub(crate) by_path: Option<String>,
}

impl RenderNode {
    pub(crate) fn path(&self) -> String {
        format!("/dev/dri/renderD{}", self.number)
    }
}

/// Returns the render nodes of a vendor, in the order of their PCI addresses.
pub(super) fn render_nodes(root: &Path, vendor: GpuVendor) -> Vec<RenderNode> {
    let Ok(entries) = fs::read_dir(rooted_path(root, Path::new(RENDER_NODES))) else { return Vec::new() };
    let mut nodes: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let digits = name.strip_prefix("renderD")?;
            let number =
                digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()?;
            let device = entry.path().join("device");
            let is_of_vendor =
                fs::read_to_string(device.join("vendor")).is_ok_and(|id| vendor_of(&id) == Some(vendor));
            if !is_of_vendor || !root.join("dev/dri").join(&name).exists() {
                return None;
            }
            let pci = fs::read_link(&device).ok().and_then(|link| link.file_name()?.to_str()?.parse().ok());
            let by_path = pci.map(|pci: PciAddress| format!("/dev/dri/by-path/pci-{pci}-render"));
            let by_path =
                by_path.filter(|path| rooted_path(root, Path::new(path)).symlink_metadata().is_ok());
            Some(RenderNode { address: (pci.is_none(), pci), number, by_path })
        })
        .collect();
    nodes.sort();
    nodes
}

/// Maps a vendor id of the PCI registry.
fn vendor_of(id: &str) -> Option<GpuVendor> {
    match id.trim().to_ascii_lowercase().as_str() {
        "0x1002" => Some(GpuVendor::Amd),
        "0x8086" => Some(GpuVendor::Intel),
        _ => None,
    }
}

pub(super) fn gpus(nodes: &[RenderNode], vendor: GpuVendor) -> Vec<Gpu> {
    let gpus = (0..).zip(nodes).map(|(index, node)| Gpu {
        vendor,
        index,
        pci: node.address.1,
        node: Some(PathBuf::from(node.path())),
    });
    gpus.collect()
}
