//! What the handles of one runtime share: the engine, and what is remembered between calls.

pub(crate) mod improper_state;
pub(crate) mod inspect;
pub(crate) mod kill_strategy;
pub(crate) mod main_process;
pub(crate) mod profile;
pub(crate) mod stats;
pub(crate) mod target;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rt_protocol::sync::lock;
use rt_protocol::{ContainerInfo, ContainerName, Result, Until};

use crate::cli::engine::Engine;
use crate::exec::kill::claims::Claims;
use crate::exec::target::ExecTarget;
use crate::exec::warm::AgentPool;
use crate::exec::warm::agent_limits::AgentLimits;
use crate::exec::warm::exec_path::ExecPath;
use inspect::Listed;
use kill_strategy::KillStrategy;
use profile::PodmanProfile;

/// The state of one runtime.
#[derive(Debug)]
pub(crate) struct RuntimeState {
    pub(crate) engine: Engine,
    pub(crate) kill_strategy: KillStrategy,
    pub(crate) exec_path: ExecPath,
    pub(crate) agents: AgentPool,
    /// The processes of commands that are being ended.
    pub(crate) claims: Claims,
    profile: OnceLock<PodmanProfile>,
    /// Locked while the profile is read, so that it is read only once.
    reading_profile: Mutex<()>,
    /// The containers that `podman exec` can enter, by their names.
    exec_targets: Mutex<HashMap<ContainerName, Arc<ExecTarget>>>,
    running_execs: AtomicU64,
    started_execs: AtomicU64,
}

/// The most names that are remembered. Beyond that, all are dropped and looked up again.
const MOST_REMEMBERED: usize = 4096;

impl RuntimeState {
    pub(crate) fn new(
        engine: Engine,
        kill_strategy: KillStrategy,
        exec_path: ExecPath,
        agent_limits: AgentLimits,
    ) -> Self {
        Self {
            engine,
            kill_strategy,
            exec_path,
            agents: AgentPool::new(agent_limits),
            claims: Claims::default(),
            profile: OnceLock::new(),
            reading_profile: Mutex::default(),
            exec_targets: Mutex::default(),
            running_execs: AtomicU64::new(0),
            started_execs: AtomicU64::new(0),
        }
    }

    /// Returns podman's profile, which is read once. A failure is not remembered.
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

    /// Lists all containers with one call.
    pub(crate) fn list(&self, operation: &'static str, until: &Until) -> Result<Vec<ContainerInfo>> {
        Ok(self.list_with_processes(operation, until)?.into_iter().map(|listed| listed.info).collect())
    }

    /// Lists all containers with their main processes.
    pub(crate) fn list_with_processes(&self, operation: &'static str, until: &Until) -> Result<Vec<Listed>> {
        let args = ["ps", "--all", "--no-trunc", "--format=json"];
        let rows = self.engine.ask_within(operation, self.engine.limits.read, until, args)?.text()?;
        inspect::decode_ps(operation, &rows)
    }

    /// Returns the container with this name, if it is known and unchanged.
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

    /// Drops what is known about a name, because its container is created or removed.
    pub(crate) fn forget(&self, name: &ContainerName) {
        lock(&self.exec_targets).remove(name);
    }

    /// Counts one exec until the value is dropped.
    pub(crate) fn overlap(&self) -> Overlap<'_> {
        let running_before = self.running_execs.fetch_add(1, Ordering::SeqCst);
        let number = self.started_execs.fetch_add(1, Ordering::SeqCst) + 1;
        Overlap { shared: self, running_before, number }
    }
}

impl Drop for RuntimeState {
    fn drop(&mut self) {
        self.agents.close(&self.engine);
    }
}

/// Knows whether another exec of this runtime ran at any time since this value was created.
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
