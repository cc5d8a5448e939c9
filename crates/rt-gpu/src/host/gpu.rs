//! One GPU of a host.

use std::fmt;
use std::path::PathBuf;

use super::pci::PciAddress;
use crate::GpuVendor;

/// One GPU of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gpu {
    /// Whose.
    pub vendor: GpuVendor,
    /// Its place among those of its vendor in the order of their PCI addresses, from 0: N of `nvidia:N`.
    pub index: u32,
    /// Where it sits; `None` where it is on no PCI bus.
    pub pci: Option<PciAddress>,
    /// Its device node; `None` for one of NVIDIA's whose minor number cannot be read.
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
