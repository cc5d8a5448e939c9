//! What the handles of one runtime share: the engine, and what is remembered between calls.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rt_protocol::{ContainerInfo, ContainerName, Result, Until};

use crate::engine::Engine;
use crate::kill::KillSide;
use crate::listing;
use crate::profile::PodmanProfile;

/// The state of one runtime.
#[derive(Debug)]
pub(crate) struct RuntimeState {
    pub(crate) engine: Engine,
    pub(crate) kill_side: KillSide,
    profile: OnceLock<PodmanProfile>,
    /// Held while the profile is read, so that it is read once.
    reading_profile: Mutex<()>,
    /// Names whose containers `podman exec` can enter, and where podman keeps the records of their execs.
    enterable: Mutex<HashMap<ContainerName, Option<PathBuf>>>,
    running_execs: AtomicU64,
    started_execs: AtomicU64,
}

/// How many names are remembered at most; beyond that, all are forgotten and asked for again.
const MOST_REMEMBERED: usize = 4096;

impl RuntimeState {
    pub(crate) fn new(engine: Engine, kill_side: KillSide) -> Self {
        Self {
            engine,
            kill_side,
            profile: OnceLock::new(),
            reading_profile: Mutex::default(),
            enterable: Mutex::default(),
            running_execs: AtomicU64::new(0),
            started_execs: AtomicU64::new(0),
        }
    }

    /// What this podman is; asked once. A failure is not remembered.
    pub(crate) fn profile(&self, until: &Until) -> Result<&PodmanProfile> {
        if let Some(profile) = self.profile.get() {
            return Ok(profile);
        }
        let _reading = self.reading_profile.lock().unwrap_or_else(PoisonError::into_inner);
        match self.profile.get() {
            Some(profile) => Ok(profile),
            None => {
                PodmanProfile::read(&self.engine, until).map(|profile| self.profile.get_or_init(|| profile))
            }
        }
    }

    /// All containers, from one question.
    pub(crate) fn list(&self, operation: &'static str, until: &Until) -> Result<Vec<ContainerInfo>> {
        let args = ["ps", "--all", "--no-trunc", "--format=json"];
        let answer = self.engine.ask_within(operation, self.engine.limits.read, until, args)?;
        if !answer.ok() {
            return Err(answer.failure().error(operation, &answer.stderr));
        }
        listing::decode_ps(operation, &answer.stdout)
    }

    pub(crate) fn is_enterable(&self, name: &ContainerName) -> bool {
        self.names().contains_key(name)
    }

    pub(crate) fn remember_enterable(&self, name: &ContainerName, static_dir: Option<PathBuf>) {
        let mut names = self.names();
        if names.len() >= MOST_REMEMBERED {
            names.clear();
        }
        names.insert(name.clone(), static_dir);
    }

    /// Forgets what was known of a name: its container is made or removed.
    pub(crate) fn forget(&self, name: &ContainerName) {
        self.names().remove(name);
    }

    /// Where podman keeps the records of the container's execs, as far as it was asked.
    pub(crate) fn static_dir(&self, name: &ContainerName) -> Option<PathBuf> {
        self.names().get(name).cloned().flatten()
    }

    fn names(&self) -> MutexGuard<'_, HashMap<ContainerName, Option<PathBuf>>> {
        self.enterable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one exec, from now until the value is dropped.
    pub(crate) fn overlap(&self) -> Overlap<'_> {
        let running_before = self.running_execs.fetch_add(1, Ordering::SeqCst);
        let number = self.started_execs.fetch_add(1, Ordering::SeqCst) + 1;
        Overlap { shared: self, running_before, number }
    }
}

/// Knows whether another exec of this runtime ran at any time since it was made.
#[derive(Debug)]
pub(crate) struct Overlap<'a> {
    shared: &'a RuntimeState,
    running_before: u64,
    number: u64,
}

impl Overlap<'_> {
    pub(crate) fn alone(&self) -> bool {
        self.running_before == 0 && self.shared.started_execs.load(Ordering::SeqCst) == self.number
    }
}

impl Drop for Overlap<'_> {
    fn drop(&mut self) {
        self.shared.running_execs.fetch_sub(1, Ordering::SeqCst);
    }
}
