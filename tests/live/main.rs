//! The live suite: real podman, one case at a time in a process, and after each case a count of what it left behind.

#![allow(clippy::unwrap_used, reason = "the panic of a case is its report")]

mod agreement;
mod case;
mod conformance;
mod copy_names;
mod copy_trees;
mod copying;
mod errors;
mod events;
mod exec_interruptions;
mod execs;
mod gpu;
mod interruptions;
mod kills;
mod krun_commands;
mod krun_faults;
mod krun_identities;
mod krun_logins;
mod krun_machine;
mod krun_outputs;
mod krun_servers;
mod lifecycle;
mod log_followers;
mod logs;
mod misuse;
mod neighbours;
mod pausing;
mod processes;
mod profile;
mod quickstart;
mod random;
mod ready;
mod redaction;
mod registries;
mod secrets;
mod shard;
mod sleepers;
mod ssh_lab;
mod streams;
mod tar_streams;
mod timeouts;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rt_tests::leftovers::Leftovers;
use rt_tests::live::Live;
use rt_tests::registry::Registry;

use case::{Case, Outcome, without};
use shard::{Shard, Theme};

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
    /// A registry of images.
    Registry,
    /// A place for a GPU specification of its own.
    CdiSpec,
}

fn main() -> ExitCode {
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
    let shard = match Shard::from_environment() {
        Ok(shard) => shard,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    let mut themes: Vec<_> = THEMES
        .iter()
        .map(|(need, seconds, cases)| {
            let trials = cases.iter().map(|(name, case)| trial(name, *need, *case, live.clone()));
            Theme::new(*seconds, trials.collect())
        })
        .collect();
    themes.extend(conformance::themes(live.as_ref()));
    libtest_mimic::run(&arguments, shard.take(themes)).exit_code()
}

impl Need {
    /// Why this is not to be had here.
    fn missing(self, live: &Live) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Sshd => live.sshd().err().map(str::to_owned),
            Self::Machine => live.machine().err().map(str::to_owned),
            Self::Cgroups => live.cgroups().err().map(str::to_owned),
            Self::Registry => Registry::installed().err(),
            Self::CdiSpec => gpu::obstacle(live),
        }
    }

    /// Whether it can be missing also where the live suite is required: a host with real GPUs keeps its specifications to
    /// itself, and some have no cgroups to give.
    fn is_optional(self) -> bool {
        matches!(self, Self::CdiSpec | Self::Cgroups)
    }
}

/// What the cases of a theme need, how long they take in seconds, and the cases.
const THEMES: &[(Need, u32, &[Case])] = &[
    (Need::Nothing, 120, execs::CASES),
    (Need::Nothing, 140, exec_interruptions::CASES),
    // More than a shard is to take; they share nothing.
    (Need::Nothing, 40, interruptions::CASES.split_at(5).0),
    (Need::Nothing, 40, interruptions::CASES.split_at(5).1),
    (Need::Nothing, 60, timeouts::CASES),
    (Need::Nothing, 140, kills::CASES),
    (Need::Cgroups, 5, kills::PAUSED_CASES),
    (Need::Nothing, 45, streams::CASES),
    (Need::Nothing, 7, errors::CASES),
    (Need::Nothing, 30, registries::CASES),
    (Need::Registry, 30, registries::REAL_CASES),
    (Need::Nothing, 11, misuse::CASES),
    (Need::Nothing, 60, neighbours::CASES),
    (Need::Nothing, 13, secrets::CASES),
    (Need::Nothing, 40, lifecycle::CASES),
    (Need::Nothing, 18, logs::CASES),
    (Need::Nothing, 22, log_followers::CASES),
    (Need::Cgroups, 4, pausing::CASES),
    (Need::Nothing, 70, copying::CASES),
    (Need::Nothing, 30, copy_trees::CASES),
    (Need::Nothing, 30, copy_names::CASES),
    (Need::Nothing, 26, tar_streams::CASES),
    (Need::Nothing, 18, ready::CASES),
    (Need::Nothing, 2, profile::CASES),
    (Need::Nothing, 12, events::CASES),
    (Need::Nothing, 6, quickstart::CASES),
    (Need::Nothing, 32, agreement::CASES),
    (Need::Nothing, 2, redaction::CASES),
    (Need::CdiSpec, 35, gpu::CASES),
    (Need::Sshd, 10, ssh_lab::CASES),
    (Need::Machine, 46, ssh_lab::MACHINE_CASES),
    (Need::Sshd, 65, krun_commands::CASES),
    (Need::Sshd, 200, krun_faults::CASES),
    (Need::Sshd, 15, krun_logins::CASES),
    (Need::Sshd, 35, krun_outputs::CASES),
    (Need::Sshd, 20, krun_identities::CASES),
    (Need::Sshd, 25, krun_servers::CASES),
    (Need::Machine, 15, krun_machine::CASES),
];

fn trial(
    name: &'static str,
    need: Need,
    case: fn(&Live) -> Outcome,
    live: Option<Result<Arc<Live>, String>>,
) -> Trial {
    shard::timed(String::from(name), move || {
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
        let before = Leftovers::now();
        case(&live).map_err(|error| Failed::from(error.to_string()))?;
        Leftovers::check_against(&before)?;
        Ok(Completion::Completed)
    })
}
