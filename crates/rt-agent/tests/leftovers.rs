//! Ten thousand commands by one agent, some of them ended as trees, leave nothing behind on either
//! side.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what a test has not got is its failure")]

/// How the agent is reached: see `fixture`.
const IS_MULTIPLEXED: bool = false;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rt_protocol::{ErrorKind, KillOutcome, Until};

use fixture::{LONG, LocalAgent, shell, wait_for};

#[allow(dead_code, reason = "the other tests need more of it")]
#[path = "local/fixture.rs"]
mod fixture;

const COMMANDS: usize = 10_000;

#[test]
fn ten_thousand_commands_leave_nothing() {
    let local = LocalAgent::start();
    let pid = local.process.pid();
    let count = |what: &str| fs::read_dir(format!("/proc/{what}")).unwrap().count();
    // What each side keeps once it has done everything once.
    run_some(&local, 400);
    wait_for(|| local.children().is_empty());
    let before = [count("self/fd"), count("self/task"), count(&format!("{pid}/fd"))];
    let memory = [resident(std::process::id()), resident(pid)];

    let ended = run_some(&local, COMMANDS);
    assert!(ended >= COMMANDS / 25, "{ended}");
    wait_for(|| local.children().is_empty());
    assert_eq!([count("self/fd"), count("self/task"), count(&format!("{pid}/fd"))], before);
    assert_eq!(resident(pid), memory[1], "KiB of the agent");
    // The allocator keeps some memory for threads; 10,000 commands at 1 KiB each would be more.
    assert!(resident(std::process::id()) < memory[0] + 5_000, "{memory:?} {}", resident(std::process::id()));
}

/// Runs this many from eight threads; each twentieth is a tree that is ended. Returns how many
/// were.
fn run_some(local: &LocalAgent, commands: usize) -> usize {
    let ended = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let ended = &ended;
            scope.spawn(move || {
                for number in 0..commands / 8 {
                    if (number + thread) % 20 > 0 {
                        assert_eq!(local.sh("echo $$; exit 3").outcome.code(), Some(3));
                        continue;
                    }
                    let tree = shell("(setsid sleep 300 &); env -i setsid sleep 300 & sleep 300 & wait");
                    let error = local.exec(&tree, &Until::after(Duration::from_millis(5))).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                    let outcome = &error.kill_report().unwrap().outcome;
                    assert!(matches!(outcome, KillOutcome::Gone | KillOutcome::NeverStarted), "{error}");
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(local.exec(&shell("exit 0"), &Until::after(LONG)).unwrap().success());
    ended.into_inner()
}

/// The anonymous memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
