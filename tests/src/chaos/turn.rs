//! One call in trouble, and what it needs.

use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use rt_protocol::{BindMount, ContainerRuntime as _, Until};

use super::fault_plan::FaultPlan;
use super::ledger::Ledger;
use super::main_process::MainProcess;
use super::sent_signal::SentSignal;
use super::store_processes::{Role, StoreProcesses};
use crate::live::Live;
use crate::sandbox::Sandbox;
use crate::ssh_lab::Result;

/// Where commands leave their notes, inside.
pub(super) const NOTES: &str = "/notes";

/// A limit for calls that nothing harms, and for those whose own limit this is.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// What a call may take beyond its own limit, on a busy machine: ending what it has started, and
/// looking.
pub(super) const SLACK: Duration = Duration::from_secs(25);

/// One call and what it needs.
pub(super) struct Turn<'a> {
    pub(super) live: &'a Live,
    pub(super) ledger: &'a Ledger,
    pub(super) rng: Rng,
    /// A word for this turn alone.
    pub(super) id: String,
    pub(super) processes: &'a StoreProcesses,
    pub(super) notes: &'a Path,
    pub(super) faults: FaultPlan,
    pub(super) sent: Vec<SentSignal>,
}

impl<'a> Turn<'a> {
    /// Makes the call in trouble, within its bound.
    pub(super) fn with_faults<T: Send>(
        &mut self,
        what: &str,
        bound: Duration,
        call: impl FnOnce() -> T + Send,
    ) -> T {
        let what = format!("podman: {what} [{:?}]", self.faults);
        let (answer, sent) =
            self.faults.during(self.live, self.processes, || self.ledger.bounded(&what, bound, call));
        self.sent = sent;
        answer
    }

    /// The codes that something may have been given by what was sent to these.
    pub(super) fn codes(&self, roles: &[Role]) -> Vec<i32> {
        let to_them = self.sent.iter().filter(|sent| roles.contains(&sent.role));
        to_them.filter_map(SentSignal::code).collect()
    }

    /// Whether something was sent to these.
    pub(super) fn has_harmed(&self, roles: &[Role]) -> bool {
        self.sent.iter().any(|sent| roles.contains(&sent.role))
    }

    /// The description of a container whose notes are kept.
    pub(super) fn spec(&self) -> Result<rt_protocol::LaunchSpecBuilder> {
        Ok(Sandbox::spec(self.live).mount(BindMount::writable(self.notes, NOTES)?))
    }

    /// A container that runs, and its first process.
    pub(super) fn idle(&self) -> Result<(Sandbox<'a>, MainProcess)> {
        let spec = self.spec()?.command(["sleep", "777777"]);
        let sandbox = Sandbox::launch(&self.live.runtime, spec)?;
        let main = MainProcess::of(self.live, sandbox.name.as_str())?;
        Ok((sandbox, main))
    }

    /// What plain podman says of a container's state; `None` when there is none.
    pub(super) fn true_state(&self, name: &str) -> Result<Option<String>> {
        let all = self.live.plain(&["ps", "--all", "--format=json"])?;
        let all: Vec<serde_json::Value> = serde_json::from_str(&all)?;
        let found = all.iter().find(|container| container["Names"][0] == name);
        Ok(found.map(|container| container["State"].as_str().unwrap_or_default().to_owned()))
    }

    /// Removes a container that nobody harms any more: whatever has happened to it, there is a way
    /// out.
    pub(super) fn clear(
        &self,
        sandbox: &Sandbox<'_>,
        main: Option<&MainProcess>,
    ) -> std::result::Result<(), String> {
        let name = &sandbox.name;
        let results = self.ledger.bounded("podman: force_remove, undisturbed", TIMEOUT + SLACK, || {
            self.live.runtime.force_remove(std::slice::from_ref(name), &Until::after(TIMEOUT))
        });
        let Some(result) = results.first() else { return Err("no answer to a removal".into()) };
        if !result.removed {
            // Whether it can be done at all.
            let plain = self.live.plain(&["rm", "--force", "--time=0", "--", name.as_str()]);
            return Err(format!("it cannot be removed: {:?}; plain podman: {plain:?}", result.error));
        }
        let state = self.true_state(name.as_str()).map_err(|error| error.to_string())?;
        if state.is_some() || main.is_some_and(MainProcess::is_alive) {
            return Err(format!("it is said to be removed, and is {state:?}, {main:?}"));
        }
        Ok(())
    }
}
