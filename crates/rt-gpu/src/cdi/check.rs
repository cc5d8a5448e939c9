//! Compares the declared devices with the files of the host, to find out which of them can be used.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::problem::CdiProblem;
use super::registry::{CdiRegistry, DeviceSource};
use super::spec::{CdiDevice, CdiEdits, CdiSpec};
use crate::rooted_path::rooted_path;

/// The result of [`CdiRegistry::check`]. `Display` explains it to people, one line for each entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpecCheck {
    /// All declared devices, in the order of the specs.
    pub devices: Vec<DeviceCheck>,
    /// The problems of the spec files themselves.
    pub problems: Vec<CdiProblem>,
}

/// The result for one declared device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceCheck {
    /// The qualified name of the device: `nvidia.com/gpu=0`.
    pub name: String,
    /// The spec that declares it.
    pub spec: PathBuf,
    /// Whether an engine would take the device from this spec.
    pub state: DeviceState,
    /// The paths that the device needs and that do not exist. With any of them, a start fails.
    pub missing: Vec<MissingPath>,
}

/// Whether an engine would take a device from a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceState {
    /// The engine takes it from this spec.
    Used,
    /// A spec in a directory of higher priority declares it too; the engine takes that one.
    Shadowed {
        /// The other spec.
        by: PathBuf,
    },
    /// Several specs in one directory declare it; the engine uses none of them.
    Conflict {
        /// The other specs.
        with: Vec<PathBuf>,
    },
}

/// A path that a spec names and that does not exist on the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MissingPath {
    /// The path on the host.
    pub path: PathBuf,
    /// What the path is for.
    pub role: PathRole,
}

/// What a path of a spec is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PathRole {
    /// A device node.
    DeviceNode,
    /// The source of a mount.
    Mount,
    /// The program of a hook.
    Hook,
}

impl CdiRegistry {
    /// Checks for each declared device whether an engine would use it from its spec, and whether
    /// the host paths that it names exist. This finds a spec that is older than the driver before a
    /// start fails.
    pub fn check(&self, root: &Path) -> SpecCheck {
        let devices = self.specs.iter().enumerate().flat_map(|(place, spec)| {
            spec.devices().iter().map(move |device| self.check_device(root, place, spec, device))
        });
        SpecCheck { devices: devices.collect(), problems: self.problems.clone() }
    }

    fn check_device(&self, root: &Path, place: usize, spec: &CdiSpec, device: &CdiDevice) -> DeviceCheck {
        let name = spec.qualified(device);
        let path = |place: &usize| self.specs[*place].path().to_owned();
        let state = match self.devices.get(&name) {
            Some(DeviceSource::Spec(by)) if *by != place => DeviceState::Shadowed { by: path(by) },
            Some(DeviceSource::Conflict(places)) => DeviceState::Conflict {
                with: places.iter().filter(|other| **other != place).map(path).collect(),
            },
            _ => DeviceState::Used,
        };
        let mut missing = Vec::new();
        for edits in [spec.edits(), &device.edits] {
            find_missing(root, edits, &mut missing);
        }
        DeviceCheck { name, spec: spec.path().to_owned(), state, missing }
    }
}

fn find_missing(root: &Path, edits: &CdiEdits, missing: &mut Vec<MissingPath>) {
    let nodes = edits.device_nodes.iter().filter(|node| !node.is_described);
    let nodes = nodes.map(|node| (node.host_path.as_ref().unwrap_or(&node.path), PathRole::DeviceNode));
    let mounts = edits.mounts.iter().filter(|mount| mount.is_bind);
    let mounts = mounts.map(|mount| (&mount.host_path, PathRole::Mount));
    let hooks = edits.hooks.iter().map(|hook| (&hook.path, PathRole::Hook));
    for (path, role) in nodes.chain(mounts).chain(hooks) {
        let absent = MissingPath { path: path.clone(), role };
        if fs::metadata(rooted_path(root, path)).is_err() && !missing.contains(&absent) {
            missing.push(absent);
        }
    }
}

impl DeviceCheck {
    /// Returns whether a start with this device can succeed, judging by the files.
    pub fn is_usable(&self) -> bool {
        self.state == DeviceState::Used && self.missing.is_empty()
    }
}

impl fmt::Display for SpecCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.devices.is_empty() && self.problems.is_empty() {
            return f.write_str("no CDI spec was found");
        }
        let devices = self.devices.iter().map(ToString::to_string);
        let lines: Vec<_> = devices.chain(self.problems.iter().map(ToString::to_string)).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for DeviceCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}: ", self.name, self.spec.display())?;
        match &self.state {
            DeviceState::Used if self.missing.is_empty() => return f.write_str("good"),
            DeviceState::Used => {}
            DeviceState::Shadowed { by } => write!(f, "not used, {} declares it too", by.display())?,
            DeviceState::Conflict { with } => {
                let with: Vec<_> = with.iter().map(|path| path.display().to_string()).collect();
                write!(f, "not used, in conflict with {}: remove one", with.join(" and "))?;
            }
        }
        let mut comma = if self.state == DeviceState::Used { "" } else { "; " };
        for missing in &self.missing {
            write!(f, "{comma}{} {} is missing", missing.role, missing.path.display())?;
            comma = ", ";
        }
        if self.missing.is_empty() { Ok(()) } else { f.write_str("; generate the spec anew") }
    }
}

impl fmt::Display for PathRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeviceNode => "device node",
            Self::Mount => "mount source",
            Self::Hook => "hook",
        })
    }
}
