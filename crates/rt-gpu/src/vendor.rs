//! The supported makers of GPUs.

use std::fmt;
use std::str::FromStr;

use rt_protocol::InvalidValue;

/// A maker of GPUs. The order is the one of their arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum GpuVendor {
    /// NVIDIA.
    Nvidia,
    /// AMD.
    Amd,
    /// Intel.
    Intel,
}

impl GpuVendor {
    /// All vendors, in order.
    pub const ALL: [Self; 3] = [Self::Nvidia, Self::Amd, Self::Intel];

    /// Returns `nvidia`, `amd` or `intel`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nvidia => "nvidia",
            Self::Amd => "amd",
            Self::Intel => "intel",
        }
    }

    /// Returns the CDI kind of its GPUs, such as `nvidia.com/gpu`.
    pub const fn cdi_kind(self) -> &'static str {
        match self {
            Self::Nvidia => "nvidia.com/gpu",
            Self::Amd => "amd.com/gpu",
            Self::Intel => "intel.com/gpu",
        }
    }
}

impl fmt::Display for GpuVendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GpuVendor {
    type Err = InvalidValue;

    /// Parses the name, in any letter case.
    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        Self::ALL
            .into_iter()
            .find(|vendor| name.eq_ignore_ascii_case(vendor.as_str()))
            .ok_or_else(|| InvalidValue::new("GPU vendor", name, "it is one of nvidia, amd and intel"))
    }
}

rt_protocol::text_conversions!(GpuVendor);
