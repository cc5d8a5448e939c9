//! Derives the arguments of a launch from a selection and a host: for each vendor the best tier
//! that the host has.

use std::collections::BTreeSet;

use rt_protocol::GpuConfigError;

use crate::host::{RenderNode, VendorReport};
use crate::{CdiRegistry, GpuArgs, GpuHost, GpuSelection, GpuSet, GpuTier, GpuVendor};

/// Why a host cannot provide the selected GPUs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum GpuUnavailable {
    /// All GPUs were selected, and the host can provide those of no vendor.
    #[error("no GPU of this host can be used: {}", .missing.join("; "))]
    None {
        /// What is missing, for each vendor.
        missing: Vec<String>,
    },
    /// The host cannot provide the GPUs of a selected vendor.
    #[error("no GPU of {vendor}'s can be used: {}", .missing.join("; "))]
    Vendor {
        /// The vendor.
        vendor: GpuVendor,
        /// What is missing, for each tier.
        missing: Vec<String>,
    },
    /// A selected GPU does not exist.
    #[error("there is no {vendor}:{index}; there is {}", names(.have))]
    Device {
        /// The vendor.
        vendor: GpuVendor,
        /// The selected index.
        index: u32,
        /// The GPUs that exist, by index or by name.
        have: Vec<String>,
    },
    /// The device node of a selected GPU is not known.
    #[error(
        "{vendor}:{index} cannot be told from the others: its minor number cannot be read; ask for all of {vendor}'s"
    )]
    UnknownNode {
        /// The vendor.
        vendor: GpuVendor,
        /// The selected index.
        index: u32,
    },
}

fn names(have: &[String]) -> String {
    if have.is_empty() { String::from("none") } else { have.join(", ") }
}

impl From<GpuUnavailable> for GpuConfigError {
    fn from(unavailable: GpuUnavailable) -> Self {
        Self::new(&unavailable.to_string(), "choose other GPUs, or mend what is missing")
    }
}

impl From<GpuUnavailable> for rt_protocol::Error {
    fn from(unavailable: GpuUnavailable) -> Self {
        Self::from(GpuConfigError::from(unavailable)).during("choose GPUs")
    }
}

/// Returns the arguments that give the selected GPUs to a container on this host.
///
/// For each vendor, the first tier that the host has applies:
///
/// | vendor | tier | arguments |
/// | --- | --- | --- |
/// | nvidia | [CDI](GpuTier::Cdi) | `--device nvidia.com/gpu=all` or `=N`, and the variables |
/// | | [OCI hook](GpuTier::OciHook) | the variables |
/// | | [device nodes](GpuTier::DeviceNodes) | each `/dev/nvidia*`, or the shared ones and `/dev/nvidia<minor>`; the variables |
/// | amd | CDI | `--device amd.com/gpu=all` or `=N`, `--group-add keep-groups` |
/// | | device nodes | `/dev/kfd`, the render nodes, their names by path, `--group-add keep-groups` |
/// | intel | CDI | `--device intel.com/gpu=all` or `=N`, `--group-add keep-groups` |
/// | | device nodes | the render nodes, their names by path, `--group-add keep-groups` |
///
/// The variables are `NVIDIA_VISIBLE_DEVICES` and `NVIDIA_DRIVER_CAPABILITIES=all`. If no CDI
/// device `all` is declared, all numbered ones are granted; if there are none, all devices are. No
/// argument appears twice, and `/dev/dri` is never granted as a whole.
///
/// # Errors
/// [`GpuUnavailable`], which says what is missing.
///
/// ```
/// use rt_gpu::{GpuHost, GpuSelection, gpu_run_args};
///
/// let root = tempfile::tempdir()?;
/// std::fs::create_dir_all(root.path().join("etc/cdi"))?;
/// let spec = r#"{"cdiVersion": "0.5.0", "kind": "amd.com/gpu", "devices": [
///     {"name": "0", "containerEdits":
///         {"deviceNodes": [{"path": "/dev/dri/renderD128"}]}}]}"#;
/// std::fs::write(root.path().join("etc/cdi/amd.json"), spec)?;
///
/// let args = gpu_run_args(&"amd:0".parse()?, &GpuHost::at(root.path()))?;
/// assert_eq!(args.to_string(), "--device amd.com/gpu=0 --group-add keep-groups");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn gpu_run_args(selection: &GpuSelection, host: &GpuHost) -> Result<GpuArgs, GpuUnavailable> {
    let mut args = GpuArgs::default();
    let cdi = host.cdi();
    match selection {
        GpuSelection::None => {}
        GpuSelection::All => {
            let mut missing = Vec::new();
            for report in GpuVendor::ALL.map(|vendor| host.report_on(vendor, &cdi)) {
                if let Some(tier) = report.tier {
                    grant(&mut args, host, &cdi, &report, tier, &GpuSet::All)?;
                } else {
                    missing.extend(report.missing);
                }
            }
            if args.grants().is_empty() {
                return Err(GpuUnavailable::None { missing: deduplicated(missing) });
            }
        }
        GpuSelection::Of(chosen) => {
            for (vendor, set) in chosen {
                let report = host.report_on(*vendor, &cdi);
                let Some(tier) = report.tier else {
                    return Err(GpuUnavailable::Vendor { vendor: *vendor, missing: report.missing });
                };
                grant(&mut args, host, &cdi, &report, tier, set)?;
            }
        }
    }
    Ok(args)
}

fn deduplicated(texts: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts.into_iter().filter(|text| seen.insert(text.clone())).collect()
}

fn grant(
    args: &mut GpuArgs,
    host: &GpuHost,
    cdi: &CdiRegistry,
    report: &VendorReport,
    tier: GpuTier,
    set: &GpuSet,
) -> Result<(), GpuUnavailable> {
    let vendor = report.vendor;
    match (tier, vendor) {
        (GpuTier::Cdi, _) => grant_by_cdi(args, cdi, vendor, set)?,
        (GpuTier::OciHook, _) => check_indices(report, set)?,
        (GpuTier::DeviceNodes, GpuVendor::Nvidia) => grant_by_nvidia_nodes(args, host, report, set)?,
        (GpuTier::DeviceNodes, GpuVendor::Amd | GpuVendor::Intel) => {
            check_indices(report, set)?;
            grant_by_render_nodes(args, vendor, &host.render_nodes(vendor), set);
        }
    }
    match vendor {
        GpuVendor::Nvidia => args.nvidia_env(set),
        // The user's groups own the device nodes.
        GpuVendor::Amd | GpuVendor::Intel => args.option("--group-add", "keep-groups"),
    }
    args.grant(vendor, set.clone(), tier);
    Ok(())
}

fn grant_by_cdi(
    args: &mut GpuArgs,
    cdi: &CdiRegistry,
    vendor: GpuVendor,
    set: &GpuSet,
) -> Result<(), GpuUnavailable> {
    let kind = vendor.cdi_kind();
    let have = cdi.device_names(kind);
    match set {
        GpuSet::All if have.contains(&"all") => args.option("--device", format!("{kind}=all")),
        GpuSet::All => {
            let is_number = |name: &&str| name.parse::<u32>().is_ok();
            let has_numbers = have.iter().any(is_number);
            for name in have.iter().filter(|name| !has_numbers || is_number(name)) {
                args.option("--device", format!("{kind}={name}"));
            }
        }
        GpuSet::Indices(indices) => {
            for index in indices {
                if !have.contains(&index.to_string().as_str()) {
                    let have = have.iter().map(ToString::to_string).collect();
                    return Err(GpuUnavailable::Device { vendor, index: *index, have });
                }
                args.option("--device", format!("{kind}={index}"));
            }
        }
    }
    Ok(())
}

/// Rejects an index that the host does not have. If the host shows no GPU at all, nothing is known
/// about its indices and every index passes.
fn check_indices(report: &VendorReport, set: &GpuSet) -> Result<(), GpuUnavailable> {
    let GpuSet::Indices(indices) = set else { return Ok(()) };
    let missing = indices.iter().find(|index| report.gpus.iter().all(|gpu| gpu.index != **index));
    match missing {
        Some(index) if !report.gpus.is_empty() => Err(GpuUnavailable::Device {
            vendor: report.vendor,
            index: *index,
            have: report.gpus.iter().map(|gpu| gpu.index.to_string()).collect(),
        }),
        _ => Ok(()),
    }
}

fn grant_by_nvidia_nodes(
    args: &mut GpuArgs,
    host: &GpuHost,
    report: &VendorReport,
    set: &GpuSet,
) -> Result<(), GpuUnavailable> {
    let vendor = GpuVendor::Nvidia;
    check_indices(report, set)?;
    let nodes = host.nvidia_nodes();
    for node in nodes.iter().filter(|node| *set == GpuSet::All || node.minor.is_none()) {
        args.option("--device", &node.path);
    }
    let GpuSet::Indices(indices) = set else { return Ok(()) };
    for index in indices {
        let gpu = report.gpus.iter().find(|gpu| gpu.index == *index);
        let node = gpu.and_then(|gpu| gpu.node.as_ref()).and_then(|path| path.to_str());
        match node {
            Some(node) => args.option("--device", node),
            None => return Err(GpuUnavailable::UnknownNode { vendor, index: *index }),
        }
    }
    Ok(())
}

fn grant_by_render_nodes(args: &mut GpuArgs, vendor: GpuVendor, nodes: &[RenderNode], set: &GpuSet) {
    let is_granted = |index: u32| match set {
        GpuSet::All => true,
        GpuSet::Indices(indices) => indices.contains(&index),
    };
    let granted: Vec<_> =
        (0..).zip(nodes).filter(|(index, _)| is_granted(*index)).map(|(_, node)| node).collect();
    if vendor == GpuVendor::Amd {
        args.option("--device", crate::host::KFD);
    }
    for node in &granted {
        args.option("--device", node.path());
    }
    for path in granted.iter().filter_map(|node| node.by_path.as_ref()) {
        // `-v` would split at the colons of the address.
        args.option("--mount", format!("type=bind,source={path},destination={path},ro=true"));
    }
}

#[cfg(test)]
mod tests;
