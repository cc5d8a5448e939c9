//! Measures the memory that a warm container uses beyond a cold one, compared with that of a
//! running `podman exec`.

use std::fs;
use std::time::Duration;

use rt_process::{LineStream, ProcessSpec, Program, procfs};
use rt_protocol::Until;

use super::rounds::{Turn, measured_in_turns};
use super::warm::warm_runtime;
use crate::bench::outcome::Outcome;
use crate::bench::row::{Row, Target, Unit};
use crate::live::Live;
use crate::sandbox::Sandbox;

const ROUNDS: u32 = 5;

pub(super) fn measure(live: &Live) -> Outcome<Row> {
    let rounds = measured_in_turns(ROUNDS, |turn| {
        let sandbox = Sandbox::idle(live)?;
        let minute = Until::after(Duration::from_secs(60));
        match turn {
            Turn::Ours => {
                let runtime = warm_runtime(live)?;
                runtime.warm_up(&sandbox.name, None, &minute)?;
                kept_for(live, &sandbox)
            }
            Turn::Theirs => {
                let words = ["exec", sandbox.name.as_str(), "sleep", "777776"];
                let spec = ProcessSpec::new(&Program::find(&live.podman)?).args(words);
                // Ended by its drop; its command goes with the container.
                let _client = LineStream::spawn(&spec, 4096)?;
                kept_for(live, &sandbox)
            }
        }
    })?;
    let what = "an agent, its conmon and podman's client, and those of a `podman exec sleep`";
    Ok(Row::of("podman-exec-warm-memory", what, Unit::Mebibytes, Target::Excess(1.0), &rounds))
}

/// Returns the unshared memory, in MiB, of the exec in a container, of its conmon, and of podman's
/// client. The client is a child of this process.
fn kept_for(live: &Live, sandbox: &Sandbox<'_>) -> Outcome<f64> {
    let id = live.plain(&["inspect", "--format={{.Id}}", sandbox.name.as_str()])?;
    let patience = Until::after(Duration::from_secs(10));
    loop {
        let processes = procfs::snapshot()?;
        let has = |pid: u32, words: &[&str]| {
            let argv = procfs::command_line(pid).ok().flatten().unwrap_or_default();
            words.iter().all(|word| argv.iter().any(|argument| argument == word))
        };
        let own = std::process::id();
        let children = |parent: u32| processes.iter().filter(move |process| process.parent == parent);
        let conmon = processes
            .iter()
            .find(|process| process.name == "conmon" && has(process.pid, &[id.trim(), "--exec-attach"]));
        let client = children(own).find(|process| has(process.pid, &["exec"]));
        let command = conmon.and_then(|conmon| children(conmon.pid).find(|process| process.name != "crun"));
        if let (Some(conmon), Some(client), Some(command)) = (conmon, client, command) {
            // What a starting one needs is no longer of interest.
            std::thread::sleep(Duration::from_secs(1));
            let parts = [command.pid, conmon.pid, client.pid].map(private);
            let [command, conmon, client] = parts;
            let (command, conmon, client) = (command?, conmon?, client?);
            eprintln!("bench: command {command:.2}, conmon {conmon:.2}, client {client:.2} MiB");
            return Ok(command + conmon + client);
        }
        patience.check().map_err(|_| "the exec, its conmon or its client is not to be seen")?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `Private_Clean` and `Private_Dirty` of proc(5), in MiB.
fn private(pid: u32) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let lines = text.lines().filter_map(|line| line.strip_prefix("Private_")?.split_once(':'));
    let amounts = lines
        .filter(|(name, _)| matches!(*name, "Clean" | "Dirty"))
        .map(|(_, amount)| amount.trim().trim_end_matches("kB").trim_end().parse::<u32>());
    Ok(f64::from(amounts.sum::<Result<u32, _>>()?) / 1024.0)
}
