//! All specs of a host, and which device of which spec an engine would use.

use std::collections::BTreeMap;
use std::path::Path;

use super::problem::{CdiFault, CdiProblem};
use super::spec::{CdiDevice, CdiSpec};
use super::{file, spec};
use crate::CdiSource;
use crate::rooted_path::rooted_path;

/// All CDI specs of a host, as an engine reads them.
///
/// The rules are those of the [CDI specification](https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md)
/// 1.1.0 and of its library, which engines use: files directly in a directory, `.json` and `.yaml` alike read as YAML; a
/// file with an unknown field, a wrong name or a version that is not accepted counts for nothing; of two specs that declare
/// one device the one in the later directory wins, and within one directory neither does, whatever a later one says. A
/// directory that cannot be read ends the reading: engines then do not look at the later ones either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CdiRegistry {
    pub(super) specs: Vec<CdiSpec>,
    pub(super) problems: Vec<CdiProblem>,
    /// The deciding spec of each device, or those in conflict; by the qualified name.
    pub(super) devices: BTreeMap<String, DeviceSource>,
}

/// Which spec a device comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DeviceSource {
    /// The place in `specs`.
    Spec(usize),
    Conflict(Vec<usize>),
}

impl CdiRegistry {
    /// Reads the specs below a root directory, `/` for this host. Never fails: what cannot be read is a
    /// [problem](Self::problems), and a directory that is not there is none.
    ///
    /// Links are followed by the system, so that absolute ones lead out of another root. At most [`MOST_SPEC_FILES`](crate::MOST_SPEC_FILES) of a
    /// directory and [`LARGEST_SPEC_FILE`](crate::LARGEST_SPEC_FILE) bytes of a file are read; nothing but regular files is opened for reading, and a
    /// named pipe never blocks.
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

    /// The specs that were understood, in the order of priority, then of their names.
    pub fn specs(&self) -> &[CdiSpec] {
        &self.specs
    }

    /// What is wrong, each with its file or directory.
    pub fn problems(&self) -> &[CdiProblem] {
        &self.problems
    }

    /// Whether any spec declares this kind (`nvidia.com/gpu`), whatever became of its devices.
    pub fn declares(&self, kind: &str) -> bool {
        self.specs.iter().any(|spec| spec.kind() == kind)
    }

    /// The names of the devices of a kind that an engine would find, numbers first and in their order.
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

    /// The device that an engine would use for a qualified name (`nvidia.com/gpu=all`), and its spec; `None` where there is
    /// none, or several in conflict.
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
                    // Specs come in the order of priority.
                    DeviceSource::Spec(other) if self.specs[*other].priority() < spec.priority() => {
                        *other = place;
                    }
                    DeviceSource::Spec(other) => *source = DeviceSource::Conflict(vec![*other, place]),
                    // The library forgets a device that was in conflict once, also when a later directory has it.
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
