//! The files of NVIDIA's driver and container toolkit on a host.

use std::fs;
use std::path::{Path, PathBuf};

use super::gpu::Gpu;
use super::pci::PciAddress;
use crate::GpuVendor;
use crate::rooted_path::rooted_path;

/// The OCI hook of NVIDIA's toolkit, and the directories in which podman looks for hooks.
pub(super) const HOOK: &str = "oci-nvidia-hook.json";
pub(super) const HOOK_DIRS: [&str; 2] = ["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"];

/// Exists as soon as the driver is loaded.
pub(super) const CONTROL_NODE: &str = "/dev/nvidiactl";

/// The directory in which the driver describes its GPUs, one directory for each PCI address.
const DRIVER_GPUS: &str = "/proc/driver/nvidia/gpus";

/// A device node of NVIDIA.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Node {
    /// The GPU's minor number; `None` for a node that all GPUs share.
    pub(crate) minor: Option<u32>,
    pub(crate) path: String,
}

pub(super) fn has_hook(root: &Path) -> bool {
    HOOK_DIRS.iter().any(|dir| rooted_path(root, Path::new(dir)).join(HOOK).is_file())
}

pub(super) fn has_control_node(root: &Path) -> bool {
    rooted_path(root, Path::new(CONTROL_NODE)).exists()
}

/// Returns all `/dev/nvidia*`: first the shared nodes, then those of the GPUs. A directory
/// (`nvidia-caps`) counts if it is not empty: podman adds the nodes in it, and refuses an empty
/// one.
pub(super) fn nodes(root: &Path) -> Vec<Node> {
    let Ok(entries) = fs::read_dir(root.join("dev")) else { return Vec::new() };
    let mut nodes: Vec<_> = entries
        .flatten()
        .filter(|entry| {
            let is_empty_directory =
                fs::read_dir(entry.path()).is_ok_and(|mut inside| inside.next().is_none());
            !is_empty_directory
        })
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let rest = name.strip_prefix("nvidia")?;
            // Excludes names that podman would not read as a plain path, such as one with a comma
            // or a colon.
            let is_plain = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            is_plain.then(|| Node { minor: minor(rest), path: format!("/dev/{name}") })
        })
        .collect();
    nodes.sort();
    nodes
}

fn minor(digits: &str) -> Option<u32> {
    // `parse` would accept a sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Returns the GPUs that the driver describes.
pub(super) fn gpus(root: &Path) -> Vec<Gpu> {
    let Ok(entries) = fs::read_dir(rooted_path(root, Path::new(DRIVER_GPUS))) else { return Vec::new() };
    let mut found: Vec<(PciAddress, Option<u32>)> = entries
        .flatten()
        .filter_map(|entry| {
            let pci = entry.file_name().to_str()?.parse().ok()?;
            let minor = fs::read(entry.path().join("information")).ok().and_then(|text| device_minor(&text));
            Some((pci, minor))
        })
        .collect();
    found.sort();
    (0..)
        .zip(found)
        .map(|(index, (pci, minor))| Gpu {
            vendor: GpuVendor::Nvidia,
            index,
            pci: Some(pci),
            node: minor.map(|minor| PathBuf::from(format!("/dev/nvidia{minor}"))),
        })
        .collect()
}

/// Reads the line `Device Minor: \t 0` of the file `information`.
fn device_minor(information: &[u8]) -> Option<u32> {
    String::from_utf8_lossy(information)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "Device Minor")
        .and_then(|(_, value)| minor(value.trim()).filter(|_| !value.trim().is_empty()))
}
