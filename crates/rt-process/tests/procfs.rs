//! procfs with a real process tree, and signals to exactly one of its members.
#![allow(
    clippy::unwrap_used,
    reason = "the functions of a test file are tests, and an unwrap is their assertion"
)]
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use rt_process::{ExitStatus, LineStream, ProcessSpec, Program, Streams, procfs, with_process};
use rt_protocol::{KILL_GRACE, OutputLimit, Pull, Until};

fn sh(script: &str) -> ProcessSpec {
    ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", script])
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "it does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_tree_is_seen_with_its_names_environment_and_namespace() {
    let directory = tempfile::tempdir().unwrap();
    // The name of a process is the last part of the executed path: here one that would break a
    // careless parser.
    let odd = directory.path().join(") S 1\n(");
    std::os::unix::fs::symlink(Program::find("sleep").unwrap().path(), &odd).unwrap();
    let spec = sh("\"$0\" 1000 & wait").arg(odd.as_os_str()).env("CENSUS_TEST", "a=b c");
    with_process(&spec, Streams::captured(OutputLimit::UNLIMITED, OutputLimit::UNLIMITED), |process| {
        let leader = process.pid();
        let child = wait_for(|| {
            let all = procfs::snapshot().unwrap();
            all.into_iter().find(|entry| entry.parent == leader && entry.name == ") S 1\n(")
        });
        assert_eq!((child.group, child.is_zombie), (leader, false));
        assert_eq!(procfs::entry(child.pid).unwrap().as_ref(), Some(&child));
        let parent = procfs::entry(leader).unwrap().unwrap();
        let own = procfs::entry(std::process::id()).unwrap().unwrap();
        assert_eq!((parent.parent, parent.session, child.session), (own.pid, own.session, own.session));
        assert!(parent.start_time <= child.start_time && own.start_time <= parent.start_time);

        assert_eq!(procfs::environment_has(child.pid, "CENSUS_TEST", "a=b c").unwrap(), Some(true));
        for (name, value) in [("CENSUS_TEST", "a=b"), ("CENSUS_TEST", ""), ("ENSUS_TEST", "a=b c")] {
            assert_eq!(procfs::environment_has(child.pid, name, value).unwrap(), Some(false));
        }
        let namespace = procfs::pid_namespace(child.pid).unwrap();
        assert!(namespace.is_some());
        assert_eq!(namespace, procfs::pid_namespace(own.pid).unwrap());

        // Another process with the same number is not the intended one.
        let mut stranger = child.clone();
        stranger.start_time += 1;
        assert!(!procfs::signal(&stranger, rt_protocol::Signal::KILL).unwrap());
        assert_eq!(procfs::entry(child.pid).unwrap().as_ref(), Some(&child));

        assert!(procfs::signal(&child, rt_protocol::Signal::STOP).unwrap());
        assert!(procfs::signal(&child, rt_protocol::Signal::CONT).unwrap());
        assert!(procfs::signal(&child, rt_protocol::Signal::TERM).unwrap());
        wait_for(|| (!procfs::signal(&child, rt_protocol::Signal::TERM).unwrap()).then_some(()));
        assert!(process.drive(&Until::after(KILL_GRACE)).is_ok());
        wait_for(|| procfs::entry(child.pid).unwrap().is_none().then_some(()));
        assert_eq!(procfs::environment_has(child.pid, "CENSUS_TEST", "a=b c").unwrap(), None);
        assert_eq!(procfs::pid_namespace(child.pid).unwrap(), None);
    })
    .unwrap();
}

#[test]
fn a_zombie_is_known_and_not_signalled() {
    let spec = sh("exec sleep 1000");
    with_process(&spec, Streams::captured(OutputLimit::UNLIMITED, OutputLimit::UNLIMITED), |process| {
        let entry = procfs::entry(process.pid()).unwrap().unwrap();
        assert!(procfs::signal(&entry, rt_protocol::Signal::KILL).unwrap());
        wait_for(|| process.has_exited().then_some(()));
        assert!(procfs::entry(process.pid()).unwrap().unwrap().is_zombie);
        assert!(!procfs::signal(&entry, rt_protocol::Signal::KILL).unwrap());
        assert_eq!(procfs::environment_has(process.pid(), "PATH", "x").unwrap(), None);
        assert!(process.drive(&Until::forever()).is_ok());
        assert_eq!(process.finish().status, Some(ExitStatus::Signal(9)));
    })
    .unwrap();
}

#[test]
fn reading_survives_processes_that_come_and_go() {
    let mut busy = LineStream::spawn(&sh("while :; do true | true; done"), 100).unwrap();
    for _ in 0..100 {
        assert!(procfs::snapshot().unwrap().iter().any(|entry| entry.pid == std::process::id()));
    }
    assert_eq!(busy.pull(&Until::after(Duration::ZERO)).unwrap(), Pull::Pending);
    busy.close();
    assert_eq!(procfs::entry(u32::MAX).unwrap(), None);
    assert_eq!(procfs::entry(0).unwrap(), None);
}
