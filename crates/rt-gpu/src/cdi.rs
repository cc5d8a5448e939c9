//! CDI specs: reads all specs of a host, and finds the device that an engine would use. A single
//! spec is read in `cdi/spec`.

mod check;
mod document;
mod fields;
mod file;
mod limits;
mod problem;
mod registry;
mod scalar;
mod spec;

pub use check::{DeviceCheck, DeviceState, MissingPath, PathRole, SpecCheck};
pub use limits::{LARGEST_SPEC_FILE, MOST_SPEC_FILES};
pub use problem::{CdiFault, CdiProblem};
pub use registry::CdiRegistry;
pub use spec::{CdiDevice, CdiDeviceNode, CdiEdits, CdiHook, CdiMount, CdiSpec};

#[cfg(test)]
mod tests;
