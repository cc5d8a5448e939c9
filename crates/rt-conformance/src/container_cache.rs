//! Containers that many cases only read: created once, kept until the suite ends.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rt_protocol::sync::lock;
use rt_protocol::{Capability, ContainerName, ContainerRuntime};

use crate::timeout::timeout;
use crate::{Failure, Script, Verdict};

/// The kept containers, by their main process.
#[derive(Debug, Default)]
pub(crate) struct ContainerCache {
    kept: Mutex<BTreeMap<Script, Result<ContainerName, Failure>>>,
    /// The result of the first command in the standing container.
    warm: Mutex<Option<Result<(), Failure>>>,
}

impl ContainerCache {
    /// Returns the kept container with this main process. If there is none, `make` creates it. A
    /// failure is kept too, so that it is not repeated for each of a hundred cases.
    pub(crate) fn take(
        &self,
        main: &Script,
        make: impl FnOnce() -> Result<ContainerName, Failure>,
    ) -> Result<ContainerName, Failure> {
        let mut kept = lock(&self.kept);
        kept.entry(main.clone()).or_insert_with(make).clone()
    }

    /// Runs `command` once for all cases, and returns the same result later.
    pub(crate) fn warm_up(&self, command: impl FnOnce() -> Verdict) -> Verdict {
        lock(&self.warm).get_or_insert_with(command).clone()
    }

    /// Removes all of them.
    pub(crate) fn clear(&self, runtime: &dyn ContainerRuntime) {
        if !runtime.capabilities().contains(Capability::ForceRemove) {
            return;
        }
        let kept = std::mem::take(&mut *lock(&self.kept));
        let names: Vec<_> = kept.into_values().flatten().collect();
        // A failure cannot be reported any more. The next run uses other names.
        let _ = runtime.force_remove(&names, &timeout());
    }
}
