//! All specs of a host, and which spec an engine takes a device from.

use std::collections::BTreeMap;
use std::path::Path;

use super::problem::{CdiFault, CdiProblem};
use super::spec::{CdiDevice, CdiSpec};
use super::{file, spec};
use crate::CdiSource;
use crate::rooted_path::rooted_path;

/// All CDI specs of a host, as an engine reads them.
///
/// The rules are those of the [CDI specification 1.1.0][spec] and of its library, which engines
/// use:
///
/// - The files directly in a directory count, `.json` and `.yaml`; both are read as YAML.
/// - A file with an unknown field, an invalid name or a version that is not accepted is ignored.
/// - If specs in two directories declare a device, the one of higher priority applies.
/// - If two specs in one directory declare a device, neither applies, even if a later directory
///   declares it too.
/// - If a directory cannot be read, the later ones are not read either.
///
/// [spec]: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CdiRegistry {
    pub(super) specs: Vec<CdiSpec>,
    pub(super) problems: Vec<CdiProblem>,
    /// For each device, by qualified name: the spec that applies, or those in conflict.
    pub(super) devices: BTreeMap<String, DeviceSource>,
}

/// The spec that a device comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DeviceSource {
    /// The index in `specs`.
    Spec(usize),
    Conflict(Vec<usize>),
}

impl CdiRegistry {
    /// Reads the specs below a root directory, `/` for this host. Never fails: what cannot be read
    /// becomes one of the [problems](Self::problems). A directory that does not exist is not a
    /// problem.
    ///
    /// The operating system follows symbolic links, so an absolute link leads out of another root.
    /// Reads at most [`MOST_SPEC_FILES`](crate::MOST_SPEC_FILES) files of a directory and
    /// [`LARGEST_SPEC_FILE`](crate::LARGEST_SPEC_FILE) bytes of a file. Reads only regular files; a
    /// named pipe does not block.
    pub fn read(root: &Path, source: &CdiSource) -> Self {
        let mut registry = Self::default();
        for (priority, dir) in source.dirs().iter().enumerate() {
            let dir = rooted_path(root, dir);
            let names = match file::spec_files(&dir) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(fault) => {
                    registry.problems.push(CdiProblem { path: dir, fault });
                    break;
                }
            };
            registry.problems.extend(names.problems);
            for path in names.files {
                match file::read(&path).and_then(|text| spec::parse(&text, &path, priority, source.newest()))
                {
                    Ok(spec) => registry.specs.push(spec),
                    Err(fault) => registry.problems.push(CdiProblem { path, fault }),
                }
            }
        }
        registry.resolve_devices();
        registry
    }

    /// Returns the valid specs, ordered by priority, then by file name.
    pub fn specs(&self) -> &[CdiSpec] {
        &self.specs
    }

    /// Returns the problems, each with its file or directory.
    pub fn problems(&self) -> &[CdiProblem] {
        &self.problems
    }

    /// Returns whether any valid spec declares this kind (`nvidia.com/gpu`), even if none of its
    /// devices can be used.
    pub fn declares(&self, kind: &str) -> bool {
        self.specs.iter().any(|spec| spec.kind() == kind)
    }

    /// Returns the names of the devices of a kind that an engine would find, numbers first and in
    /// numerical order.
    pub fn device_names(&self, kind: &str) -> Vec<&str> {
        let mut names: Vec<_> = self
            .devices
            .iter()
            .filter(|(_, source)| matches!(source, DeviceSource::Spec(_)))
            .filter_map(|(name, _)| name.split_once('=').filter(|(of, _)| *of == kind).map(|(_, name)| name))
            .collect();
        names.sort_by_key(|name| (name.parse::<u32>().map_err(|_| *name), *name));
        names
    }

    /// Returns the device that an engine would use for a qualified name (`nvidia.com/gpu=all`), and
    /// its spec. `None` if no spec declares it, or if specs are in conflict about it.
    pub fn device(&self, qualified: &str) -> Option<(&CdiSpec, &CdiDevice)> {
        let DeviceSource::Spec(place) = self.devices.get(qualified)? else { return None };
        let spec = &self.specs[*place];
        let device = spec.devices().iter().find(|device| spec.qualified(device) == qualified)?;
        Some((spec, device))
    }

    fn resolve_devices(&mut self) {
        for (place, spec) in self.specs.iter().enumerate() {
            for device in spec.devices() {
                let source = self.devices.entry(spec.qualified(device)).or_insert(DeviceSource::Spec(place));
                match source {
                    DeviceSource::Spec(other) if *other == place => {}
                    // Specs are ordered by priority.
                    DeviceSource::Spec(other) if self.specs[*other].priority() < spec.priority() => {
                        *other = place;
                    }
                    DeviceSource::Spec(other) => *source = DeviceSource::Conflict(vec![*other, place]),
                    // CDI's library drops a device after a conflict, even if a later directory
                    // declares it too.
                    DeviceSource::Conflict(specs) => specs.push(place),
                }
            }
        }
        for (name, source) in &self.devices {
            if let DeviceSource::Conflict(places) = source {
                let paths: Vec<_> = places.iter().map(|place| self.specs[*place].path().to_owned()).collect();
                for path in &paths {
                    let with = paths.iter().filter(|other| *other != path).cloned().collect();
                    let fault = CdiFault::Conflict { device: name.clone(), with };
                    self.problems.push(CdiProblem { path: path.clone(), fault });
                }
            }
        }
    }
}
