//! A round on podman: calls of every verb, each on a container of its own, while processes of podman's are signalled. After
//! each call the truth is asked for: plain podman, the processes of the machine, the files of both sides.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rt_protocol::{ContainerRuntime as _, Mount, Until};
use tempfile::TempDir;

use super::ledger::Ledger;
use super::main_process::MainProcess;
use super::sent::Sent;
use super::trouble::Trouble;
use super::verbs::VERBS;
use super::victims::{Role, Victims};
use crate::leftovers::Leftovers;
use crate::live::Live;
use crate::sandbox::Sandbox;
use crate::ssh_lab::Result;

const TURNS: usize = 6;

/// Where commands leave their notes, inside.
pub(super) const NOTES: &str = "/notes";

/// A limit for calls that nothing harms, and for those whose own limit this is.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What a call may take beyond its own limit, on a busy machine: ending what it has started, and looking.
pub(super) const SLACK: Duration = Duration::from_secs(25);

/// How long what podman starts by itself may take to end.
const SETTLES: Duration = Duration::from_secs(30);

/// One call and what it needs.
pub(super) struct Turn<'a> {
    pub(super) live: &'a Live,
    pub(super) ledger: &'a Ledger,
    pub(super) rng: Rng,
    /// A word for this turn alone.
    pub(super) id: String,
    victims: &'a Victims,
    notes: &'a Path,
    trouble: Trouble,
    sent: Vec<Sent>,
}

/// One round.
pub(super) fn round(live: &Live, seed: u64, ledger: &Ledger) -> Result<()> {
    let mut rng = Rng::with_seed(seed);
    let victims = Victims::of_this_store().ok_or("this is no podman of a store of its own")?;
    let notes = TempDir::new()?;
    fs::set_permissions(notes.path(), fs::Permissions::from_mode(0o777))?;
    let before = Leftovers::now();
    for number in 0..TURNS {
        let (name, verb) = VERBS[rng.usize(..VERBS.len())];
        let trouble = Trouble::random(&mut rng);
        let id = format!("podman-{seed}-{number}");
        let rng = rng.fork();
        let notes = notes.path();
        let mut turn = Turn { live, ledger, rng, id, victims: &victims, notes, trouble, sent: Vec::new() };
        let verdict = verb(&mut turn);
        for sent in &turn.sent {
            ledger.harmed(sent.kind());
        }
        let sent: Vec<_> = turn.sent.iter().map(ToString::to_string).collect();
        let sent = if sent.is_empty() { "nothing was sent".into() } else { sent.join(", ") };
        match verdict {
            Ok(verdict) => ledger.judge(
                &format!("podman: {name}"),
                verdict.map_err(|fault| format!("{fault} [{sent}; {:?}]", turn.trouble)),
            ),
            Err(error) => ledger.fault(&format!("podman: {name}: the turn itself failed: {error} [{sent}]")),
        }
    }
    ledger.judge("podman, round: processes", settled(&victims));
    ledger.judge("podman, round: leftovers", Leftovers::check_against(&before).map(|()| "none".into()));
    Ok(())
}

/// Nobody of podman's is left once every container is removed.
fn settled(victims: &Victims) -> std::result::Result<String, String> {
    let begun = Instant::now();
    loop {
        let left = victims.look();
        if left.is_empty() {
            return Ok("none".into());
        }
        if begun.elapsed() > SETTLES {
            return Err(format!("left: {left:?}"));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

impl<'a> Turn<'a> {
    /// Makes the call in trouble, within its bound.
    pub(super) fn disturbed<T: Send>(
        &mut self,
        what: &str,
        bound: Duration,
        call: impl FnOnce() -> T + Send,
    ) -> T {
        let what = format!("podman: {what} [{:?}]", self.trouble);
        let (answer, sent) =
            self.trouble.during(self.live, self.victims, || self.ledger.bounded(&what, bound, call));
        self.sent = sent;
        answer
    }

    /// The codes that something may have been given by what was sent to these.
    pub(super) fn codes(&self, roles: &[Role]) -> Vec<i32> {
        let to_them = self.sent.iter().filter(|sent| roles.contains(&sent.role));
        to_them.filter_map(Sent::code).collect()
    }

    /// Whether something was sent to these.
    pub(super) fn has_harmed(&self, roles: &[Role]) -> bool {
        self.sent.iter().any(|sent| roles.contains(&sent.role))
    }

    /// The directory of notes, on this side.
    pub(super) fn notes(&self) -> &'a Path {
        self.notes
    }

    /// The description of a container whose notes are kept.
    pub(super) fn spec(&self) -> Result<rt_protocol::LaunchSpecBuilder> {
        Ok(Sandbox::spec(self.live).mount(Mount::writable(self.notes, NOTES)?))
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

    /// Removes a container that nobody harms any more: whatever has happened to it, there is a way out.
    pub(super) fn clear(
        &self,
        sandbox: &Sandbox<'_>,
        main: Option<&MainProcess>,
    ) -> std::result::Result<(), String> {
        let name = &sandbox.name;
        let results = self.ledger.bounded("podman: force_remove, undisturbed", PATIENCE + SLACK, || {
            self.live.runtime.force_remove(std::slice::from_ref(name), &Until::after(PATIENCE))
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
