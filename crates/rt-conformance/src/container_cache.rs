//! Containers that many cases only read: created once, kept until the suite ends.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
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
    /// The case in which the standing container came to its end.
    dead_since: Mutex<Option<&'static str>>,
}

impl ContainerCache {
    /// Returns the kept container with this main process. If there is none, `make` creates it. A
    /// failure is kept too, so that it is neither repeated nor reported for each of a hundred
    /// cases.
    pub(crate) fn take(
        &self,
        main: &Script,
        make: impl FnOnce() -> Result<ContainerName, Failure>,
    ) -> Result<ContainerName, Failure> {
        let mut kept = lock(&self.kept);
        match kept.entry(main.clone()) {
            Entry::Occupied(known) => known.get().clone().map_err(Failure::told),
            Entry::Vacant(free) => free.insert(make()).clone(),
        }
    }

    /// Returns the kept container with this main process, if there is one.
    pub(crate) fn get(&self, main: &Script) -> Option<ContainerName> {
        let kept = lock(&self.kept);
        kept.get(main)?.as_ref().ok().cloned()
    }

    /// Runs `command` once for all cases, and returns the same result later. A failure is reported
    /// once.
    pub(crate) fn warm_up(&self, command: impl FnOnce() -> Verdict) -> Verdict {
        let mut warm = lock(&self.warm);
        match &*warm {
            Some(known) => known.clone().map_err(Failure::told),
            None => warm.insert(command()).clone(),
        }
    }

    /// Marks the standing container as ended in this case. Cases that need it are skipped from now
    /// on.
    pub(crate) fn standing_is_dead(&self, case: &'static str) {
        lock(&self.dead_since).get_or_insert(case);
    }

    /// Returns a skip if the standing container has ended.
    pub(crate) fn check_standing(&self) -> Verdict {
        match *lock(&self.dead_since) {
            Some(case) => Err(Failure::skip(format!("the standing container has ended in `{case}`"))),
            None => Ok(()),
        }
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
