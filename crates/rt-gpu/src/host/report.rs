//! What a host has of GPUs, as data and as text.

use std::fmt;

use super::gpu::Gpu;
use crate::{GpuTier, GpuVendor};

/// What a host has of one vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VendorReport {
    /// The vendor.
    pub vendor: GpuVendor,
    /// How its GPUs would get into a container; `None` if they cannot.
    pub tier: Option<GpuTier>,
    /// The GPUs that the host itself shows.
    pub gpus: Vec<Gpu>,
    /// The names of the devices that CDI specs offer.
    pub cdi_devices: Vec<String>,
    /// What is missing for each tier that is better than the one in use.
    pub missing: Vec<String>,
}

/// What a host has of all vendors. `Display` explains it to people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuReport {
    /// The reports, in the order of the vendors.
    pub vendors: Vec<VendorReport>,
}

impl fmt::Display for GpuReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vendors: Vec<_> = self.vendors.iter().map(ToString::to_string).collect();
        f.write_str(&vendors.join("\n"))
    }
}

impl fmt::Display for VendorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tier {
            Some(GpuTier::Cdi) => write!(f, "{}: by CDI ({})", self.vendor, self.cdi_devices.join(", "))?,
            Some(tier) => write!(f, "{}: by {tier}", self.vendor)?,
            None => write!(f, "{}: not usable", self.vendor)?,
        }
        self.gpus.iter().try_for_each(|gpu| write!(f, "\n  {gpu}"))?;
        self.missing.iter().try_for_each(|missing| write!(f, "\n  {missing}"))
    }
}
