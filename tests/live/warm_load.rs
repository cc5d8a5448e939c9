//! Many commands by agents at the same time: each gets its own answer, and nothing stays of them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rt_podman::{ExecPath, PodmanRuntime};
use rt_process::procfs;
use rt_protocol::{
    Container, ContainerRuntime, Error, ErrorKind, ExecRequest, ExecStdio, ExitOutcome, KillOutcome, Result,
    Sink, Source, Until,
};
use rt_tests::leftovers::Leftovers;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};
use crate::sleepers::{fresh_tag, sleepers};
use crate::warm_container::{WarmContainer, minute, wait_until};

pub(crate) const CASES: &[Case] = &[
    ("warm load: thousands of commands from 64 threads leave nothing", thousands),
    ("warm load: the first commands of 20 containers at once are answered", first_commands),
];

/// What needs control groups.
pub(crate) const LIMITED_CASES: &[Case] =
    &[("warm load: a container that runs out of memory or processes says so", limited)];

const THREADS: usize = 64;

/// How many commands one run has; `RT_WARM_COMMANDS` sets another number, such as 10,000.
const COMMANDS: usize = 2000;

/// The most that this process may have grown after the second half of the commands, in bytes.
const MOST_GROWTH: usize = 4 << 20;

fn memory(pid: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches("kB").trim().parse::<usize>().expect("a number") << 10
}

fn thousands(live: &Live) -> Outcome {
    let count = std::env::var("RT_WARM_COMMANDS").map_or(COMMANDS, |count| count.parse().expect("a number"));
    let warm = WarmContainer::idle(live)?;
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(BTreeMap::new());
    let run = |until: usize| {
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= until {
                            break;
                        }
                        let said = match number % 20 {
                            0 => ended(&*warm.container, number),
                            1..=4 => echoed(&*warm.container, number),
                            _ => captured(&*warm.container, number),
                        };
                        *counts.lock().expect("no panic").entry(said).or_insert(0) += 1;
                    }
                });
            }
        });
        next.store(until, Ordering::Relaxed);
    };
    assert!(warm.sh("true")?.success());
    let (before, agent) = (Leftovers::now(), warm.agent());
    let begun = Instant::now();
    run(count / 2);
    Leftovers::check_against(&before)?;
    let memory_before = (memory("self"), memory(&agent.to_string()));
    run(count);
    let counts = counts.into_inner().expect("no panic");
    println!("    {count} commands in {:?}: {counts:?}", begun.elapsed());
    Leftovers::check_against(&before)?;
    assert_eq!(warm.agent(), agent);
    let memory_after = (memory("self"), memory(&agent.to_string()));
    println!("    memory of this process and the agent: {memory_before:?}, then {memory_after:?}");
    assert!(memory_after.0 < memory_before.0 + MOST_GROWTH);
    assert!(memory_after.1 <= memory_before.1);
    let of_agent = || procfs::snapshot().expect("/proc").iter().filter(|entry| entry.parent == agent).count();
    wait_until("the agent has no child, nor a zombie", || of_agent() == 0);
    assert_eq!(counts.values().sum::<usize>(), count);
    assert_eq!(counts.get("exact"), Some(&(count - count.div_ceil(20))), "{counts:?}");
    warm.assert_leaves_nothing()
}

/// A command with a code and outputs of its own.
fn captured(container: &dyn Container, number: usize) -> &'static str {
    let code = i32::try_from(number % 256).expect("a small number");
    let script = format!("echo {number}; echo error {number} >&2; exit {code}");
    let request = ExecRequest::new(["sh", "-c", &script]).expect("a request");
    let result = container.exec(&request, &minute()).expect("a result");
    assert_eq!(result.outcome, ExitOutcome::Code(code));
    assert_eq!(result.stdout.text(), format!("{number}\n"));
    assert_eq!(result.stderr.text(), format!("error {number}\n"));
    "exact"
}

/// A command that gives its input back.
fn echoed(container: &dyn Container, number: usize) -> &'static str {
    let input = format!("{number} ").repeat(1000 + number % 20_000).into_bytes();
    let mut output = Vec::new();
    let request = ExecRequest::new(["cat"]).expect("a request");
    let stdio = ExecStdio::new(Source::bytes(input.clone()), Sink::borrowed(&mut output));
    let result = container.exec_stdio(&request, stdio, &minute()).expect("a result");
    assert_eq!(result.outcome, ExitOutcome::Code(0));
    assert!(output == input, "{} of {} bytes came back", output.len(), input.len());
    "exact"
}

/// A command whose deadline comes before its end; its processes shed all signs of it.
fn ended(container: &dyn Container, number: usize) -> &'static str {
    let tag = fresh_tag();
    let script = format!("(setsid env -i sleep {tag} &); (sleep {tag} &); exec sleep {tag}");
    let request = ExecRequest::new(["sh", "-c", &script]).expect("a request");
    let until = Until::after(Duration::from_millis(20 + (number as u64 * 7) % 200));
    let error = container.exec(&request, &until).expect_err("it sleeps on");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let report = error.kill_report().expect("a report");
    assert!(sleepers(tag).is_empty(), "{:?} run on: {report:?}", sleepers(tag));
    match &report.outcome {
        KillOutcome::Gone => "gone",
        KillOutcome::NeverStarted => "never started",
        other => panic!("{other:?}"),
    }
}

/// In turns with `podman exec`, which does nothing else than the start of an agent.
fn first_commands(live: &Live) -> Outcome {
    const CONTAINERS: usize = 20;
    let spec = || Sandbox::spec(live).command(["sleep", "777777"]);
    let launched: Result<Vec<_>> = (0..CONTAINERS).map(|_| Sandbox::launch(&live.runtime, spec())).collect();
    let sandboxes = launched?;
    let all_at_once = |runtime: &PodmanRuntime| {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let calls: Vec<_> = sandboxes
                .iter()
                .enumerate()
                .map(|(number, sandbox)| {
                    scope.spawn(move || {
                        let request = ExecRequest::new(["sh", "-c", &format!("echo {number}; exit 7")])?;
                        runtime.container(&sandbox.name).exec(&request, &minute())
                    })
                })
                .collect();
            for (number, call) in calls.into_iter().enumerate() {
                let result = call.join().expect("no panic").expect("a result");
                assert_eq!(result.outcome, ExitOutcome::Code(7));
                assert_eq!(result.stdout.text(), format!("{number}\n"));
            }
        });
        begun.elapsed()
    };
    let cold = live.builder().exec_path(ExecPath::Cold).build()?;
    for _ in 0..2 {
        let warm = live.builder().exec_path(ExecPath::Auto).build()?;
        let (cold, first, next) = (all_at_once(&cold), all_at_once(&warm), all_at_once(&warm));
        println!("    cold {cold:?}, first warm {first:?}, next {next:?}");
        // Both are one client each; other work of the machine is in neither.
        assert!(first < 2 * cold, "{first:?}, and cold {cold:?}");
        assert!(next < cold / 3, "{next:?}, and cold {cold:?}");
        warm.cool_down(&minute())?;
    }
    Ok(())
}

/// The kernel ends a command that takes too much; the agent and its other commands stay.
fn limited(live: &Live) -> Outcome {
    let arguments = ["--memory=24m", "--memory-swap=24m", "--pids-limit=24"];
    let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args(arguments);
    let warm = WarmContainer::launch(live, spec)?;
    assert!(warm.sh("true")?.success());
    let agent = warm.agent();
    warm.with_sleeper(None, || {
        for _ in 0..3 {
            // It keeps one line of endless zeros.
            let result = warm.sh("exec tail /dev/zero")?;
            assert_eq!(result.outcome, ExitOutcome::Signal(String::from("KILL")), "{result:?}");
        }
        assert_eq!(warm.sh("echo next")?.stdout.text(), "next\n");
        Ok(())
    })?;
    // A command takes two processes, and twenty-four there may be.
    let answers: Vec<_> = std::thread::scope(|scope| {
        let calls = [(); 24].map(|()| scope.spawn(|| warm.sh("sleep 1; echo end; exit 7")));
        calls.map(|call| call.join().expect("no panic")).into()
    });
    let (came, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    println!("    {} came to their end, {} were refused", came.len(), refused.len());
    for result in came.into_iter().flatten() {
        // A shell that cannot fork says so itself.
        let has_forked = !result.stderr.text().contains("fork");
        let expected = if has_forked { ExitOutcome::Code(7) } else { result.outcome.clone() };
        assert_eq!(result.outcome, expected, "{result:?}");
    }
    let said = |error: &Error| format!("{:?}: {error}", error.kind());
    for error in refused.into_iter().filter_map(Result::err) {
        assert!(error.to_string().contains("no room for another process"), "{}", said(&error));
    }
    assert_eq!(warm.sh("echo next")?.stdout.text(), "next\n");
    assert_eq!(warm.agent(), agent);
    warm.assert_leaves_nothing()
}
