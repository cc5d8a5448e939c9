//! Containers that many cases only look at: made once, kept until the suite ends.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rt_protocol::sync::lock;
use rt_protocol::{Capability, ContainerName, ContainerRuntime};

use crate::timeout::timeout;
use crate::{Failure, Script, Verdict};

/// The kept containers by their main process.
#[derive(Debug, Default)]
pub(crate) struct ContainerCache {
    kept: Mutex<BTreeMap<Script, Result<ContainerName, Failure>>>,
    /// What came of the first command in the standing container.
    warm: Mutex<Option<Result<(), Failure>>>,
}

impl ContainerCache {
    /// The kept container with this main process; `make` makes it when there is none. A failure is kept too: what failed
    /// once is not tried again for each of a hundred cases.
    pub(crate) fn take(
        &self,
        main: &Script,
        make: impl FnOnce() -> Result<ContainerName, Failure>,
    ) -> Result<ContainerName, Failure> {
        let mut kept = lock(&self.kept);
        kept.entry(main.clone()).or_insert_with(make).clone()
    }

    /// Runs `command` once for all cases, and answers later what came of it.
    pub(crate) fn warm_up(&self, command: impl FnOnce() -> Verdict) -> Verdict {
        lock(&self.warm).get_or_insert_with(command).clone()
    }

    /// Removes them all.
    pub(crate) fn clear(&self, runtime: &dyn ContainerRuntime) {
        if !runtime.capabilities().contains(Capability::ForceRemove) {
            return;
        }
        let kept = std::mem::take(&mut *lock(&self.kept));
        let names: Vec<_> = kept.into_values().flatten().collect();
        // Nobody is left to be told about a failure; the next run has other names.
        let _ = runtime.force_remove(&names, &timeout());
    }
}
