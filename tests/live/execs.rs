//! exec with captured output.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rt_podman::ExecPath;
use rt_protocol::{
    Container, ContainerRuntime, ContainerRuntimeExt, Error, ErrorKind, ExecRequest, ExitOutcome,
    OutputLimit, PartialOutput, Signal, StreamEnd, Until,
};
use rt_tests::leftovers::Leftovers;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("exec: codes are the command's own with podman's clock a year off", another_year),
    ("exec: codes are the command's own where only a log tells whose clock was set", clock_is_set),
    ("exec: every exit code is the command's own", exit_codes),
    ("exec: podman's words from the command itself are not believed", forged_words),
    ("exec: output is byte-exact, carriage returns and zeros included", bytes),
    ("exec: what podman itself logs is no output of the command", own_log),
    ("exec: environment, workdir and user are those of the request", settings),
    ("exec: stdin is empty", no_stdin),
    ("exec: a flood under a limit takes less than 16 MiB, and the totals are told", flood),
    ("exec: a background child that holds stdout does not hold the call", background_child),
    ("exec: a container that goes away under the command is a lost outcome", lost),
    ("exec: a client that somebody ends is a lost outcome and never a zero", killed_client),
    ("exec: 300 commands leave no descriptor, thread, child or session", hundreds),
];

/// A clock that is set moves what podman has written before; here all that it says is of another
/// year.
fn another_year(live: &Live) -> Outcome {
    const SCRIPT: &str = r#"#!/bin/sh
case "$*" in
*exec*) exec "$RT_REAL_PODMAN" "$@" ;;
*inspect*|*events*) ;;
*) exec "$RT_REAL_PODMAN" "$@" ;;
esac
answer=$("$RT_REAL_PODMAN" "$@")
code=$?
printf '%s' "$answer" | sed -e 's/"20[0-9][0-9]-/"YEAR-/g' -e 's/\("time[Nano]*":\)17/\1EPOCH/g'
exit "$code"
"#;
    let sandbox = Sandbox::idle(live)?;
    let directory = tempfile::tempdir()?;
    for (year, epoch) in [("2019", "15"), ("2031", "19")] {
        let path = directory.path().join(year);
        let script = SCRIPT
            .replace("YEAR", year)
            .replace("EPOCH", epoch)
            .replace("$RT_REAL_PODMAN", &live.podman.display().to_string());
        std::fs::write(&path, script)?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let runtime = live.builder().binary(&path).build()?;
        let container = runtime.container(&sandbox.name);
        let begun = |container: &dyn Container| {
            Ok::<_, Error>(container.inspect(&Until::forever())?.and_then(|info| info.started_at))
        };
        assert_ne!(begun(&*container)?, begun(&*sandbox.container)?);
        for code in [0, 1, 125, 126, 127, 137, 255] {
            let request = ExecRequest::new(["sh", "-c", &format!("exit {code}")])?;
            let result = container.exec(&request, &Until::after(Duration::from_secs(60)))?;
            assert_eq!(result.outcome, ExitOutcome::Code(code), "in {year}");
        }
    }
    Ok(())
}

/// The host does not see podman's records, and the clock is two days off while a command runs:
/// podman's log has its events under another date than the question after them.
fn clock_is_set(live: &Live) -> Outcome {
    const SCRIPT: &str = r#"#!/bin/sh
log=DIRECTORY/events.log
case " $* " in
*" inspect "*)
    answer=$("$podman" "$@")
    code=$?
    printf '%s' "$answer" | sed 's/"StaticDir"/"NoDir"/'
    exit "$code" ;;
*" exec "*)
    before=$(wc -l <"$log")
    "$podman" "$@"
    code=$?
    sed -i "$((before + 1)),\$s/\"Time\":\"[-0-9]*T/\"Time\":\"$(date -u -d 'DAYS days' +%F)T/" "$log"
    exit "$code" ;;
esac
exec "$podman" "$@"
"#;
    let directory = tempfile::tempdir()?;
    let own_conf = crate::events::conf_with_own_log(directory.path(), 1_000_000)?;
    let real = live.builder().env("CONTAINERS_CONF", &own_conf).build()?;
    let sandbox = Sandbox::launch(&real, Sandbox::spec(live).command(["sleep", "777777"]))?;
    for days in ["-2", "2"] {
        let path = directory.path().join(format!("podman{days}"));
        let script = SCRIPT
            .replace("DIRECTORY", &directory.path().display().to_string())
            .replace("DAYS", days)
            .replace("$podman", &live.podman.display().to_string());
        std::fs::write(&path, script)?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let runtime = live.builder().binary(&path).env("CONTAINERS_CONF", &own_conf).build()?;
        let container = runtime.container(&sandbox.name);
        let run = |words: &[&str]| {
            container.exec(&ExecRequest::new(words.iter().copied())?, &Until::after(Duration::from_secs(60)))
        };
        for code in [0, 1, 2, 125, 127] {
            let words = "echo 'Error: executable file not found in $PATH: OCI runtime attempted to invoke a command \
                         that was not found' >&2";
            let result = run(&["sh", "-c", &format!("{words}; exit {code}")])?;
            assert_eq!(result.outcome, ExitOutcome::Code(code), "{days}");
            assert_eq!(
                run(&["sh", "-c", &format!("exit {code}")])?.outcome,
                ExitOutcome::Code(code),
                "{days}"
            );
        }
        assert_eq!(run(&["/no/such"]).unwrap_err().kind(), ErrorKind::CommandNotFound);
    }
    Ok(())
}

fn exit_codes(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    for code in [0, 1, 3, 124, 125, 126, 127, 128, 137, 143, 255] {
        let result = sandbox.sh(&format!("exit {code}"))?;
        assert_eq!(result.outcome, ExitOutcome::Code(code));
    }
    assert_eq!(sandbox.sh("kill -9 $$")?.outcome, ExitOutcome::Code(137));
    assert_eq!(sandbox.sh("kill -15 $$")?.outcome, ExitOutcome::Code(143));
    Ok(())
}

fn forged_words(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    for (code, words) in [
        (125, format!("Error: no container with name or ID \"{}\" found: no such container", sandbox.name)),
        (125, String::from("Error: some tool's own complaint")),
        (126, String::from("Error: crun: open executable: Permission denied: OCI permission denied")),
        (
            127,
            String::from(
                "Error: crun: executable file `x` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found",
            ),
        ),
        (
            255,
            String::from(
                "Error: can only create exec sessions on running containers: container state improper",
            ),
        ),
    ] {
        let request =
            ExecRequest::new(["sh", "-c", "echo \"$1\" >&2; exit $2", "sh", &words, &code.to_string()])?;
        let result = sandbox.container.exec(&request, &Until::after(Duration::from_secs(30)))?;
        assert_eq!(result.outcome, ExitOutcome::Code(code), "{words}");
        assert_eq!(result.stderr.text().trim_end(), words);
    }
    Ok(())
}

fn bytes(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let result = sandbox.sh(r"printf '\000\377\r\n\001'; printf 'e\r\n' >&2")?;
    assert_eq!(result.stdout.as_bytes(), b"\0\xff\r\n\x01");
    assert_eq!(result.stderr.as_bytes(), b"e\r\n");
    let big = sandbox.sh("dd if=/dev/zero bs=1048576 count=20 2>/dev/null")?;
    assert_eq!(big.stdout.total(), 20 << 20);
    assert!(big.stdout.as_bytes().iter().all(|byte| *byte == 0) && !big.stdout.is_truncated());
    Ok(())
}

fn settings(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let request = ExecRequest::builder(["sh", "-c", "echo \"$A|$(pwd)|$(id -u)\""])
        .env("A", "x y\nz")
        .workdir("/workspace")
        .user("dev")
        .build()?;
    let result = sandbox.container.exec(&request, &Until::after(Duration::from_secs(30)))?;
    assert_eq!(result.stdout, "x y\nz|/workspace|1000\n");
    Ok(())
}

fn no_stdin(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let result = sandbox.sh("cat; echo end")?;
    assert_eq!(result.stdout, "end\n");
    Ok(())
}

fn flood(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let request = ExecRequest::builder(["yes"]).output_limit(OutputLimit::bytes(64 << 10)).build()?;
    reset_peak_memory()?;
    let before = peak_memory()?;
    let error = sandbox.container.exec(&request, &Until::after(Duration::from_secs(2))).unwrap_err();
    let peak = peak_memory()?;
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    // What earlier cases of this process have left to the allocator is not this call's.
    assert!(peak - before < 16 << 20, "the peak is {peak} bytes, {before} before");
    let Some(PartialOutput::Output { stdout, .. }) = error.partial() else {
        panic!("no partial output: {error:?}")
    };
    assert!(stdout.total() > 1 << 20, "{} bytes", stdout.total());
    assert_eq!(stdout.as_bytes().len(), 64 << 10);
    assert!(stdout.head().starts_with(b"y\ny\n") && stdout.is_truncated());
    Ok(())
}

/// Begins a new count of the peak (`proc(5)`, `clear_refs`).
fn reset_peak_memory() -> std::io::Result<()> {
    std::fs::write("/proc/self/clear_refs", "5")
}

fn peak_memory() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().map_err(std::io::Error::other)?;
    Ok(kib << 10)
}

fn background_child(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let begun = std::time::Instant::now();
    let result = sandbox.sh("sleep 300 & echo done")?;
    assert_eq!(result.stdout.text(), "done\n");
    assert_eq!((result.stdout.end(), result.stderr.end()), (StreamEnd::LeftOpen, StreamEnd::LeftOpen));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // One that holds stderr alone, one that holds a pipe of its own, one that holds neither. The
    // command ends when the child has let go of the rest, because until then it holds that too.
    for (file, child, redirection, ends) in [
        ("/tmp/1", "exec sleep 300", ">/dev/null", (StreamEnd::Eof, StreamEnd::LeftOpen)),
        ("/tmp/2", "sleep 300 | sleep 300 >/dev/null", ">/dev/null 2>&1", (StreamEnd::Eof, StreamEnd::Eof)),
        ("/tmp/3", "exec sleep 300", ">/dev/null 2>&1", (StreamEnd::Eof, StreamEnd::Eof)),
    ] {
        let has_let_go = format!("until [ -e {file} ]; do sleep 0.01; done");
        let script = &format!("(:>{file}; {child}) {redirection} & {has_let_go}; echo done");
        let result = sandbox.sh(script)?;
        assert_eq!((result.stdout.end(), result.stderr.end()), ends, "{script}");
    }
    Ok(())
}

fn lost(live: &Live) -> Outcome {
    // Whether it has said something or not.
    for (end, script) in
        [("remove", "echo began; sleep 300"), ("remove", "sleep 300"), ("stop", "sleep 300; true")]
    {
        let sandbox = Sandbox::idle(live)?;
        let outcome = std::thread::scope(|scope| {
            let call = scope.spawn(|| sandbox.sh(script));
            wait_for(|| sandbox.count_processes("sleep 300").is_ok_and(|count| count >= 1));
            if end == "remove" {
                sandbox.remove();
            } else {
                sandbox.container.stop(Duration::ZERO, &Until::after(Duration::from_secs(60)))?;
            }
            call.join().expect("no panic")
        })?
        .outcome;
        assert_eq!(outcome, ExitOutcome::Lost, "{end} during {script}");
    }
    Ok(())
}

fn killed_client(live: &Live) -> Outcome {
    use rt_process::procfs;

    // TERM makes podman 4.3 exit with 0, as if all were well.
    for signal in [Signal::KILL, Signal::TERM] {
        let sandbox = Sandbox::idle(live)?;
        let outcome = std::thread::scope(|scope| {
            let call = scope.spawn(|| sandbox.sh("exec sleep 301"));
            wait_for(|| sandbox.count_processes("sleep 301").is_ok_and(|count| count == 1));
            // The client is the child of this process that carries the command in its own argv.
            let own = std::process::id();
            let client = procfs::snapshot()?
                .into_iter()
                .find(|entry| {
                    entry.parent == own
                        && std::fs::read(format!("/proc/{}/cmdline", entry.pid))
                            .is_ok_and(|words| String::from_utf8_lossy(&words).contains("exec sleep 301"))
                })
                .expect("a client");
            procfs::signal(&client, signal)?;
            Ok::<_, crate::case::Problem>(call.join().expect("no panic")?)
        })?
        .outcome;
        assert_eq!(outcome, ExitOutcome::Lost, "{signal:?}");
        // Nobody will hear of that command any more, so it was ended too.
        wait_for(|| sandbox.count_processes("sleep 301").is_ok_and(|count| count == 0));
    }
    Ok(())
}

/// Waits for what must come, at most ten seconds.
fn wait_for(mut there: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn hundreds(live: &Live) -> Outcome {
    const COMMANDS: usize = 300;
    const THREADS: usize = 6;
    let sandbox = Sandbox::idle(live)?;
    sandbox.sh("true")?.exit_ok()?;
    let sessions = exec_sessions(live, &sandbox)?;
    let before = Leftovers::now();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::SeqCst) < COMMANDS {
                    let result = live
                        .runtime
                        .exec_in(sandbox.name.as_str(), ["echo", "x"], Until::forever())
                        .expect("an exec");
                    assert!(result.success() && result.stdout == "x\n", "{result:?}");
                }
            });
        }
    });
    Leftovers::check_against(&before)?;
    assert_eq!(exec_sessions(live, &sandbox)?, sessions);
    Ok(())
}

/// How many exec sessions podman keeps for the container.
fn exec_sessions(live: &Live, sandbox: &Sandbox<'_>) -> Result<usize, crate::case::Problem> {
    let podman = rt_process::Program::find(&live.podman)?;
    let spec = rt_process::ProcessSpec::new(&podman).args([
        "container",
        "inspect",
        "--format={{len .ExecIDs}}",
        "--",
        sandbox.name.as_str(),
    ]);
    let limit = OutputLimit::UNLIMITED;
    let until = Until::after(Duration::from_secs(30));
    let answer = rt_process::capture(&spec, rt_protocol::Source::empty(), limit, limit, &until)?;
    Ok(answer.stdout_capture.text().trim().parse()?)
}

/// A podman that logs on stderr, as 5.x does on cgroups v1, and rootless ones without a session.
fn own_log(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let runtime = live.builder().exec_path(ExecPath::Cold).global_arg("--log-level=info").build()?;
    let container = runtime.container(&sandbox.name);
    let request = ExecRequest::new(["sh", "-c", "echo out; echo err >&2; exit 4"])?;
    let result = container.exec(&request, &Until::after(Duration::from_secs(60)))?;
    assert_eq!((&result.outcome, result.stderr.text()), (&ExitOutcome::Code(4), "err\n".into()));
    assert_eq!(result.stdout.text(), "out\n");
    Ok(())
}
