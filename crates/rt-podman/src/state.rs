//! What the handles of one runtime share: the engine, and what is remembered between calls.

pub(crate) mod improper_state;
pub(crate) mod inspect;
pub(crate) mod kill_strategy;
pub(crate) mod main_process;
pub(crate) mod profile;
pub(crate) mod target;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rt_protocol::sync::lock;
use rt_protocol::{ContainerInfo, ContainerName, Result, Until};

use crate::cli::engine::Engine;
use crate::exec::kill::claims::Claims;
use crate::exec::target::ExecTarget;
use inspect::Listed;
use kill_strategy::KillStrategy;
use profile::PodmanProfile;

/// The state of one runtime.
#[derive(Debug)]
pub(crate) struct RuntimeState {
    pub(crate) engine: Engine,
    pub(crate) kill_strategy: KillStrategy,
    /// The processes of commands that are being ended.
    pub(crate) claims: Claims,
    profile: OnceLock<PodmanProfile>,
    /// Held while the profile is read, so that it is read once.
    reading_profile: Mutex<()>,
    /// The containers that `podman exec` can enter, by the names that they had.
    exec_targets: Mutex<HashMap<ContainerName, Arc<ExecTarget>>>,
    running_execs: AtomicU64,
    started_execs: AtomicU64,
}

/// How many names are remembered at most; beyond that, all are forgotten and asked for again.
const MOST_REMEMBERED: usize = 4096;

impl RuntimeState {
    pub(crate) fn new(engine: Engine, kill_strategy: KillStrategy) -> Self {
        Self {
            engine,
            kill_strategy,
            claims: Claims::default(),
            profile: OnceLock::new(),
            reading_profile: Mutex::default(),
            exec_targets: Mutex::default(),
            running_execs: AtomicU64::new(0),
            started_execs: AtomicU64::new(0),
        }
    }

    /// What this podman is; asked once. A failure is not remembered.
    pub(crate) fn profile(&self, until: &Until) -> Result<&PodmanProfile> {
        if let Some(profile) = self.profile.get() {
            return Ok(profile);
        }
        let _reading = lock(&self.reading_profile);
        match self.profile.get() {
            Some(profile) => Ok(profile),
            None => {
                PodmanProfile::read(&self.engine, until).map(|profile| self.profile.get_or_init(|| profile))
            }
        }
    }

    /// All containers, from one question.
    pub(crate) fn list(&self, operation: &'static str, until: &Until) -> Result<Vec<ContainerInfo>> {
        Ok(self.list_with_processes(operation, until)?.into_iter().map(|listed| listed.info).collect())
    }

    /// All containers, with their main processes.
    pub(crate) fn list_with_processes(&self, operation: &'static str, until: &Until) -> Result<Vec<Listed>> {
        let args = ["ps", "--all", "--no-trunc", "--format=json"];
        let answer = self.engine.ask_within(operation, self.engine.limits.read, until, args)?;
        let rows = answer.printed()?.map_err(|refusal| refusal.error(operation))?;
        inspect::decode_ps(operation, &rows)
    }

    /// The container of that name, if it is known and still the same.
    pub(crate) fn exec_target(&self, name: &ContainerName) -> Option<Arc<ExecTarget>> {
        let known = lock(&self.exec_targets).get(name).cloned()?;
        let current = known.still_of(name).map(Arc::new);
        match &current {
            Some(current) => drop(lock(&self.exec_targets).insert(name.clone(), Arc::clone(current))),
            None => self.forget(name),
        }
        current
    }

    pub(crate) fn remember_exec_target(&self, name: &ContainerName, target: &Arc<ExecTarget>) {
        let mut targets = lock(&self.exec_targets);
        if targets.len() >= MOST_REMEMBERED {
            targets.clear();
        }
        targets.insert(name.clone(), Arc::clone(target));
    }

    /// Forgets what was known of a name: its container is made or removed.
    pub(crate) fn forget(&self, name: &ContainerName) {
        lock(&self.exec_targets).remove(name);
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
