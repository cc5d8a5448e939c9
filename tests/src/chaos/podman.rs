//! A round on podman: calls of every verb, each on a container of its own, while processes of
//! podman's are signalled. After each call the truth is asked for: plain podman, the processes of
//! the machine, the files of both sides.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::TempDir;

use super::fault_plan::FaultPlan;
use super::ledger::Ledger;
use super::store_processes::StoreProcesses;
use super::turn::Turn;
use super::verbs::VERBS;
use crate::leftovers::Leftovers;
use crate::live::Live;
use crate::ssh_lab::Result;

const TURNS: usize = 6;

/// How long what podman starts by itself may take to end.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);

/// One round.
pub(super) fn round(live: &Live, seed: u64, ledger: &Ledger) -> Result<()> {
    let mut rng = Rng::with_seed(seed);
    let processes = StoreProcesses::of_this_store().ok_or("this is no podman of a store of its own")?;
    let notes = TempDir::new()?;
    fs::set_permissions(notes.path(), fs::Permissions::from_mode(0o777))?;
    let before = Leftovers::now();
    for number in 0..TURNS {
        let (name, verb) = VERBS[rng.usize(..VERBS.len())];
        let faults = FaultPlan::random(&mut rng);
        let id = format!("podman-{seed}-{number}");
        let rng = rng.fork();
        let notes = notes.path();
        let mut turn = Turn { live, ledger, rng, id, processes: &processes, notes, faults, sent: Vec::new() };
        let verdict = verb(&mut turn);
        for sent in &turn.sent {
            ledger.harmed(sent.kind());
        }
        let sent: Vec<_> = turn.sent.iter().map(ToString::to_string).collect();
        let sent = if sent.is_empty() { "nothing was sent".into() } else { sent.join(", ") };
        match verdict {
            Ok(verdict) => ledger.judge(
                &format!("podman: {name}"),
                verdict.map_err(|fault| format!("{fault} [{sent}; {:?}]", turn.faults)),
            ),
            Err(error) => ledger.fault(&format!("podman: {name}: the turn itself failed: {error} [{sent}]")),
        }
    }
    ledger.judge("podman, round: processes", settled(&processes));
    ledger.judge("podman, round: leftovers", Leftovers::check_against(&before).map(|()| "none".into()));
    Ok(())
}

/// Nobody of podman's is left once every container is removed.
fn settled(processes: &StoreProcesses) -> std::result::Result<String, String> {
    let begun = Instant::now();
    loop {
        let left = processes.look();
        if left.is_empty() {
            return Ok("none".into());
        }
        if begun.elapsed() > EXIT_TIMEOUT {
            return Err(format!("left: {left:?}"));
        }
        thread::sleep(Duration::from_millis(50));
    }
}
