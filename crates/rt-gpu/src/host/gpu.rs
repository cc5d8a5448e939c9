//! One GPU of a host.

use std::fmt;
use std::path::PathBuf;

use super::pci::PciAddress;
use crate::GpuVendor;

/// One GPU of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gpu {
    /// The vendor.
    pub vendor: GpuVendor,
    /// The index among the GPUs of its vendor, from 0, in the order of their PCI addresses: N of
    /// `nvidia:N`.
    pub index: u32,
    /// The PCI address; `None` if the GPU is not on a PCI bus.
    pub pci: Option<PciAddress>,
    /// The device node; `None` for an NVIDIA GPU whose minor number cannot be read.
    pub node: Option<PathBuf>,
}

impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.vendor, self.index)?;
        if let Some(pci) = &self.pci {
            write!(f, " at {pci}")?;
        }
        match &self.node {
            Some(node) => write!(f, ", {}", node.display()),
            None => f.write_str(", of unknown minor number"),
        }
    }
}
