//! podman's clients that others end at random moments of a pause, a signal or the removal of one
//! container: the answer is the truth, or says that the client was interrupted.

use std::time::{Duration, Instant};

use rt_process::procfs;
use rt_protocol::{Container, ContainerExt, ContainerState, ErrorKind, ExitOutcome, Signal, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome, Problem};
use crate::freezer::Freezer;
use crate::interrupter::{
    Interrupter, TIME, is_alive, main_process, plain_state, send, unless_interrupted, until,
};

pub(crate) const CASES: &[Case] = &[
    ("interruption: a signal whose client is ended has arrived once, or at most once", signal),
    ("interruption: a KILL whose client is ended has ended it, or can be sent again", kill),
    ("interruption: the removal of one container is done, or can be done again", remove),
    ("interruption: a KILL is done even if conmon was killed", kill_without_conmon),
];

/// For containers with control groups of their own.
pub(crate) const CGROUP_CASES: &[Case] = &[
    ("interruption: a pause whose client is ended is done, or can be done again", pause),
    ("pausing: a pause and its end are those that podman and the kernel see", seen),
    ("pausing: what an interrupted pause has left half done is put right", half_done),
    ("pausing: a pause that its deadline ends leaves nothing half done", deadline),
];

/// Returns whether the kernel keeps the process frozen.
fn is_frozen(pid: u32) -> Result<bool, Problem> {
    Ok(Freezer::of(pid)?.is_frozen()?)
}

fn seen(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let (container, name) = (&sandbox.container, sandbox.name.as_str());
    let main = main_process(live, name)?;
    container.pause(&until())?;
    assert_eq!(plain_state(live, name), "paused");
    assert!(is_frozen(main.pid)?);
    container.unpause(&until())?;
    assert_eq!(plain_state(live, name), "running");
    assert!(!is_frozen(main.pid)? && is_alive(&main));
    // By others, with the same effect.
    live.plain(&["pause", name])?;
    container.pause(&until())?;
    container.unpause(&until())?;
    assert_eq!(container.state(until())?, Some(ContainerState::Running));
    Ok(())
}

fn pause(live: &Live) -> Outcome {
    let interrupter = Interrupter::new(live, "pause");
    let sandbox = Sandbox::idle(live)?;
    let (container, name) = (&sandbox.container, sandbox.name.as_str());
    let main = main_process(live, name)?;
    interrupter.repeat(2 * TIME, |interrupter| {
        let paused = interrupter.during("pause", || container.pause(&until()));
        if unless_interrupted("pause", paused).is_none() {
            container.pause(&until())?;
        }
        assert_eq!(plain_state(live, name), "paused");
        assert!(is_frozen(main.pid)?, "it is said to be paused, and runs");
        let unpaused = interrupter.during("unpause", || container.unpause(&until()));
        if unless_interrupted("unpause", unpaused).is_none() {
            container.unpause(&until())?;
        }
        assert_eq!(plain_state(live, name), "running");
        assert!(!is_frozen(main.pid)?, "it is said to run, and is frozen");
        Ok(())
    })
}

/// As if a program had been killed together with its client: podman says one thing, the kernel
/// another.
fn half_done(live: &Live) -> Outcome {
    for is_paused in [false, true] {
        for freezes in [false, true] {
            let sandbox = Sandbox::idle(live)?;
            let (container, name) = (&sandbox.container, sandbox.name.as_str());
            let main = main_process(live, name)?;
            let freezer = Freezer::of(main.pid)?;
            if is_paused {
                live.plain(&["pause", name])?;
            }
            freezer.set_frozen(!is_paused)?;
            if freezes {
                container.pause(&until())?;
            } else {
                container.unpause(&until())?;
            }
            assert_eq!(plain_state(live, name), if freezes { "paused" } else { "running" });
            assert_eq!(is_frozen(main.pid)?, freezes, "paused: {is_paused}, freezes: {freezes}");
            container.remove(&until())?;
            assert!(!is_alive(&main), "{main:?} runs on");
        }
    }
    Ok(())
}

fn deadline(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let (container, name) = (&sandbox.container, sandbox.name.as_str());
    let main = main_process(live, name)?;
    let begun = Instant::now();
    container.pause(&until())?;
    let span = begun.elapsed();
    container.unpause(&until())?;
    for step in 1..12 {
        let answer = container.pause(&Until::after(span * step / 10));
        let state = plain_state(live, name);
        match &answer {
            Ok(()) => assert_eq!(state, "paused"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}"),
        }
        assert_eq!(is_frozen(main.pid)?, state == "paused", "{answer:?}");
        container.unpause(&until())?;
        assert_eq!((plain_state(live, name).as_str(), is_frozen(main.pid)?), ("running", false));
    }
    Ok(())
}

fn signal(live: &Live) -> Outcome {
    let interrupter = Interrupter::new(live, "signal");
    let script = "trap 'echo got >>/tmp/got' USR1; >/tmp/got; while :; do sleep 0.1 & wait; done";
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", script]))?;
    let count = || -> Result<usize, Problem> {
        Ok(sandbox.sh("cat /tmp/got")?.exit_ok()?.stdout.text().lines().count())
    };
    let begun = Instant::now();
    while !sandbox.sh("test -e /tmp/got")?.success() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not begin");
    }
    let mut before = 0;
    interrupter.repeat(TIME, |interrupter| {
        let sent = interrupter.during("signal", || sandbox.container.kill(Signal::USR1, &until()));
        let is_sent = unless_interrupted("signal", sent).is_some();
        let begun = Instant::now();
        let mut now = count()?;
        while is_sent && now == before {
            assert!(begun.elapsed() < Duration::from_secs(10), "it is said to be sent, and has not arrived");
            now = count()?;
        }
        assert!(now - before <= 1, "it has arrived {} times", now - before);
        before = now;
        if !is_sent {
            // It may still be on its way.
            std::thread::sleep(Duration::from_millis(500));
            before = count()?;
        }
        Ok(())
    })
}

fn kill(live: &Live) -> Outcome {
    let interrupter = Interrupter::new(live, "kill");
    let sandbox = Sandbox::idle(live)?;
    let name = sandbox.name.as_str();
    interrupter.repeat(TIME, |interrupter| {
        let main = main_process(live, name)?;
        let killed = interrupter.during("kill", || sandbox.container.kill(Signal::KILL, &until()));
        if unless_interrupted("kill", killed).is_none()
            && let Err(error) = sandbox.container.kill(Signal::KILL, &until())
        {
            // The first one has arrived.
            assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
        }
        let _ = sandbox.container.wait(&until())?;
        let begun = Instant::now();
        while procfs::entry(main.pid)?.is_some_and(|now| now.start_time == main.start_time && !now.is_zombie)
        {
            assert!(begun.elapsed() < Duration::from_secs(10), "it is said to be killed, and runs");
        }
        sandbox.container.start(&until())?;
        Ok(())
    })
}

/// podman 4.3.1 waits 5 s for conmon's report, and fails.
fn kill_without_conmon(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let main = main_process(live, sandbox.name.as_str())?;
    send(main.parent, rustix::process::Signal::KILL);
    sandbox.container.kill(Signal::KILL, &until())?;
    assert!(!is_alive(&main), "{main:?} runs on");
    assert_eq!(sandbox.container.wait(&until())?, ExitOutcome::Lost);
    let error = sandbox.container.kill(Signal::KILL, &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
    Ok(())
}

fn remove(live: &Live) -> Outcome {
    let interrupter = Interrupter::new(live, "remove one");
    interrupter.repeat(TIME, |interrupter| {
        let sandbox = Sandbox::idle(live)?;
        let main = main_process(live, sandbox.name.as_str())?;
        let removed = interrupter.during("remove", || sandbox.container.remove(&until()));
        if unless_interrupted("remove", removed).is_none() {
            sandbox.container.remove(&until())?;
        }
        assert_eq!(plain_state(live, sandbox.name.as_str()), "absent");
        assert!(!is_alive(&main), "{main:?} runs on");
        Ok(())
    })
}
