//! What is left of the agents of a program that was killed, of a runtime that was dropped, and
//! beyond the limits of agents: nothing.

use std::ffi::OsStr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rt_podman::{AgentLimits, ExecPath, PodmanRuntime};
use rt_process::{Child, ChildStdio, ProcessSpec, Program};
use rt_protocol::{
    Container, ContainerName, ContainerRuntime, ExecRequest, ExecStdio, ExitOutcome, KILL_GRACE, Sink, Source,
};
use rt_tests::leftovers::Leftovers;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome, Problem};
use crate::random::Random;
use crate::sleepers::{fresh_tag, kill_sleepers, sleepers, wait_for_sleepers};
use crate::warm_container::{WarmContainer, is_gone, minute, wait_until};

pub(crate) const CASES: &[Case] = &[
    ("warm leftovers: a host program that is killed takes commands and agents along", killed_host),
    ("warm leftovers: a runtime that is dropped takes its agents along", dropped),
    ("warm leftovers: there are no more agents than the limit, and the latest stay", number_limit),
    ("warm leftovers: an agent that is idle ends by itself, and not while a command runs", idle_limit),
    ("warm leftovers: an agent of age is let go, and its commands go on", age_limit),
];

/// Makes a process of this test binary a program that uses `rt`: the container, the idle limit of
/// its agents and the time that its commands sleep, by spaces.
pub(crate) const HOST_PROGRAM: &str = "RT_LIVE_HOST_PROGRAM";

/// Runs commands until it is killed.
pub(crate) fn be_host_program(task: &OsStr) -> ! {
    let task = task.to_str().expect("words");
    let [name, idle, tag] = task.split(' ').collect::<Vec<_>>()[..] else { panic!("{task:?}") };
    let podman = std::env::var_os("RT_LIVE_PODMAN").expect("a podman");
    let mut limits = AgentLimits::DEFAULT;
    limits.idle = Duration::from_millis(idle.parse().expect("a number"));
    let runtime = PodmanRuntime::builder().binary(podman).exec_path(ExecPath::Auto).agent_limits(limits);
    let runtime = runtime.build().expect("a runtime");
    let container = runtime.container(&ContainerName::new(name).expect("a name"));
    let script = format!("(setsid env -i sleep {tag} &); trap '' TERM; sleep {tag}; sleep {tag}");
    std::thread::scope(|scope| {
        for user in [None, None, Some("dev")] {
            let (container, script) = (&container, &script);
            scope.spawn(move || {
                let mut request = ExecRequest::builder(["sh", "-c", script]);
                if let Some(user) = user {
                    request = request.user(user);
                }
                let _ = container.exec(&request.build().expect("a request"), &minute());
            });
            let (reader, _writer) = std::io::pipe().expect("a pipe");
            scope.spawn(move || {
                let request = ExecRequest::new(["sh", "-c", &format!("{script} & cat")]).expect("a request");
                let stdio = ExecStdio::new(Source::descriptor(reader), Sink::discard());
                let _ = container.exec_stdio(&request, stdio, &minute());
            });
        }
        loop {
            std::thread::park();
        }
    })
}

/// Each command has two sleepers.
const HOST_SLEEPERS: usize = 12;

fn host_program(warm: &WarmContainer<'_>, tag: u32) -> Result<Child, Problem> {
    let this = Program::find(std::env::current_exe()?)?;
    let task = format!("{} {} {tag}", warm.name(), warm.tag());
    Ok(Child::spawn(
        &ProcessSpec::new(&this).env(HOST_PROGRAM, &task),
        ChildStdio { stdin: Stdio::null(), stdout: Stdio::inherit(), stderr: Stdio::inherit() },
    )?)
}

fn killed_host(live: &Live) -> Outcome {
    let mut random = Random::new("a killed host program");
    let warm = WarmContainer::idle(live)?;
    for round in 0..8 {
        let tag = fresh_tag();
        let host = host_program(&warm, tag)?;
        if round == 0 {
            wait_for_sleepers(tag, HOST_SLEEPERS);
            assert_eq!(warm.agents().len(), 2);
        } else {
            // While its agents and commands are being started.
            std::thread::sleep(Duration::from_millis(random.below(400)));
        }
        crate::processes::send(host.pid(), rustix::process::Signal::KILL);
        host.wait(&minute())?;
        wait_until("its commands are gone", || sleepers(tag).is_empty());
        wait_until("its agents are gone", || warm.processes().is_empty());
        wait_until("podman's clients of them are gone", || {
            crate::processes::find(false, &["--preserve-fds=2", warm.tag()]).is_empty()
        });
        warm.assert_has_left_nothing()?;
        assert!(sleepers(tag).is_empty(), "{:?}", sleepers(tag));
    }
    assert_eq!(warm.inside(&["sh", "-c", "ps -o args | grep -c '[s]leep'"])?, "1\n");
    assert_eq!(warm.sh("echo next")?.stdout.text(), "next\n");
    warm.assert_leaves_nothing()
}

fn dropped(live: &Live) -> Outcome {
    let watched = WarmContainer::idle(live)?;
    let limits = |watched: &WarmContainer<'_>| {
        let mut limits = AgentLimits::DEFAULT;
        limits.idle = Duration::from_millis(watched.tag().parse().expect("a number"));
        limits
    };
    let another = || live.builder().exec_path(ExecPath::Auto).agent_limits(limits(&watched)).build();
    let request = |user: &str| ExecRequest::builder(["true"]).user(user).build();
    // The runtime first, and the handle first.
    for handle_is_last in [true, false] {
        let runtime = another()?;
        let container = runtime.container(&watched.sandbox.name);
        for user in ["0", "dev", "1"] {
            assert!(container.exec(&request(user)?, &minute())?.success());
        }
        assert_eq!(watched.agents().len(), 3);
        if handle_is_last {
            drop(runtime);
            assert!(container.exec(&request("0")?, &minute())?.success());
            assert_eq!(watched.agents().len(), 3);
            drop(container);
        } else {
            drop(container);
            drop(runtime);
        }
        watched.assert_has_left_nothing()?;
    }
    // A command that runs on has a handle, and the last of them.
    let tag = fresh_tag();
    let runtime = another()?;
    let container: Arc<dyn Container> = runtime.container(&watched.sandbox.name);
    let request = ExecRequest::new(["sh", "-c", &format!("sleep {tag}; exit 7")])?;
    let call = std::thread::spawn(move || container.exec(&request, &minute()));
    wait_for_sleepers(tag, 1);
    drop(runtime);
    assert_eq!(sleepers(tag).len(), 1);
    kill_sleepers(tag);
    assert_eq!(call.join().expect("no panic")?.outcome, ExitOutcome::Code(7));
    wait_until("its agent is gone", || watched.processes().is_empty());
    watched.assert_has_left_nothing()
}

/// The users that agents are for, by their numbers in the container.
fn users(warm: &WarmContainer<'_>) -> Vec<u32> {
    let user = |pid: &u32| -> Option<u32> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
        let numbers = |line: &str| -> Vec<u32> {
            line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
        };
        let outside =
            *numbers(read("status")?.lines().find_map(|line| line.strip_prefix("Uid:"))?).first()?;
        // Inside, outside and how many, see user_namespaces(7).
        read("uid_map")?.lines().map(numbers).find_map(|range| {
            let place = outside.checked_sub(*range.get(1)?)?;
            (place < *range.get(2)?).then(|| range[0] + place)
        })
    };
    let mut users: Vec<_> = warm.agents().iter().filter_map(user).collect();
    users.sort_unstable();
    users
}

fn number_limit(live: &Live) -> Outcome {
    let mut limits = AgentLimits::DEFAULT;
    limits.idle = Duration::from_millis(fresh_tag().into());
    limits.agents = 3;
    let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args(["--userns=host"]);
    let warm = WarmContainer::with_limits(live, spec, live.builder().exec_path(ExecPath::Warm), limits)?;
    let run = |user: u32| -> Outcome {
        let request = ExecRequest::builder(["id", "-u"]).user(user.to_string()).build()?;
        assert_eq!(warm.container.exec(&request, &minute())?.stdout.text(), format!("{user}\n"));
        Ok(())
    };
    for (next, kept) in [
        (1, &[1][..]),
        (2, &[1, 2]),
        (3, &[1, 2, 3]),
        (1, &[1, 2, 3]),
        (4, &[1, 3, 4]),
        (3, &[1, 3, 4]),
        (5, &[3, 4, 5]),
    ] {
        run(next)?;
        wait_until("as many as the limit, and the latest", || users(&warm) == kept);
    }
    // More of them at the same time: each command comes to its end, and the surplus is let go.
    let tag = fresh_tag();
    let request = |user: u32| {
        let script = format!("sleep {tag}; id -u; exit 7");
        ExecRequest::builder(["sh", "-c", &script]).user(user.to_string()).build()
    };
    std::thread::scope(|scope| -> Outcome {
        let calls: Vec<_> = (11..19)
            .map(|user| {
                let warm = &warm;
                scope
                    .spawn(move || (user, warm.container.exec(&request(user).expect("a request"), &minute())))
            })
            .collect();
        wait_for_sleepers(tag, 8);
        kill_sleepers(tag);
        for call in calls {
            let (user, answer) = call.join().expect("no panic");
            let result = answer?;
            assert_eq!(
                (&result.outcome, result.stdout.text()),
                (&ExitOutcome::Code(7), format!("{user}\n").into())
            );
        }
        Ok(())
    })?;
    wait_until("as many as the limit", || warm.agents().len() <= 3);
    // Their clients go when they have said goodbye, and are reaped by a command after that.
    wait_until("no more clients than agents", || run(1).is_ok() && Leftovers::now().children.len() <= 3);
    warm.assert_leaves_nothing()
}

fn idle_limit(live: &Live) -> Outcome {
    let mut limits = AgentLimits::DEFAULT;
    // One and a half seconds, and no other agents have it.
    limits.idle = Duration::from_millis(1500 + u64::from(fresh_tag() % 500));
    let spec = Sandbox::spec(live).command(["sleep", "777777"]);
    let warm = WarmContainer::with_limits(live, spec, live.builder().exec_path(ExecPath::Warm), limits)?;
    let mut last = 0;
    for _ in 0..3 {
        assert!(warm.sh("true")?.success());
        let (agent, client) = (warm.agent(), warm.clients()[0]);
        assert_ne!(agent, last);
        last = agent;
        warm.with_sleeper(None, || {
            std::thread::sleep(2 * limits.idle);
            assert_eq!(warm.agent(), agent);
            Ok(())
        })?;
        wait_until("it has ended by itself", || is_gone(agent));
        wait_until("its client has left", || is_gone(client));
        // Not even a zombie is left of it.
        assert!(warm.sh("true")?.success());
        let children = Leftovers::now().children;
        assert!(children.len() == 1 && warm.clients().len() == 1, "{children:?}");
        wait_until("and the next one too", || warm.agents().is_empty() && warm.clients().is_empty());
    }
    warm.assert_leaves_nothing()
}

fn age_limit(live: &Live) -> Outcome {
    let mut limits = AgentLimits::DEFAULT;
    limits.idle = Duration::from_millis(fresh_tag().into());
    limits.age = KILL_GRACE;
    let spec = Sandbox::spec(live).command(["sleep", "777777"]);
    let warm = WarmContainer::with_limits(live, spec, live.builder().exec_path(ExecPath::Warm), limits)?;
    assert!(warm.sh("true")?.success());
    let agent = warm.agent();
    warm.with_sleeper(None, || {
        std::thread::sleep(limits.age);
        assert_eq!(warm.sh("echo next")?.stdout.text(), "next\n");
        assert!(warm.agents().iter().any(|pid| *pid != agent), "{:?}", warm.agents());
        Ok(())
    })?;
    wait_until("the one of age is gone", || is_gone(agent));
    assert_ne!(warm.agent(), agent);
    warm.assert_leaves_nothing()
}
