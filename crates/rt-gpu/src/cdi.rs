//! CDI specs: reading all of a host's, and finding out which device of which spec an engine would use. One file's meaning
//! is `cdi/spec`'s.

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
