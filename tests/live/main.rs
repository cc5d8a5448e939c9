//! The live suite: real podman, one case at a time in a process, and after each case a count of
//! what it left behind.

#![allow(clippy::unwrap_used, reason = "the panic of a case is its report")]

mod agreement;
#[path = "../../crates/rt-tokio/tests/fixture/blocking_runtime.rs"]
mod blocking_runtime;
mod capacity;
mod case;
mod conformance;
mod copy_names;
mod copy_trees;
mod copying;
mod errors;
mod events;
mod exec_interruptions;
mod execs;
mod files;
mod freezer;
mod futures;
mod gpu;
mod interrupter;
mod interruptions;
mod kills;
mod krun_agents;
mod krun_commands;
mod krun_faults;
mod krun_identities;
mod krun_logins;
mod krun_machine;
mod krun_outputs;
mod krun_servers;
mod krun_terminals;
#[path = "../../crates/rt-tokio/tests/fixture/lent_streams.rs"]
mod lent_streams;
mod lifecycle;
mod log_drivers;
mod log_followers;
mod logs;
mod misuse;
mod neighbours;
mod path_agreement;
mod pausing;
mod processes;
mod profile;
mod pulls;
mod quickstart;
mod random;
mod ready;
mod redaction;
mod registries;
mod remote;
mod secrets;
mod signal_interruptions;
mod sleepers;
mod spans;
mod spawned;
mod ssh_lab;
mod streams;
mod tar_streams;
mod terminals;
mod theme;
mod timeouts;
mod warm_changes;
mod warm_container;
mod warm_exec;
mod warm_leftovers;
mod warm_load;
mod warm_promises;
mod warm_shapes;
mod warm_starts;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rt_protocol::Until;
use rt_tests::leftovers::Leftovers;
use rt_tests::live::{Live, goes_by_agents};
use rt_tests::registry::Registry;

use case::{Case, Outcome, without};
use theme::Theme;

/// What a case needs beside podman.
#[derive(Clone, Copy)]
enum Need {
    Nothing,
    /// An OpenSSH server.
    Sshd,
    /// And a virtual machine.
    Machine,
    /// Containers that can be paused and limited.
    Cgroups,
    /// The rights of root: to make device nodes, for one.
    Root,
    /// Cgroups, and crun, which is one process: how many runc is differs from time to time.
    Crun,
    /// A registry of images.
    Registry,
    /// A place for a GPU specification of its own.
    CdiSpec,
    /// A journal of its own.
    Journal,
}

fn main() -> ExitCode {
    if let Some(task) = std::env::var_os(warm_leftovers::HOST_PROGRAM) {
        warm_leftovers::be_host_program(&task);
    }
    let mut arguments = Arguments::from_args();
    // What one case leaves behind must not be counted against another.
    arguments.test_threads = Some(1);
    let live = if arguments.list { None } else { Some(Live::from_environment()) };
    if let Some(Err(missing)) = &live
        && missing.required
    {
        eprintln!("the live suite is required and cannot run: {}", missing.reason);
        return ExitCode::FAILURE;
    }
    if !arguments.list {
        println!("libssh2 {} is linked in", rt_krun::linked_libssh2());
    }
    let live = live.map(|live| live.map(Arc::new).map_err(|missing| missing.reason));
    let is_concerned = |need: Need| !need.is_guest() || !goes_by_agents();
    let mut themes: Vec<_> = THEMES
        .iter()
        .filter(|(need, ..)| is_concerned(*need))
        .map(|(need, seconds, cases)| {
            let trials = cases.iter().map(|(name, case)| trial(name, *need, *case, live.clone()));
            Theme::new(*seconds, trials.collect())
        })
        .collect();
    themes.extend(conformance::themes(live.as_ref()));
    match theme::run(&arguments, themes) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the parts of the suite cannot be shared out: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Need {
    /// Why this is not to be had here.
    fn missing(self, live: &Live) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Sshd => live.sshd().err().map(str::to_owned),
            Self::Machine => live.machine().err().map(str::to_owned),
            Self::Cgroups => live.cgroups().err().map(str::to_owned),
            Self::Root if rustix::process::geteuid().is_root() => None,
            Self::Crun => match live.has_runc() {
                Ok(false) => Self::Cgroups.missing(live),
                Ok(true) => Some(String::from("the OCI runtime is runc")),
                Err(error) => Some(error.to_string()),
            },
            Self::Root => Some(String::from("only root has the rights for it")),
            Self::Registry => Registry::installed().err(),
            Self::CdiSpec => gpu::obstacle(live),
            Self::Journal => log_drivers::obstacle(live),
        }
    }

    fn is_guest(self) -> bool {
        matches!(self, Self::Sshd | Self::Machine)
    }

    /// Whether it can be missing also where the live suite is required: a host with real GPUs keeps
    /// its specifications to itself, some have no cgroups to give, and not everybody is root.
    fn is_optional(self) -> bool {
        matches!(self, Self::CdiSpec | Self::Cgroups | Self::Journal | Self::Root | Self::Crun)
    }
}

/// Cases about podman's client of each command, and about what it alone can or cannot say. They
/// take the cold path, whatever path was chosen.
const OF_CLIENTS: [&str; 8] = [
    "exec: every exit code is the command's own",
    "exec: a client that somebody ends is a lost outcome and never a zero",
    "interruption: a client that never came to its command may be sent again",
    "interruption: a restarted container keeps its genuine 137",
    // podman 5 counts its record of each exec that goes on, and so of each agent.
    "lifecycle: sizes are exact bytes",
    "secrets: a name that steers podman is refused where there is no private way",
    "timeout: from inside an image without a shell the answer is unknown",
    "timeout: a client that stands still before its command leaves no record of it",
];

/// What the cases of a theme need, how long they take in seconds, and the cases.
const THEMES: &[(Need, u32, &[Case])] = &[
    (Need::Nothing, 80, execs::CASES),
    (Need::Nothing, 50, exec_interruptions::CASES),
    // More than one process is to take; they share nothing.
    (Need::Nothing, 40, interruptions::CASES.split_at(5).0),
    (Need::Nothing, 80, interruptions::CASES.split_at(5).1),
    (Need::Nothing, 30, signal_interruptions::CASES),
    (Need::Cgroups, 30, signal_interruptions::CGROUP_CASES),
    (Need::Nothing, 145, timeouts::CASES),
    (Need::Nothing, 170, kills::CASES),
    (Need::Cgroups, 5, kills::PAUSED_CASES),
    (Need::Nothing, 60, warm_exec::CASES),
    (Need::Nothing, 60, warm_changes::CASES),
    (Need::Cgroups, 10, warm_changes::PAUSED_CASES),
    (Need::Nothing, 40, warm_leftovers::CASES),
    (Need::Nothing, 40, warm_load::CASES),
    (Need::Nothing, 20, spawned::CASES),
    (Need::Nothing, 20, futures::CASES),
    (Need::Cgroups, 5, warm_load::LIMITED_CASES),
    (Need::Nothing, 25, warm_promises::CASES),
    (Need::Nothing, 30, warm_starts::CASES),
    (Need::Cgroups, 15, warm_starts::CGROUP_CASES),
    (Need::Nothing, 60, warm_shapes::CASES),
    (Need::Cgroups, 5, warm_shapes::PAUSED_CASES),
    (Need::Crun, 15, warm_shapes::ROOM_CASES),
    (Need::Nothing, 60, path_agreement::CASES),
    (Need::Nothing, 60, streams::CASES),
    (Need::Nothing, 30, terminals::CASES),
    (Need::Nothing, 15, spans::CASES),
    (Need::Nothing, 15, capacity::CASES),
    (Need::Nothing, 7, errors::CASES),
    (Need::Nothing, 30, registries::CASES),
    (Need::Registry, 30, registries::REAL_CASES),
    (Need::Nothing, 30, pulls::CASES),
    (Need::Registry, 40, pulls::REAL_CASES),
    (Need::Nothing, 50, remote::CASES),
    (Need::Nothing, 11, misuse::CASES),
    (Need::Nothing, 60, neighbours::CASES),
    (Need::Nothing, 13, secrets::CASES),
    (Need::Nothing, 40, lifecycle::CASES),
    (Need::Nothing, 18, logs::CASES),
    (Need::Nothing, 22, log_followers::CASES),
    (Need::Nothing, 5, log_drivers::CASES),
    (Need::Journal, 20, log_drivers::JOURNAL_CASES),
    (Need::Cgroups, 12, pausing::CASES),
    (Need::Nothing, 70, copying::CASES),
    (Need::Nothing, 30, copy_trees::CASES),
    (Need::Root, 5, copy_trees::DEVICE_CASES),
    (Need::Nothing, 30, copy_names::CASES),
    (Need::Nothing, 26, tar_streams::CASES),
    (Need::Nothing, 40, files::CASES),
    (Need::Nothing, 18, ready::CASES),
    (Need::Nothing, 2, profile::CASES),
    (Need::Nothing, 12, events::CASES),
    (Need::Nothing, 6, quickstart::CASES),
    (Need::Nothing, 55, agreement::CASES),
    (Need::Nothing, 2, redaction::CASES),
    (Need::CdiSpec, 35, gpu::CASES),
    (Need::Sshd, 10, ssh_lab::CASES),
    (Need::Machine, 46, ssh_lab::MACHINE_CASES),
    (Need::Sshd, 80, krun_commands::CASES),
    (Need::Sshd, 30, krun_agents::CASES),
    (Need::Sshd, 15, spawned::KRUN_CASES),
    (Need::Sshd, 15, futures::KRUN_CASES),
    (Need::Sshd, 3, spans::KRUN_CASES),
    (Need::Sshd, 130, krun_faults::CASES),
    (Need::Sshd, 15, krun_logins::CASES),
    (Need::Sshd, 35, krun_outputs::CASES),
    (Need::Sshd, 20, krun_identities::CASES),
    (Need::Sshd, 30, krun_servers::CASES),
    (Need::Sshd, 20, krun_terminals::CASES),
    (Need::Sshd, 20, terminals::KRUN_CASES),
    (Need::Machine, 15, krun_machine::CASES),
];

fn trial(
    name: &'static str,
    need: Need,
    case: fn(&Live) -> Outcome,
    live: Option<Result<Arc<Live>, String>>,
) -> Trial {
    theme::timed(String::from(name), move || {
        let live = match live {
            None => return Ok(Completion::Completed),
            Some(Err(reason)) => return Ok(Completion::ignored_with(reason)),
            Some(Ok(live)) => live,
        };
        if let Some(reason) = need.missing(&live) {
            return if need.is_optional() {
                Ok(Completion::ignored_with(reason))
            } else {
                without(&live, &reason)
            };
        }
        let live = if OF_CLIENTS.contains(&name) {
            Arc::new(live.cold().map_err(|error| Failed::from(error.to_string()))?)
        } else {
            live
        };
        let until = Until::after(Duration::from_secs(30));
        // What a case that failed has kept is not counted against this one.
        live.runtime.cool_down(&until).map_err(|error| Failed::from(error.to_string()))?;
        let before = Leftovers::now();
        case(&live).map_err(|error| Failed::from(error.to_string()))?;
        // What is kept by the documented limits; the rest is counted.
        live.runtime
            .cool_down(&Until::after(Duration::from_secs(30)))
            .map_err(|error| Failed::from(error.to_string()))?;
        Leftovers::check_against(&before)?;
        Ok(Completion::Completed)
    })
}
