//! exec, captured and bridged.

use std::fs;
use std::time::{Duration, Instant};

use rt_process::procfs;
use rt_protocol::{ErrorKind, ExecStdio, KillOutcome, Sink, Source, Until};

use crate::chaos::command::{Command, CommandResult};
use crate::chaos::store_processes::Role;
use crate::chaos::turn::{NOTES, SLACK, Turn};
use crate::chaos::verdict::{Verdict, right_error};
use crate::ssh_lab::Result;

/// Up to 160 KB: more than a pipe holds.
const BITS: u32 = 14;

pub(super) fn exec(turn: &mut Turn<'_>) -> Result<Verdict> {
    run(turn, false)
}

pub(super) fn exec_stdio(turn: &mut Turn<'_>) -> Result<Verdict> {
    run(turn, true)
}

fn run(turn: &mut Turn<'_>, bridged: bool) -> Result<Verdict> {
    let (sandbox, main) = turn.idle()?;
    let id = turn.id.clone();
    let mut command = Command::random(&mut turn.rng, id, BITS);
    command.copies &= bridged;
    let deadline = match turn.rng.u8(..3) {
        0 => Duration::from_millis(turn.rng.u64(50..2000)),
        _ => Duration::from_secs(30),
    };
    let request = command.request(NOTES)?;
    let begun = Instant::now();
    let what = format!("exec of {command:?} within {deadline:?}");
    let answer = turn.with_faults(&what, deadline + SLACK, || {
        let until = Until::after(deadline);
        if !bridged {
            return sandbox.container.exec(&request, &until).map(CommandResult::captured);
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let source = if command.copies { Source::bytes(command.stdout()) } else { Source::empty() };
        let stdio = ExecStdio::new(source, Sink::borrowed(&mut stdout)).stderr(Sink::borrowed(&mut stderr));
        let result = sandbox.container.exec_stdio(&request, stdio, &until)?;
        Ok(CommandResult::bridged(&result, stdout, stderr))
    });
    let was_late = begun.elapsed() >= deadline;
    let ended = [Role::Command, Role::Main];
    let mut codes = turn.codes(&ended);
    // conmon hands TERM and INT on to the command.
    codes.extend(turn.codes(&[Role::Conmon]).into_iter().filter(|code| [130, 143].contains(code)));
    if turn.has_harmed(&[Role::Main]) {
        // The kernel ends the others with the first.
        codes.push(137);
    }
    let verdict = match answer {
        Ok(ran) => command.judge(&ran, command.notes(turn.notes), &codes),
        Err(error) => {
            let is_gone = error.kill_report().is_some_and(|report| report.outcome == KillOutcome::Gone);
            if is_gone && is_alive(&command) {
                Err(format!("it is said to be gone and is not: {error:?}"))
            } else if error.kind() == ErrorKind::TimedOut && !was_late {
                Err(format!("no deadline has passed: {error:?}"))
            } else {
                if error.never_started() {
                    // One that was on its way after all has had its time.
                    std::thread::sleep(Duration::from_millis(500));
                }
                let notes = command.notes(turn.notes);
                let harmed = turn.has_harmed(&[Role::Main, Role::Conmon]);
                command.judge_error(&error, notes).and_then(|word| right_error(&error, harmed).map(|_| word))
            }
        }
    };
    let verdict = verdict.map_err(|fault| format!("{command:?}: {fault}"));
    Ok(turn.clear(&sandbox, Some(&main)).and(verdict))
}

/// Whether a process of the command runs; podman's own name it too.
fn is_alive(command: &Command) -> bool {
    let all = procfs::snapshot().unwrap_or_default();
    all.iter()
        .filter(|entry| !entry.is_zombie && ["sh", "seq", "cat", "sleep"].contains(&entry.name.as_str()))
        .any(|entry| fs::read(format!("/proc/{}/cmdline", entry.pid)).is_ok_and(|line| command.is_in(&line)))
}
