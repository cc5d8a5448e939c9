//! Commands that run while the caller does other things: what they cost, and that nothing stays of
//! them.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rt_podman::{ExecPath, KillStrategy};
use rt_protocol::{
    Container, ContainerExt, ContainerRuntime, ExecRequest, ExecRequestBuilder, ExitOutcome, KillOutcome,
    Result, RunningCommand, Signal, SpawnStdio,
};
use rt_tests::krun::LoopbackGuest;
use rt_tests::leftovers::Leftovers;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rt_tests::ssh_lab::loopback::Settings;

use crate::case::{Case, Outcome};
use crate::sleepers::{fresh_tag, sleepers};
use crate::warm_container::WarmContainer;

pub(crate) const CASES: &[Case] = &[
    ("spawned: by an agent, commands at once need no thread each", no_thread),
    ("spawned: by an agent, thousands that are dropped leave nothing", dropped),
    ("spawned: by podman, commands that are dropped leave nothing", dropped_cold),
    ("spawned: by podman, a signal that the host cannot send is sent from inside", signal_from_inside),
];

pub(crate) const KRUN_CASES: &[Case] =
    &[("spawned: in a guest, commands that are dropped leave nothing", dropped_in_guest)];

/// How many commands one run drops; `RT_WARM_COMMANDS` sets another number, such as 10,000.
const COMMANDS: usize = 1000;

/// How many commands of podman's own, each of which takes some 300 ms, are dropped;
/// `RT_COLD_COMMANDS` sets another number.
const COLD_COMMANDS: usize = 6;

/// How many commands in a guest are dropped, which takes some 50 ms for each: a script looks for
/// what is left. `RT_KRUN_COMMANDS` sets another number.
const KRUN_COMMANDS: usize = 200;

const LIMIT: Duration = Duration::from_secs(60);

fn count_of(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |count| count.parse().expect("a number"))
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("/proc").count()
}

fn spawn(container: &Arc<dyn Container>, words: &[&str]) -> Result<RunningCommand> {
    container.spawn_command(&ExecRequest::new(words.iter().copied())?, SpawnStdio::new().piped_stdin(), LIMIT)
}

fn no_thread(live: &Live) -> Outcome {
    const AT_ONCE: usize = 100;
    let warm = WarmContainer::idle(live)?;
    assert!(warm.sh("true")?.success());
    let (before, threads_before) = (Leftovers::now(), threads());
    let mut commands = Vec::new();
    for _ in 0..AT_ONCE {
        commands.push(spawn(&warm.container, &["cat"])?);
    }
    assert_eq!(threads(), threads_before);
    for (number, command) in commands.iter_mut().enumerate() {
        let said = format!("{number}\n");
        command.stdin.as_mut().expect("it is piped").write_all(said.as_bytes())?;
        let mut echo = vec![0; said.len()];
        command.stdout.as_mut().expect("it is piped").read_exact(&mut echo)?;
        assert_eq!(echo, said.as_bytes());
    }
    for command in &mut commands {
        assert_eq!(command.wait(LIMIT)?.outcome, ExitOutcome::Code(0));
    }
    drop(commands);
    Leftovers::check_against(&before)?;
    warm.assert_leaves_nothing()
}

fn dropped(live: &Live) -> Outcome {
    const THREADS: usize = 8;
    let count = count_of("RT_WARM_COMMANDS", COMMANDS);
    let warm = WarmContainer::idle(live)?;
    assert!(warm.sh("true")?.success());
    let (before, tag) = (Leftovers::now(), fresh_tag());
    let script = format!("(setsid env -i sleep {tag} &); sleep {tag} & exec cat");
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for number in 0..count / THREADS {
                    let mut command = spawn(&warm.container, &["sh", "-c", &script]).expect("a command");
                    if number % 10 == 0 {
                        assert_eq!(command.kill().outcome, KillOutcome::Gone);
                    }
                }
            });
        }
    });
    assert!(sleepers(tag).is_empty(), "{:?} run on", sleepers(tag));
    Leftovers::check_against(&before)?;
    warm.assert_leaves_nothing()
}

fn dropped_cold(live: &Live) -> Outcome {
    let runtime = live.builder().exec_path(ExecPath::Cold).build()?;
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    let container = runtime.container(&sandbox.name);
    let (before, tag) = (Leftovers::now(), fresh_tag());
    let script = format!("sleep {tag} & echo begun; exec cat");
    for number in 0..count_of("RT_COLD_COMMANDS", COLD_COMMANDS) {
        let mut command = spawn(&container, &["sh", "-c", &script])?;
        // Some are dropped before they have begun.
        if number % 2 == 0 {
            command.stdout.as_mut().expect("it is piped").read_exact(&mut [0; 6])?;
        }
        drop(command);
        assert!(sleepers(tag).is_empty(), "{:?} run on", sleepers(tag));
    }
    Leftovers::check_against(&before).map_err(Into::into)
}

fn dropped_in_guest(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    let (before, tag) = (Leftovers::now(), fresh_tag());
    let script = format!("(setsid sleep {tag} &); sleep {tag} & echo begun; exec cat");
    // One after another: beside a command that is ended, an orphan of another one is in doubt.
    for number in 0..count_of("RT_KRUN_COMMANDS", KRUN_COMMANDS) {
        let mut command = spawn(&guest.container, &["sh", "-c", &script])?;
        // Some are dropped before they have begun.
        if number % 2 == 0 {
            command.stdout.as_mut().expect("it is piped").read_exact(&mut [0; 6])?;
        }
        if number % 4 == 0 {
            assert_eq!(command.kill().outcome, KillOutcome::Gone);
        }
    }
    assert!(sleepers(tag).is_empty(), "{:?} run on", sleepers(tag));
    guest.runtime.transport().forget(&guest.sandbox.name);
    Leftovers::check_against(&before).map_err(Into::into)
}

fn signal_from_inside(live: &Live) -> Outcome {
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    let cold = || live.builder().exec_path(ExecPath::Cold);
    let real_time = Signal::from_number(40).expect("a signal");
    for (builder, signal) in
        [(cold(), real_time), (cold().kill_strategy(KillStrategy::InContainer), Signal::USR1)]
    {
        let container = builder.build()?.container(&sandbox.name);
        let before = Leftovers::now();
        for user in [None, Some("65534:65534")] {
            let number = signal.number();
            let script = format!("trap 'exit 7' {number}; echo begun; while :; do sleep 0.1; done");
            let request = ExecRequest::builder(["sh", "-c", &script]);
            let request = user.into_iter().fold(request, ExecRequestBuilder::user).build()?;
            let mut command = container.spawn_command(&request, SpawnStdio::new(), LIMIT)?;
            command.stdout.as_mut().expect("it is piped").read_exact(&mut [0; 6])?;
            command.signal(signal)?;
            assert_eq!(command.wait(LIMIT)?.outcome, ExitOutcome::Code(7), "{signal} to {user:?}");
            command.signal(signal)?;
        }
        Leftovers::check_against(&before)?;
    }
    Ok(())
}
