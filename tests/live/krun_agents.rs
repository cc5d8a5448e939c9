//! Commands by an agent in a guest, through rt-krun: what stays in the guest, what happens when a
//! part of it is gone, and that both paths say the same.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_krun::{KrunRuntime, SshUser, TcpSshTransportBuilder};
use rt_podman::{ColdReason, ExecPath, Warmth};
use rt_protocol::{
    Container, ContainerExt, ContainerRuntime, Error, ErrorKind, ExecRequest, ExecRequestBuilder,
    ExitOutcome, KillOutcome, RunningCommand, Signal, SpawnStdio, Until,
};
use rt_tests::krun::{LoopbackGuest, transport_to};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rt_tests::ssh_lab::key::KeyPair;
use rt_tests::ssh_lab::loopback::Settings;
use rt_tests::ssh_lab::other_server::{Make, OtherServer};
use rt_tests::ssh_lab::proxy::{Cut, FaultProxy};
use tempfile::TempDir;

use crate::case::{Case, Outcome, Problem};
use crate::krun_commands::sh;
use crate::sleepers::{fresh_tag, kill_sleepers, sleepers, wait_for_sleepers};

pub(crate) const CASES: &[Case] = &[
    ("krun agents: many commands at once share one connection, and leave no file", at_once),
    ("krun agents: a guest without a place for a program is served on channels", no_place),
    ("krun agents: both paths answer alike", alike),
    ("krun agents: a command is faster than on a channel", speed),
    ("krun agents: when the agent is killed its commands are lost and the next is served", killed_agent),
    ("krun agents: when a supervisor is killed its command is ended and lost", killed_supervisor),
    ("krun agents: an agent that is stopped is given up within the stated bound", stopped_agent),
    ("krun agents: nothing in the guest outlives the connection", cut_connection),
    ("krun agents: an idle connection ends, and its agent with it", idle),
    ("krun agents: after a stop and a start of the guest another agent serves", restarted),
    ("krun agents: spawned commands need no thread, and take signals", spawned),
    ("krun agents: a deadline ends what hides from every look", deadline),
    ("krun agents: each user has an agent", users),
    ("krun agents: when the users of the guest change, another agent serves", changed_users),
    (
        "krun agents: a server that lends an agent its only channel serves commands by more connections",
        one_channel,
    ),
    ("krun agents: a Dropbear with one channel at a time serves on channels", dropbear),
    ("krun agents: a guest that gives no connection says so as ever, to all who wait", no_connection),
];

const LIMIT: Duration = Duration::from_secs(60);

/// A guest whose commands go by agents, or fail.
fn warm_guest(live: &Live) -> Result<LoopbackGuest<'_>, Problem> {
    guest_with(live, |builder| builder.exec_path(ExecPath::Warm))
}

fn guest_with(
    live: &Live,
    finish: impl FnOnce(TcpSshTransportBuilder) -> TcpSshTransportBuilder,
) -> Result<LoopbackGuest<'_>, Problem> {
    LoopbackGuest::start_through(live, Settings::default(), |sshd| Ok(sshd.address()), finish)
}

fn exec(container: &dyn Container, script: &str) -> Result<rt_protocol::ExecResult, Error> {
    container.exec(&ExecRequest::new(["sh", "-c", script])?, &Until::after(LIMIT))
}

fn warmth(guest: &LoopbackGuest<'_>) -> Option<Warmth> {
    guest.transport.warmth(&guest.sandbox.name, None)
}

/// Waits until this is true.
fn wait_until(what: &str, is_true: impl Fn() -> bool) {
    let patience = Until::after(LIMIT);
    while !is_true() {
        assert!(patience.sleep(Duration::from_millis(10)).is_ok(), "it does not happen that {what}");
    }
}

fn at_once(live: &Live) -> Outcome {
    const THREADS: usize = 50;
    let guest = warm_guest(live)?;
    assert_eq!(warmth(&guest), None);
    let container = guest.container.as_ref();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..THREADS)
            .map(|number| {
                scope.spawn(move || {
                    sh(container, &format!("sleep 0.2; seq 1 20000; echo {number} >&2; exit {number}"))
                })
            })
            .collect();
        for (number, call) in calls.into_iter().enumerate() {
            let result = call.join().expect("no panic")?;
            assert_eq!(result.stdout.total(), 108_894, "{:?}", result.stderr);
            assert_eq!(result.stderr, format!("{number}\n").as_str());
            assert_eq!(result.outcome, ExitOutcome::Code(i32::try_from(number)?));
        }
        Ok::<_, Problem>(())
    })?;
    assert_eq!(warmth(&guest), Some(Warmth::Warm));
    assert_eq!(guest.sshd.log()?.matches("Accepted publickey").count(), 1);
    let agents = || guest.sshd.processes().iter().filter(|entry| entry.name.starts_with(".rt-agent")).count();
    wait_until("one agent is left", || agents() == 1);
    let left = sh(container, "ls -a /run /dev/shm /tmp ~ | grep rt-agent; umask; pwd; id -un")?;
    assert_eq!(left.stdout, "0022\n/workspace\ndev\n", "{left:?}");
    Ok(())
}

fn no_place(live: &Live) -> Outcome {
    let guest = guest_with(live, |builder| builder.exec_path(ExecPath::Auto))?;
    let root = ExecRequest::builder([
        "sh",
        "-c",
        "for d in /dev/shm /tmp /home/dev; do mount -t tmpfs -o noexec,mode=1777 tmpfs $d || exit; done",
    ])
    .user("root")
    .build()?;
    guest.container.exec(&root, &Until::after(LIMIT))?.exit_ok()?;
    for number in 0..3 {
        let result = sh(guest.container.as_ref(), &format!("echo {number}"))?;
        assert_eq!(result.stdout, format!("{number}\n").as_str());
        let Some(Warmth::Cold(ColdReason::Refused(why))) = warmth(&guest) else {
            panic!("{:?}", warmth(&guest))
        };
        assert!(why.contains("takes a file that may be executed"), "{why}");
    }
    let left = sh(guest.container.as_ref(), "ls -a /dev/shm /tmp ~ | grep rt-agent")?;
    assert_eq!(left.outcome, ExitOutcome::Code(1), "{left:?}");

    let transport =
        transport_to(guest.sshd.address(), guest.identity.private()).exec_path(ExecPath::Warm).build();
    let runtime = KrunRuntime::on(live.runtime.clone(), Arc::new(transport));
    let error = exec(runtime.container(&guest.sandbox.name).as_ref(), "touch /tmp/never").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("takes a file that may be executed"), "{error}");
    assert_eq!(exec(guest.container.as_ref(), "ls /tmp/never")?.outcome, ExitOutcome::Code(2));
    Ok(())
}

/// What commands answer that say something about where they are, and what fails.
fn alike(live: &Live) -> Outcome {
    let warm = warm_guest(live)?;
    let transport =
        transport_to(warm.sshd.address(), warm.identity.private()).exec_path(ExecPath::Cold).build();
    let runtime = KrunRuntime::on(live.runtime.clone(), Arc::new(transport));
    let cold = runtime.container(&warm.sandbox.name);
    let words = |words: &[&str]| ExecRequest::builder(words.iter().copied());
    let env = "env | grep -v -e ^RT_EXEC_ID= -e ^_= -e ^SSH_ -e ^SHLVL= | sort";
    let requests: Vec<ExecRequestBuilder> = vec![
        words(&["sh", "-c", env]).env("A", "b c").secret_env("S", "hunter2"),
        words(&["sh", "-c", "pwd; umask; ulimit -a; id; cat /proc/self/limits"]),
        words(&["sh", "-c", "ls /proc/self/fd; readlink /proc/self/fd/0; cat /proc/self/oom_score_adj"]),
        words(&["sh", "-c", "grep -e ^Cap -e ^NoNew -e ^Seccomp /proc/self/status; cat /proc/self/cgroup"]),
        words(&["sh", "-c", "echo out; echo err >&2; exit 7"]),
        words(&["sh", "-c", "kill -TERM $$"]),
        words(&["pwd"]).workdir("/tmp"),
        words(&["pwd"]).workdir("/no/such"),
        words(&["pwd"]).workdir("/etc/passwd"),
        words(&["rt-no-such-command"]),
        words(&["/no/such"]),
        words(&["/etc/passwd"]),
        words(&["/etc"]),
        words(&["cd"]),
        words(&["A=b"]),
        words(&["-c", "x"]),
        words(&["true"]).env("UID", "7"),
        words(&["true"]).env("RT_EXEC_ID", "7"),
        words(&["true"]).secret_env("_", "7"),
        words(&["true"]).user("dev:dev"),
        words(&["true"]).user("nobody-here"),
        words(&["/usr/bin/printf", &"x".repeat(128 << 10)]),
        words(&["/bin/true"]).env("V", "x".repeat((128 << 10) - 2)),
    ];
    for request in requests {
        let request = request.build()?;
        let answer = |container: &dyn Container| match container.exec(&request, &Until::after(LIMIT)) {
            Ok(result) => format!("{:?} {} {}", result.outcome, result.stdout, result.stderr),
            Err(error) => format!("{:?} {} {:?}", error.kind(), error.never_started(), error.subject()),
        };
        let program = request.argv().words().iter().take(3).collect::<Vec<_>>();
        assert_eq!(answer(warm.container.as_ref()), answer(cold.as_ref()), "{:.200}", format!("{program:?}"));
    }
    let over = |container: &dyn Container| {
        let error = container.exec(&words(&["true"]).build()?, &Until::after(Duration::ZERO)).unwrap_err();
        Ok::<_, Problem>((error.kind(), error.never_started()))
    };
    assert_eq!(over(warm.container.as_ref())?, over(cold.as_ref())?);
    Ok(())
}

/// `cargo xtask bench` has the exact figures; here others may use the machine.
fn speed(live: &Live) -> Outcome {
    const ROUNDS: usize = 11;
    const IN_A_ROW: u32 = 20;
    let warm = warm_guest(live)?;
    let transport =
        transport_to(warm.sshd.address(), warm.identity.private()).exec_path(ExecPath::Cold).build();
    let cold = KrunRuntime::on(live.runtime.clone(), Arc::new(transport)).container(&warm.sandbox.name);
    let request = ExecRequest::new(["true"])?;
    let measure = |container: &dyn Container| {
        let begun = Instant::now();
        for _ in 0..IN_A_ROW {
            container.exec(&request, &Until::after(LIMIT))?.exit_ok()?;
        }
        Ok::<_, Problem>(begun.elapsed() / IN_A_ROW)
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(measure(warm.container.as_ref())?);
        theirs.push(measure(cold.as_ref())?);
    }
    ours.sort();
    theirs.sort();
    let (ours, theirs) = (ours[ROUNDS / 2], theirs[ROUNDS / 2]);
    println!("by an agent {ours:?}, on a channel {theirs:?}");
    assert!(ours < theirs, "by an agent {ours:?}, on a channel {theirs:?}");
    Ok(())
}

/// A command's answer that may not be a false one.
fn assert_lost(answer: Result<rt_protocol::ExecResult, Error>) {
    match answer {
        Ok(result) => assert_eq!(result.outcome, ExitOutcome::Lost, "{result:?}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{error:?}");
            assert!(!error.never_started(), "{error:?}");
        }
    }
}

/// The same, and what sleeps in it is gone, unless the answer says that nobody could look in time.
fn assert_lost_and_gone(answer: Result<rt_protocol::ExecResult, Error>, tag: u32) {
    let is_known = answer.is_ok();
    assert_lost(answer);
    assert!(!is_known || sleepers(tag).is_empty());
    kill_sleepers(tag);
}

fn killed_agent(live: &Live) -> Outcome {
    let guest = warm_guest(live)?;
    let container = guest.container.as_ref();
    for _ in 0..3 {
        let tag = fresh_tag();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| exec(container, &format!("sleep {tag}; true")));
            wait_for_sleepers(tag, 1);
            // The parent of the supervisor is the agent.
            let script = "set -- $(cat /proc/$PPID/stat); kill -KILL $4; sleep 5; echo survived";
            assert_lost(exec(container, script));
            assert_lost(other.join().expect("no panic"));
        });
        wait_until("its commands are gone", || sleepers(tag).is_empty());
        assert!(sh(container, "true")?.success());
    }
    assert_eq!(guest.sshd.log()?.matches("Accepted publickey").count(), 1);
    Ok(())
}

fn stopped_agent(live: &Live) -> Outcome {
    const KEEPALIVE: Duration = Duration::from_secs(2);
    let guest = guest_with(live, |builder| builder.exec_path(ExecPath::Warm).keepalive(KEEPALIVE))?;
    let container = guest.container.as_ref();
    // Longer than the bound, and nothing is wrong.
    assert!(sh(container, "sleep 10")?.success());
    let tag = fresh_tag();
    let begun = Instant::now();
    let script = format!("set -- $(cat /proc/$PPID/stat); kill -STOP $4; sleep {tag}; true");
    let answer = exec(container, &script);
    assert!(begun.elapsed() < 4 * KEEPALIVE + Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_lost_and_gone(answer, tag);
    assert!(sh(container, "true")?.success());
    Ok(())
}

fn killed_supervisor(live: &Live) -> Outcome {
    let guest = warm_guest(live)?;
    let container = guest.container.as_ref();
    for _ in 0..3 {
        let tag = fresh_tag();
        let answer = exec(container, &format!("echo began; (sleep {tag}; true) & kill -KILL $PPID; wait"));
        assert_lost_and_gone(answer, tag);
        assert!(sh(container, "true")?.success());
    }
    let agents = guest.sshd.processes().iter().filter(|entry| entry.name.starts_with(".rt-agent")).count();
    assert_eq!(agents, 1);
    Ok(())
}

fn cut_connection(live: &Live) -> Outcome {
    let mut proxy = None;
    let guest = LoopbackGuest::start_through(
        live,
        Settings { is_forgiving: true, ..Settings::default() },
        |sshd| Ok(proxy.insert(FaultProxy::start(sshd.address())?).address()),
        |builder| builder.exec_path(ExecPath::Warm),
    )?;
    let proxy = proxy.ok_or("no proxy")?;
    let container = guest.container.as_ref();
    for cut in [Cut::Reset, Cut::Close] {
        let tag = fresh_tag();
        std::thread::scope(|scope| {
            let script = format!("setsid env -i sleep {tag} & sleep {tag}; true");
            let calls: Vec<_> = (0..5)
                .map(|_| {
                    let script = script.clone();
                    scope.spawn(move || exec(container, &script))
                })
                .collect();
            wait_for_sleepers(tag, 10);
            proxy.cut(cut);
            for call in calls {
                assert_eq!(call.join().expect("no panic").expect("a result").outcome, ExitOutcome::Lost);
            }
        });
        wait_until("everything in the guest is gone", || {
            sleepers(tag).is_empty() && guest.sshd.processes().len() == 1
        });
        kill_sleepers(tag);
        assert!(sh(container, "true")?.success());
    }
    Ok(())
}

fn idle(live: &Live) -> Outcome {
    let guest =
        guest_with(live, |builder| builder.exec_path(ExecPath::Warm).idle_limit(Duration::from_millis(500)))?;
    for _ in 0..2 {
        assert!(sh(guest.container.as_ref(), "sleep 1")?.success());
        wait_until("nothing is left in the guest", || guest.sshd.processes().len() == 1);
    }
    assert_eq!(guest.sshd.log()?.matches("Accepted publickey").count(), 2);
    Ok(())
}

fn restarted(live: &Live) -> Outcome {
    let mut guest = warm_guest(live)?;
    for _ in 0..3 {
        assert!(sh(guest.container.as_ref(), "true")?.success());
        guest.sshd.restart(Settings::default())?;
    }
    guest.container.stop(Duration::ZERO, &Until::after(LIMIT))?;
    let error = exec(guest.container.as_ref(), "true").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
    guest.container.start(&Until::after(LIMIT))?;
    assert!(sh(guest.container.as_ref(), "true")?.success());
    Ok(())
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("/proc").count()
}

fn spawned(live: &Live) -> Outcome {
    const AT_ONCE: usize = 60;
    let guest = warm_guest(live)?;
    assert!(sh(guest.container.as_ref(), "true")?.success());
    let before = threads();
    let spawn = |words: &[&str]| {
        let request = ExecRequest::new(words.iter().copied())?;
        guest.container.spawn_command(&request, SpawnStdio::new().piped_stdin(), LIMIT)
    };
    let mut commands: Vec<RunningCommand> = Vec::new();
    for _ in 0..AT_ONCE {
        commands.push(spawn(&["cat"])?);
    }
    assert_eq!(threads(), before);
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
    let mut sleeping = spawn(&["sleep", "600"])?;
    sleeping.signal(Signal::USR1)?;
    assert_eq!(sleeping.wait(LIMIT)?.outcome, ExitOutcome::Signal(String::from("USR1")));
    let missing = spawn(&["rt-no-such-command"]).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::CommandNotFound);
    Ok(())
}

fn deadline(live: &Live) -> Outcome {
    let guest = warm_guest(live)?;
    sh(guest.container.as_ref(), "true")?.exit_ok()?;
    let tag = fresh_tag();
    let script =
        format!("echo began; setsid env -i sleep {tag} & setsid env -i sleep {tag} & sleep {tag}; true");
    let request = ExecRequest::new(["sh", "-c", &script])?;
    let begun = Instant::now();
    let error = guest.container.exec(&request, &Until::after(Duration::from_millis(700))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let report = error.kill_report().ok_or("no report")?;
    assert_eq!(report.outcome, KillOutcome::Gone, "{report}");
    assert!(sleepers(tag).is_empty());
    Ok(())
}

fn users(live: &Live) -> Outcome {
    let guest = warm_guest(live)?;
    for _ in 0..2 {
        for user in ["root", "dev"] {
            let request = ExecRequest::builder(["id", "-un"]).user(user).build()?;
            let result = guest.container.exec(&request, &Until::after(LIMIT))?;
            assert_eq!(result.stdout, format!("{user}\n").as_str());
        }
    }
    let root = SshUser::new("root")?;
    assert_eq!(guest.transport.warmth(&guest.sandbox.name, Some(&root)), Some(Warmth::Warm));
    assert_eq!(guest.sshd.log()?.matches("Accepted publickey").count(), 2);
    Ok(())
}

fn changed_users(live: &Live) -> Outcome {
    let guest = warm_guest(live)?;
    let container = guest.container.as_ref();
    let tag = fresh_tag();
    std::thread::scope(|scope| {
        assert!(sh(container, "true")?.success());
        let earlier =
            scope.spawn(move || sh(container, &format!("sleep {tag} & sleep 2; kill $!; echo done")));
        wait_for_sleepers(tag, 1);
        let users = guest.sshd.inside("/etc/passwd");
        let more = std::fs::read_to_string(&users)? + "new:x:4321:4321::/:/bin/sh\n";
        std::fs::write(&users, more)?;
        assert_eq!(sh(container, "id -u new")?.stdout, "4321\n");
        // The agent that was replaced ends what it has begun.
        assert_eq!(earlier.join().expect("no panic")?.stdout, "done\n");
        Ok::<_, Problem>(())
    })?;
    let agents = || guest.sshd.processes().iter().filter(|entry| entry.name.starts_with(".rt-agent")).count();
    wait_until("one agent is left", || agents() == 1);
    Ok(())
}

/// The script that looks after a command whose supervisor was killed needs a channel.
fn one_channel(live: &Live) -> Outcome {
    let settings = Settings { max_sessions: 1, ..Settings::default() };
    let warm = |builder: TcpSshTransportBuilder| builder.exec_path(ExecPath::Warm);
    let guest = LoopbackGuest::start_through(live, settings, |sshd| Ok(sshd.address()), warm)?;
    let container = guest.container.as_ref();
    for _ in 0..2 {
        assert!(sh(container, "true")?.success());
        let tag = fresh_tag();
        let answer = exec(container, &format!("(sleep {tag}; true) & kill -KILL $PPID; wait"));
        assert_lost_and_gone(answer, tag);
    }
    assert_eq!(warmth(&guest), Some(Warmth::Warm));
    Ok(())
}

fn dropbear(live: &Live) -> Outcome {
    let make = Make::Dropbear;
    if let Some(missing) = make.missing() {
        return Err(missing.into());
    }
    let keys = TempDir::new()?;
    let identity = KeyPair::generate(keys.path())?;
    let server = OtherServer::start(make, &identity)?;
    let sandbox = Sandbox::idle(live)?;
    let transport =
        Arc::new(transport_to(server.address(), identity.private()).exec_path(ExecPath::Auto).build());
    let runtime = KrunRuntime::on(live.runtime.clone(), Arc::clone(&transport) as _);
    let container = runtime.container(&sandbox.name);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn({
                    let container = &container;
                    move || sh(container.as_ref(), &format!("echo {number}"))
                })
            })
            .collect();
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(call.join().expect("no panic")?.stdout, format!("{number}\n").as_str());
        }
        Ok::<_, Problem>(())
    })?;
    match transport.warmth(&sandbox.name, None) {
        // Before 2025 it runs one command for each connection.
        Some(Warmth::Cold(ColdReason::Refused(why))) => {
            assert!(why.contains("one command at a time"), "{why}");
        }
        other => assert_eq!(other, Some(Warmth::Warm)),
    }
    Ok(())
}

fn no_connection(live: &Live) -> Outcome {
    let guest = warm_guest(live)?;
    guest.sshd.authorize(&[])?;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let container = guest.container.as_ref();
        let calls: Vec<_> = (0..20).map(|_| scope.spawn(move || exec(container, "true"))).collect();
        for call in calls {
            let error = call.join().expect("no panic").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AuthenticationRefused, "{error}");
            assert!(error.never_started(), "{error:?}");
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // One attempt answers all who wait for it.
    let attempts = guest.sshd.log()?.matches("Connection closed by authenticating user").count();
    assert!(attempts < 10, "{attempts}");
    guest.sshd.authorize(&[&guest.identity])?;
    assert!(sh(guest.container.as_ref(), "true")?.success());
    Ok(())
}
