//! Followers of a log: every line, in order, or an error that says otherwise.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rt_process::procfs;
use rt_protocol::{ErrorKind, LogOptions, OutputStream, Pull, Readiness, Signal, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome, Problem};
use crate::logs::{ended, lines, until};

pub(crate) const CASES: &[Case] = &[
    ("logs: a follower of a container that has ended gets every line", follow_ended),
    ("logs: a slow follower of a container that ends gets every line", follow_slowly),
    ("logs: a follower's tail, since and outputs are those of a reading without follow", follow_options),
    ("logs: a log that is rotated under its follower is whole, or says that it may not be", follow_rotated),
    ("logs: where podman's own follower is what there is, nothing is lost in silence", follow_by_podman),
    ("logs: a podman that is made to leave in the middle of a log loses nothing in silence", made_to_leave),
    ("logs: a follower whose conmon was killed gets what was logged, and an error", follow_without_conmon),
];

/// 60,000 lines on stdout, and some on stderr.
const MANY: &str = "seq 1 60000; for i in 1 2 3; do echo e$i >&2; done";

fn numbers(lines: &[rt_protocol::LogLine]) -> Vec<u32> {
    let lines = lines.iter().filter(|line| line.stream == OutputStream::Stdout);
    lines.map(|line| line.text().parse().unwrap()).collect()
}

fn follow_ended(live: &Live) -> Outcome {
    let sandbox = ended(live, MANY)?;
    let found = lines(&sandbox, &LogOptions::new().follow())?;
    assert!(numbers(&found).into_iter().eq(1..=60_000), "{} lines", found.len());
    assert_eq!(found.len(), 60_003);
    let sign = |line: &str| line == "60000";
    let readiness = sandbox.container.stream_initial_logs(&mut { sign }, &mut std::io::sink(), &until())?;
    assert_eq!(readiness, Readiness::Ready("60000".into()));
    Ok(())
}

fn follow_slowly(live: &Live) -> Outcome {
    let script = format!("echo 0; while [ ! -e /tmp/go ]; do sleep 0.1; done; {MANY}");
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", &script]))?;
    let mut log = sandbox.container.logs(&LogOptions::new().follow(), &Until::forever())?;
    let Pull::Item(first) = log.pull(&until())? else { panic!("no line") };
    assert_eq!(first.text(), "0");
    let _ = sandbox.sh("touch /tmp/go")?;
    let mut found = Vec::new();
    while let Pull::Item(line) = log.pull(&until())? {
        if found.len() % 20_000 == 100 {
            std::thread::sleep(Duration::from_millis(700));
        }
        found.push(line);
    }
    assert!(numbers(&found).into_iter().eq(1..=60_000), "{} lines", found.len());
    assert_eq!(found.len(), 60_003);
    Ok(())
}

fn follow_options(live: &Live) -> Outcome {
    let script = "echo a; echo b >&2; head -c 20000 /dev/zero | tr '\\0' z; echo; echo c; sleep 0.2; echo d >&2; \
        echo e; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo f; printf g";
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", script]))?;
    let written = || lines(&sandbox, &LogOptions::new().timestamps());
    let all = loop {
        let all = written()?;
        if all.len() == 6 {
            break all;
        }
    };
    let of = |stream| all.iter().filter(move |line| line.stream == stream).cloned().collect::<Vec<_>>();
    let (out, err) = (of(OutputStream::Stdout), of(OutputStream::Stderr));
    let cases = [
        LogOptions::new(),
        LogOptions::new().tail(0),
        LogOptions::new().tail(1),
        LogOptions::new().tail(2),
        LogOptions::new().tail(3),
        LogOptions::new().tail(100),
        LogOptions::new().since(out[2].timestamp.unwrap()),
        LogOptions::new().since(err[0].timestamp.unwrap()).tail(2),
        LogOptions::new().only(OutputStream::Stderr).tail(3),
        LogOptions::new().max_line_bytes(7),
    ];
    let texts = |lines: Vec<rt_protocol::LogLine>, stream| {
        let lines = lines.into_iter().filter(|line| line.stream == stream);
        lines.map(|line| (line.bytes, line.omitted, line.timestamp)).collect::<Vec<_>>()
    };
    let directory = tempfile::tempdir()?;
    let by_podman =
        rt_protocol::ContainerRuntime::container(&without_files(live, &directory)?, &sandbox.name);
    let mut followers = Vec::new();
    for options in &cases {
        for options in [options.clone(), options.clone().timestamps()] {
            let mut log = sandbox.container.logs(&options.clone().follow(), &Until::forever())?;
            let mut found = Vec::new();
            while let Pull::Item(line) = log.pull(&Until::after(Duration::from_millis(100)))? {
                found.push(line);
            }
            // A tail with pieces of a line is podman 4.3's own.
            let mut same = options.clone();
            same.tail = options.tail.filter(|count| *count < 100);
            let plain = lines(&sandbox, &options)?;
            for stream in [OutputStream::Stdout, OutputStream::Stderr] {
                assert_eq!(texts(found.clone(), stream), texts(plain.clone(), stream), "{options:?}");
            }
            let mut reader = by_podman.logs(&same, &Until::forever())?;
            let mut plain = Vec::new();
            while let Pull::Item(line) = reader.pull(&until())? {
                plain.push(line);
            }
            for stream in [OutputStream::Stdout, OutputStream::Stderr] {
                assert_eq!(texts(found.clone(), stream), texts(plain.clone(), stream), "{options:?}");
            }
            followers.push((options, log));
        }
    }
    let _ = sandbox.sh("touch /tmp/go")?;
    for (options, mut log) in followers {
        let expected: &[&str] = if options.wants(OutputStream::Stdout) { &["f", "g"] } else { &[] };
        for text in expected {
            let Pull::Item(item) = log.pull(&until())? else { panic!("no line of {options:?}") };
            assert_eq!((item.text().as_ref(), item.timestamp.is_some()), (*text, options.timestamps));
        }
        assert_eq!(log.pull(&until())?, Pull::End, "{options:?}");
    }
    Ok(())
}

fn follow_rotated(live: &Live) -> Outcome {
    // With its reader, never more than half a file ahead; at once, faster than anybody opens files;
    // and one that nobody reads meanwhile.
    let part = "seq $((i * 20 + 1)) $((i * 20 + 20)); i=$((i + 1))";
    let together = format!(
        "i=0; while [ $i -lt 300 ]; do while [ $i -ge 2 ] && [ ! -e /pace/$((i - 2)) ]; do sleep 0.01; done; \
         {part}; done"
    );
    let slowly = format!("i=0; while [ $i -lt 300 ]; do sleep 0.01; {part}; done");
    for (script, is_read, is_whole) in
        [(together.as_str(), true, true), ("seq 1 6000", true, false), (slowly.as_str(), false, false)]
    {
        let pace = tempfile::tempdir()?;
        let volume = format!("--volume={}:/pace", pace.path().display());
        let script = format!("echo 0; while [ ! -e /tmp/go ]; do sleep 0.1; done; {script}");
        let spec = Sandbox::spec(live)
            .extra_args([&volume, "--log-opt", "max-size=4kb"])
            .command(["sh", "-c", &script]);
        let sandbox = Sandbox::launch(&live.runtime, spec)?;
        let mut log = sandbox.container.logs(&LogOptions::new().follow(), &Until::forever())?;
        let Pull::Item(first) = log.pull(&until())? else { panic!("no line") };
        assert_eq!(first.text(), "0");
        let _ = sandbox.sh("touch /tmp/go")?;
        if !is_read {
            let _ = sandbox.container.wait(&until())?;
        }
        let mut found = Vec::new();
        let end = loop {
            match log.pull(&until()) {
                Ok(Pull::Item(item)) => {
                    found.push(item);
                    if found.len() % 20 == 0 {
                        std::fs::write(pace.path().join((found.len() / 20 - 1).to_string()), "")?;
                    }
                }
                other => break other,
            }
        };
        let numbers = numbers(&found);
        assert!(numbers.is_sorted_by(|one, other| one < other), "a line came twice, or too late");
        assert_eq!(numbers.last(), Some(&6000));
        match end {
            Ok(end) => assert_eq!((end, numbers.len()), (Pull::End, 6000)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Incomplete, "{error}"),
        }
        assert!(!is_whole || numbers.len() == 6000, "{} lines", numbers.len());
        assert_eq!(log.pull(&until())?, Pull::End);
    }
    Ok(())
}

/// podman by a script that shows its answers without where logs are.
pub(crate) fn without_files(
    live: &Live,
    directory: &tempfile::TempDir,
) -> Result<rt_podman::PodmanRuntime, Problem> {
    let wrapper = directory.path().join("podman");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'container inspect'*) '{0}' \"$@\" | sed s/k8s-file/elsewhere/ ;; *) exec '{0}' \"$@\" ;; esac\n",
        live.podman.display()
    );
    std::fs::write(&wrapper, script)?;
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755))?;
    Ok(live.builder().binary(&wrapper).build()?)
}

fn follow_by_podman(live: &Live) -> Outcome {
    let directory = tempfile::tempdir()?;
    let runtime = without_files(live, &directory)?;
    let begin = "echo 0; while [ ! -e /tmp/go ]; do sleep 0.1; done";
    for options in [LogOptions::new(), LogOptions::new().tail(10), LogOptions::new().timestamps()] {
        let script = format!("{begin}; {MANY}");
        let sandbox = Sandbox::launch(&runtime, Sandbox::spec(live).command(["sh", "-c", &script]))?;
        let mut log = sandbox.container.logs(&options.clone().follow(), &Until::forever())?;
        let Pull::Item(_) = log.pull(&until())? else { panic!("no line") };
        let _ = sandbox.sh("touch /tmp/go")?;
        let _ = sandbox.container.wait(&until())?;
        std::thread::sleep(Duration::from_secs(1));
        let mut found = Vec::new();
        let end = loop {
            match log.pull(&until()) {
                Ok(Pull::Item(item)) => found.push(item),
                other => break other,
            }
        };
        match end {
            Ok(_) => assert!(numbers(&found).into_iter().eq(1..=60_000), "{} lines", found.len()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Incomplete, "{error}"),
        }
    }
    Ok(())
}

/// Ends the podman that reads, as a service manager does.
fn make_readers_leave() -> Outcome {
    let own = std::process::id();
    for entry in procfs::snapshot()? {
        if entry.parent == own && entry.name.starts_with("podman") {
            procfs::signal(&entry, Signal::TERM)?;
        }
    }
    Ok(())
}

fn made_to_leave(live: &Live) -> Outcome {
    let directory = tempfile::tempdir()?;
    let runtime = without_files(live, &directory)?;
    for follows in [true, false] {
        for ends in [true, false] {
            let script = format!("seq 1 60000; {}", if ends { "true" } else { "exec sleep 1000" });
            let sandbox = Sandbox::launch(&runtime, Sandbox::spec(live).command(["sh", "-c", &script]))?;
            while lines(&sandbox, &LogOptions::new())?.len() < 60_000 {}
            let options = if follows { LogOptions::new().follow() } else { LogOptions::new() };
            let mut log = sandbox.container.logs(&options, &until())?;
            let mut found = Vec::new();
            let end = loop {
                match log.pull(&until()) {
                    Ok(Pull::Item(item)) => found.push(item),
                    other => break other,
                }
                if found.len() == 100 {
                    make_readers_leave()?;
                }
            };
            let numbers = numbers(&found);
            let is_prefix = numbers.iter().copied().eq(1..=u32::try_from(numbers.len())?);
            assert!(is_prefix, "a line is missing, or came twice");
            match end {
                Ok(Pull::End) => {
                    assert!(numbers.len() == 60_000 && (ends || !follows), "{} lines", numbers.len());
                }
                Ok(other) => panic!("{other:?} after {} lines", numbers.len()),
                // It is the follower's end that may be missing, and 5.4 says so by its exit code.
                Err(error) => assert!(
                    matches!(error.kind(), ErrorKind::BackendInterrupted | ErrorKind::BackendFailed),
                    "{error}"
                ),
            }
        }
    }
    Ok(())
}

/// The container runs on, and nothing of it is logged any more. podman 6 reports on stderr that it
/// cannot wait for such a container.
fn follow_without_conmon(live: &Live) -> Outcome {
    let directory = tempfile::tempdir()?;
    let by_podman = without_files(live, &directory)?;
    for (runtime, is_at_once) in [(&live.runtime, true), (&live.runtime, false), (&by_podman, false)] {
        let script = "seq 1 2000; echo e >&2; exec sleep 777777";
        let sandbox = Sandbox::launch(runtime, Sandbox::spec(live).command(["sh", "-c", script]))?;
        while lines(&sandbox, &LogOptions::new())?.len() < 2001 {}
        let options = LogOptions::new().follow();
        let before = is_at_once.then(|| sandbox.container.logs(&options, &until())).transpose()?;
        let pid = live.plain(&["inspect", "--format={{.State.ConmonPid}}", sandbox.name.as_str()])?;
        let conmon = procfs::entry(pid.trim().parse()?)?.ok_or("no conmon")?;
        procfs::signal(&conmon, Signal::KILL)?;
        let mut log = match before {
            Some(log) => log,
            None => sandbox.container.logs(&options, &until())?,
        };
        let mut found = Vec::new();
        let end = loop {
            match log.pull(&Until::after(Duration::from_secs(5))) {
                Ok(Pull::Item(item)) => found.push(item),
                other => break other,
            }
        };
        assert!(numbers(&found).into_iter().eq(1..=2000), "{} lines", found.len());
        let errors = found.iter().filter(|line| line.stream == OutputStream::Stderr);
        assert_eq!(errors.map(|line| line.text()).collect::<Vec<_>>(), ["e"]);
        match end {
            Err(error) => assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{error}"),
            // podman 4 and 5 wait for more. Without control groups a process whose conmon is gone
            // cannot be told to be the container's, so podman follows.
            Ok(end) => {
                let is_followed_by_podman =
                    std::ptr::eq(runtime, &raw const by_podman) || live.cgroups().is_err() && !is_at_once;
                assert!(end == Pull::Pending && is_followed_by_podman, "{end:?}");
            }
        }
    }
    Ok(())
}
