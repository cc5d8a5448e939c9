//! The live suite: real podman, one case at a time, and after each case a count of what it left behind.

#![allow(clippy::unwrap_used, reason = "the panic of a case is its report")]

mod agreement;
mod conformance;
mod copy_names;
mod copy_trees;
mod copying;
mod errors;
mod events;
mod execs;
mod gpu;
mod krun_commands;
mod krun_faults;
mod krun_logins;
mod krun_machine;
mod lifecycle;
mod logs;
mod misuse;
mod neighbours;
mod pausing;
mod profile;
mod quickstart;
mod ready;
mod redaction;
mod secrets;
mod ssh_lab;
mod streams;
mod tar_streams;
mod timeouts;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rt_tests::leftovers::Leftovers;
use rt_tests::live::Live;

/// One case: its name is the fact that it shows.
type Case = (&'static str, fn(&Live) -> Outcome);

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
    /// A place for a GPU specification of its own.
    CdiSpec,
}

/// What a case answers: any failed step, or a broken expectation by panic.
type Outcome = Result<(), Problem>;

/// Whatever went wrong; it may have happened on another thread.
type Problem = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // What one case leaves behind must not be counted against another.
    arguments.test_threads = Some(1);
    let live = if arguments.list { None } else { Some(Live::from_environment()) };
    if let Some(Err(missing)) = &live
        && missing.demanded
    {
        eprintln!("the live suite is demanded and cannot run: {}", missing.reason);
        return ExitCode::FAILURE;
    }
    if !arguments.list {
        println!("libssh2 {} is linked in", rt_krun::linked_libssh2());
    }
    let live = live.map(|live| live.map(Arc::new).map_err(|missing| missing.reason));
    let mut trials: Vec<_> =
        cases().map(|(need, (name, case))| trial(name, need, case, live.clone())).collect();
    trials.extend(conformance::trials(live.as_ref()));
    libtest_mimic::run(&arguments, trials).exit_code()
}

impl Need {
    /// Why this is not to be had here.
    fn missing(self, live: &Live) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Sshd => live.sshd().err().map(str::to_owned),
            Self::Machine => live.machine().err().map(str::to_owned),
            Self::Cgroups => live.cgroups().err().map(str::to_owned),
            Self::CdiSpec => gpu::obstacle(live),
        }
    }

    /// Whether it can be missing also where the live suite is demanded: a host with real GPUs keeps its specifications to
    /// itself, and some have no cgroups to give.
    fn is_optional(self) -> bool {
        matches!(self, Self::CdiSpec | Self::Cgroups)
    }
}

fn cases() -> impl Iterator<Item = (Need, Case)> {
    [
        (Need::Nothing, execs::CASES),
        (Need::Nothing, timeouts::CASES),
        (Need::Nothing, streams::CASES),
        (Need::Nothing, errors::CASES),
        (Need::Nothing, misuse::CASES),
        (Need::Nothing, neighbours::CASES),
        (Need::Nothing, secrets::CASES),
        (Need::Nothing, lifecycle::CASES),
        (Need::Nothing, logs::CASES),
        (Need::Cgroups, pausing::CASES),
        (Need::Nothing, copying::CASES),
        (Need::Nothing, copy_trees::CASES),
        (Need::Nothing, copy_names::CASES),
        (Need::Nothing, tar_streams::CASES),
        (Need::Nothing, ready::CASES),
        (Need::Nothing, profile::CASES),
        (Need::Nothing, events::CASES),
        (Need::Nothing, quickstart::CASES),
        (Need::Nothing, agreement::CASES),
        (Need::Nothing, redaction::CASES),
        (Need::CdiSpec, gpu::CASES),
        (Need::Sshd, ssh_lab::CASES),
        (Need::Machine, ssh_lab::MACHINE_CASES),
        (Need::Sshd, krun_commands::CASES),
        (Need::Sshd, krun_faults::CASES),
        (Need::Sshd, krun_logins::CASES),
        (Need::Machine, krun_machine::CASES),
    ]
    .into_iter()
    .flat_map(|(need, cases)| cases.iter().map(move |case| (need, *case)))
}

fn trial(
    name: &'static str,
    need: Need,
    case: fn(&Live) -> Outcome,
    live: Option<Result<Arc<Live>, String>>,
) -> Trial {
    Trial::ignorable_test(name, move || {
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

/// What a case answers that lacks something: ignored, or, where that is demanded, failed.
fn without(live: &Live, reason: &str) -> Result<Completion, Failed> {
    if live.guests_are_demanded {
        return Err(Failed::from(format!("demanded, and it cannot run: {reason}")));
    }
    Ok(Completion::ignored_with(reason))
}
