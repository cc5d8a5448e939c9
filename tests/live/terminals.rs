//! Terminals of commands, many and under load: that nothing stays of them, in containers and in
//! guests.

use std::fs;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_podman::ExecPath;
use rt_protocol::{
    Container, ContainerExt, ContainerRuntime, ExecRequest, ExitOutcome, KILL_GRACE, KillOutcome, Result,
    RunningCommand, SpawnStdio, TerminalSize,
};
use rt_tests::krun::LoopbackGuest;
use rt_tests::leftovers::Leftovers;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rt_tests::ssh_lab::loopback::{Loopback, Settings};

use crate::case::{Case, Outcome, Problem};
use crate::sleepers::{fresh_tag, sleepers};
use crate::warm_container::{WarmContainer, minute};

pub(crate) const CASES: &[Case] = &[
    ("terminals: by an agent, those that are dropped leave nothing", dropped_warm),
    ("terminals: by podman, those that are dropped leave nothing", dropped_cold),
    ("terminals: by an agent, a flood ends with its command", flood_warm),
    ("terminals: by podman, a flood ends with its command", flood_cold),
    ("terminals: by an agent, of many sizes the last one counts", sizes_warm),
    ("terminals: by podman, of many sizes the last one counts", sizes_cold),
];

pub(crate) const KRUN_CASES: &[Case] = &[
    ("terminals: in a guest, those that are dropped leave nothing", dropped_in_guest),
    ("terminals: in a guest, a flood ends with its command", flood_in_guest),
    ("terminals: in a guest, of many sizes the last one counts", sizes_in_guest),
];

/// How many are dropped; podman's own take some 300 ms each.
const TERMINALS: usize = 50;
const COLD_TERMINALS: usize = 12;

/// How many floods are ended.
const FLOODS: usize = 6;

const SIZES: u16 = 300;

type Checked<T> = std::result::Result<T, Problem>;

fn spawn(container: &Arc<dyn Container>, script: &str) -> Result<RunningCommand> {
    let request = ExecRequest::builder(["sh", "-c", script]).terminal(TerminalSize::default()).build()?;
    container.spawn_command(&request, SpawnStdio::new().piped_stdin(), minute())
}

fn expect(command: &mut RunningCommand, text: &str) -> Outcome {
    let mut got = vec![0; text.len()];
    command.stdout.as_mut().ok_or("its stdout was taken")?.read_exact(&mut got)?;
    assert_eq!(String::from_utf8_lossy(&got), text);
    Ok(())
}

/// Opens and drops terminals, half of them before their command has begun. `count` counts the
/// terminals where commands run.
fn check_dropped(
    container: &Arc<dyn Container>,
    terminals: usize,
    count: &dyn Fn() -> Checked<usize>,
) -> Outcome {
    let (before, before_terminals, tag) = (Leftovers::now(), count()?, fresh_tag());
    let script = format!("(setsid sleep {tag} &); sleep {tag} & echo begun; exec cat");
    for number in 0..terminals {
        let mut command = spawn(container, &script)?;
        if number % 2 == 0 {
            expect(&mut command, "begun\r\n")?;
        }
        if number % 10 == 0 {
            assert_eq!(command.kill().outcome, KillOutcome::Gone);
        }
    }
    // All at once, too.
    let commands = (0..8).map(|_| spawn(container, &script)).collect::<Result<Vec<_>>>()?;
    drop(commands);
    assert!(sleepers(tag).is_empty(), "{:?} run on", sleepers(tag));
    // A server closes one a moment after its channel.
    let begun = Instant::now();
    while count()? != before_terminals {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} terminals are left", count()?);
        std::thread::sleep(Duration::from_millis(20));
    }
    Leftovers::check_against(&before).map_err(Into::into)
}

fn check_flood(container: &Arc<dyn Container>) -> Outcome {
    let (before, tag) = (Leftovers::now(), fresh_tag());
    for number in 0..FLOODS {
        let mut command =
            spawn(container, &format!("sleep {tag} & exec yes 0123456789012345678901234567890"))?;
        // Ended while it waits for a reader, while it is read, and before it has begun.
        if number % 3 > 0 {
            expect(&mut command, "0123456789")?;
        }
        if number % 3 > 1 {
            let mut bytes = vec![0; 100_000];
            command.stdout.as_mut().ok_or("its stdout was taken")?.read_exact(&mut bytes)?;
        }
        let begun = Instant::now();
        let report = command.kill();
        let is_whole = matches!(report.outcome, KillOutcome::Gone | KillOutcome::NeverStarted);
        assert!(is_whole && (number % 3 == 0 || report.outcome == KillOutcome::Gone), "{report}");
        // Neither of them ignores TERM.
        assert!(begun.elapsed() < KILL_GRACE + Duration::from_secs(15), "{:?}", begun.elapsed());
    }
    assert!(sleepers(tag).is_empty(), "{:?} run on", sleepers(tag));
    Leftovers::check_against(&before).map_err(Into::into)
}

/// While it writes, and while something is typed.
fn check_sizes(container: &Arc<dyn Container>) -> Outcome {
    // podman's terminals get their first size a moment after the command has begun, and BusyBox
    // says that there is none.
    let script = "stty raw -echo; printf ready; (while printf .; do :; done) & \
                  until [ \"$(stty size 2>/dev/null)\" = '7 77' ]; do sleep 0.05; done; kill $!; exit 5";
    let mut command = spawn(container, script)?;
    expect(&mut command, "ready")?;
    let mut stdout = command.stdout.take().ok_or("its stdout was taken")?;
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes)
    });
    for number in 0..SIZES {
        command.resize(TerminalSize::new(10 + number % 7, 100 + number)?)?;
        if number % 50 == 0 {
            command.stdin.as_mut().ok_or("its stdin was taken")?.write_all(b"typed")?;
        }
    }
    command.resize(TerminalSize::new(7, 77)?)?;
    assert_eq!(command.wait(minute())?.outcome, ExitOutcome::Code(5));
    let bytes = reader.join().expect("no panic")?;
    assert!(bytes.iter().all(|byte| *byte == b'.'), "{:?}", String::from_utf8_lossy(&bytes));
    Ok(())
}

/// Counts the terminals of a container.
fn in_container(container: &Arc<dyn Container>) -> Checked<usize> {
    let listing = container.exec(&ExecRequest::new(["ls", "/dev/pts"])?, &minute())?;
    Ok(listing.exit_ok()?.stdout.text().lines().filter(|name| *name != "ptmx").count())
}

/// Counts the descriptors of terminals that the processes of a guest have.
fn in_guest(guest: &Loopback) -> usize {
    let descriptors = guest.processes().into_iter().flat_map(|process| {
        let listed = fs::read_dir(format!("/proc/{}/fd", process.pid)).into_iter().flatten();
        listed.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
    });
    descriptors.filter(|path| path.starts_with("/dev/pts") || path.ends_with("ptmx")).count()
}

fn cold(live: &Live) -> Checked<(Sandbox<'_>, Arc<dyn Container>)> {
    let runtime = live.builder().exec_path(ExecPath::Cold).build()?;
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    let container = runtime.container(&sandbox.name);
    Ok((sandbox, container))
}

fn dropped_warm(live: &Live) -> Outcome {
    let warm = WarmContainer::idle(live)?;
    assert!(warm.sh("true")?.success());
    check_dropped(&warm.container, TERMINALS, &|| in_container(&warm.container))?;
    warm.assert_leaves_nothing()
}

fn dropped_cold(live: &Live) -> Outcome {
    let (_sandbox, container) = cold(live)?;
    check_dropped(&container, COLD_TERMINALS, &|| in_container(&container))
}

fn dropped_in_guest(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    container_is_known(&guest)?;
    check_dropped(&guest.container, TERMINALS, &|| {
        // Connections that are kept are no leftovers here.
        guest.runtime.transport().forget(&guest.sandbox.name);
        Ok(in_guest(&guest.sshd))
    })
}

/// Its variables have been asked for.
fn container_is_known(guest: &LoopbackGuest<'_>) -> Outcome {
    guest.container.exec(&ExecRequest::new(["true"])?, &minute())?.exit_ok()?;
    guest.disconnect()
}

fn flood_warm(live: &Live) -> Outcome {
    let warm = WarmContainer::idle(live)?;
    assert!(warm.sh("true")?.success());
    check_flood(&warm.container)?;
    warm.assert_leaves_nothing()
}

fn flood_cold(live: &Live) -> Outcome {
    check_flood(&cold(live)?.1)
}

fn flood_in_guest(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    guest.container.exec(&ExecRequest::new(["true"])?, &minute())?.exit_ok()?;
    check_flood(&guest.container)
}

fn sizes_warm(live: &Live) -> Outcome {
    let warm = WarmContainer::idle(live)?;
    check_sizes(&warm.container)?;
    warm.assert_leaves_nothing()
}

fn sizes_cold(live: &Live) -> Outcome {
    check_sizes(&cold(live)?.1)
}

fn sizes_in_guest(live: &Live) -> Outcome {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    check_sizes(&guest.container)
}
