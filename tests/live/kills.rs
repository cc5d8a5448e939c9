//! Commands that end must also end where it is hard: namespaces that are shared, a podman that
//! hangs, processes that others have stopped, a machine under load. Of each it is looked up on the
//! host what is left.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rt_podman::KillStrategy;
use rt_process::procfs;
use rt_protocol::{
    CancelToken, Container, ContainerRuntime, Error, ErrorKind, ExecRequest, ExitOutcome, KillOutcome,
    KillReport, Signal, TimeLimits, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome, Problem};
use crate::freezer::Freezer;
use crate::sleepers::{fresh_tag, kill_sleepers, sleepers, wait_for_sleepers};
use crate::warm_container::WarmContainer;

pub(crate) const CASES: &[Case] = &[
    ("kills: whatever namespaces a container shares, nothing lives on unnamed", shared_namespaces),
    (
        "kills: from inside a container that shares the host's processes, nothing lives on unnamed",
        from_inside,
    ),
    ("kills: in shared namespaces, other commands and containers are spared", shared_neighbours),
    ("kills: what an older command begins meanwhile puts nothing in doubt, and is spared", older_neighbour),
    ("kills: a podman that hangs on everything but exec holds nobody up", hanging_podman),
    ("kills: a process that others have stopped keeps nothing alive", stopped),
    ("kills: a start that others have stopped is ended, and nothing begins later", stopped_start),
    ("kills: a container that goes away meanwhile leaves nothing and holds nobody up", gone_meanwhile),
    ("kills: under load, random deadlines leave nothing and tell no lie", load),
];

/// The longest time from a deadline to the answer, as the documentation of rt-podman has it.
pub(crate) const BOUND: Duration = Duration::from_secs(8);

/// Of the commands that are ended.
const DEADLINE: Duration = Duration::from_millis(700);

/// What is left of the command whose processes sleep for `tag` is what the report says.
pub(crate) fn check_report(report: &KillReport, tag: u32, about: &str) {
    let left = sleepers(tag);
    match &report.outcome {
        KillOutcome::NeverStarted | KillOutcome::Gone => {
            assert!(left.is_empty(), "{about}: {left:?} lives on: {report:?}");
        }
        KillOutcome::Alive => {
            let named = |pid| report.survivors.iter().any(|survivor| survivor.pid == pid);
            assert!(left.iter().all(|pid| named(*pid)), "{about}: {left:?}: {report:?}");
        }
        KillOutcome::Unknown(why) => {
            assert!(left.iter().all(|pid| why.contains(&pid.to_string())), "{about}: {left:?}: {report:?}");
        }
        other => panic!("{about}: {other:?}"),
    }
}

/// Runs `script`, in which `TAG` is the time to sleep, against a short deadline.
fn time_out(sandbox: &Sandbox<'_>, script: &str, tag: u32) -> Error {
    time_out_after(sandbox.allow(DEADLINE).unwrap(), sandbox, script, tag)
}

/// As `time_out`, where no other command may run before.
fn time_out_after(deadline: Duration, sandbox: &Sandbox<'_>, script: &str, tag: u32) -> Error {
    let request = ExecRequest::new(["sh", "-c", &script.replace("TAG", &tag.to_string())]).unwrap();
    let begun = Instant::now();
    let error = sandbox.container.exec(&request, &Until::after(deadline)).unwrap_err();
    let took = begun.elapsed();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(took < BOUND + deadline.saturating_sub(DEADLINE), "of {deadline:?} it took {took:?}: {error:?}");
    error
}

/// The arguments of containers that share a namespace or lack a sign; `first` is a container to
/// share with.
fn kinds(live: &Live, first: &str) -> Vec<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    if live.cgroups().is_err() {
        // podman refuses the others: without control groups a container must have a process
        // namespace of its own.
        return vec![words(&[]), words(&["--init"])];
    }
    let mut kinds = vec![
        words(&[]),
        words(&["--pid=host"]),
        vec![format!("--pid=container:{first}")],
        words(&["--init"]),
        words(&["--privileged", "--pid=host"]),
    ];
    // runc takes no container without control groups.
    if !live.has_runc().expect("the OCI runtime") {
        kinds.push(words(&["--cgroups=disabled"]));
    }
    kinds
}

/// What sheds one sign, two, and three; whether the host must find it in every kind of container.
const SCRIPTS: [(&str, bool); 5] = [
    ("(env -i sleep TAG &); exec sleep TAG", true),
    ("(setsid sleep TAG &); setsid env -i sleep TAG & exec sleep TAG", true),
    ("(env -i sh -c 'trap \"\" TERM; (sleep TAG &); sleep TAG; sleep TAG' &); exec sleep TAG", true),
    ("(setsid env -i sleep TAG &); exec sleep TAG", false),
    ("(setsid env -i sh -c '(setsid sleep TAG &); sleep TAG' &); exec sleep TAG", false),
];

fn shared_namespaces(live: &Live) -> Outcome {
    let first = Sandbox::idle(live)?;
    for kind in kinds(live, first.name.as_str()) {
        let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args(&kind);
        let sandbox = Sandbox::launch(&live.runtime, spec)?;
        for (script, must_be_found) in SCRIPTS {
            let tag = fresh_tag();
            let error = time_out(&sandbox, script, tag);
            let report = error.kill_report().expect("a report");
            let about = format!("{kind:?}: {script}");
            check_report(report, tag, &about);
            if must_be_found {
                assert_eq!(report.outcome, KillOutcome::Gone, "{about}");
            }
            kill_sleepers(tag);
        }
    }
    Ok(())
}

fn from_inside(live: &Live) -> Outcome {
    let runtime = live.builder().kill_strategy(KillStrategy::InContainer).build()?;
    // Where there are no control groups, podman refuses to share the host's processes.
    let kind: &[&str] = if live.cgroups().is_ok() { &["--pid=host"] } else { &[] };
    let sandbox =
        Sandbox::launch(&runtime, Sandbox::spec(live).command(["sleep", "777777"]).extra_args(kind))?;
    for (script, must_be_found) in SCRIPTS {
        let tag = fresh_tag();
        let request = ExecRequest::new(["sh", "-c", &script.replace("TAG", &tag.to_string())])?;
        let until = Until::after(sandbox.allow(DEADLINE)?);
        let error = sandbox.container.exec(&request, &until).unwrap_err();
        let report = error.kill_report().expect("a report");
        // From inside, processes have other numbers where they are not the host's, and no session:
        // its leader, the OCI runtime, is outside.
        let sees_sessions = !kind.is_empty();
        match &report.outcome {
            KillOutcome::Unknown(why) if !sees_sessions => {
                assert!(why.contains("(\"sleep\")"), "{script}: {why}");
            }
            _ => check_report(report, tag, script),
        }
        if must_be_found && sees_sessions {
            assert_eq!(report.outcome, KillOutcome::Gone, "{script}: {report:?}");
            assert!(sleepers(tag).is_empty(), "{script}: {report:?}");
        }
        kill_sleepers(tag);
    }
    Ok(())
}

fn shared_neighbours(live: &Live) -> Outcome {
    let first = Sandbox::idle(live)?;
    for kind in kinds(live, first.name.as_str()) {
        let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args(&kind);
        let sandbox = Sandbox::launch(&live.runtime, spec)?;
        let (tag, other, file) = (fresh_tag(), fresh_tag(), format!("/tmp/{}", fresh_tag()));
        let token = CancelToken::new();
        // Younger than the command that is ended: one in its container and one in the container
        // that it shares with.
        let script = format!(
            "(sleep {other} &); (setsid sleep {other} &); while ! [ -e {file} ]; do sleep 0.1; done; echo fine"
        );
        let script = script.as_str();
        std::thread::scope(|scope| -> Outcome {
            let command = format!("(env -i sleep {tag} &); exec sleep {tag}");
            let request = ExecRequest::new(["sh", "-c", &command])?;
            let (container, until) = (&sandbox.container, Until::cancelled(&token));
            let call = scope.spawn(move || container.exec(&request, &until));
            wait_for_sleepers(tag, 2);
            let neighbours = [&sandbox, &first].map(|sandbox| scope.spawn(move || sandbox.sh(script)));
            wait_for_sleepers(other, 4);
            token.cancel();
            let error = call.join().expect("no panic").unwrap_err();
            let report = error.kill_report().expect("a report");
            assert_eq!(report.outcome, KillOutcome::Gone, "{kind:?}: {report:?}");
            assert!(sleepers(tag).is_empty(), "{kind:?}: {report:?}");
            assert_eq!(sleepers(other).len(), 4, "{kind:?}: {report:?}");
            for sandbox in [&first, &sandbox] {
                assert!(sandbox.sh(&format!("touch {file}"))?.success());
            }
            for neighbour in neighbours {
                let stdout = neighbour.join().expect("no panic")?.stdout;
                // Its children hold it open: whether it ended is not the matter here.
                assert_eq!(stdout.text(), "fine\n", "{kind:?}");
            }
            Ok(())
        })?;
        kill_sleepers(other);
    }
    Ok(())
}

fn older_neighbour(live: &Live) -> Outcome {
    let first = Sandbox::idle(live)?;
    for kind in kinds(live, first.name.as_str()) {
        let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args(&kind);
        let sandbox = Sandbox::launch(&live.runtime, spec)?;
        let (begun, other, tag) = (fresh_tag(), fresh_tag(), fresh_tag());
        let older = format!(
            "sleep {begun} & while ! [ -e /tmp/{tag} ]; do sleep 0.1; done; (env -i sleep {other} &); exec sleep {other}"
        );
        let younger = format!("touch /tmp/{tag}; sleep {tag} & exec sleep {tag}");
        let tokens = [CancelToken::new(), CancelToken::new()];
        std::thread::scope(|scope| -> Outcome {
            let call = |script: &str, token: &CancelToken| {
                let request = ExecRequest::new(["sh", "-c", script]);
                let until = Until::after(Duration::from_secs(60)).or_cancelled(token);
                let container = &sandbox.container;
                scope.spawn(move || container.exec(&request?, &until))
            };
            let older = call(&older, &tokens[0]);
            wait_for_sleepers(begun, 1);
            let younger = call(&younger, &tokens[1]);
            wait_for_sleepers(tag, 2);
            wait_for_sleepers(other, 2);
            let ended = [(younger, &tokens[1]), (older, &tokens[0])].map(|(call, token)| {
                token.cancel();
                let error = call.join().expect("no panic").unwrap_err();
                (error.kill_report().expect("a report").clone(), sleepers(tag).len(), sleepers(other).len())
            });
            for ((report, of_younger, of_older), left) in ended.into_iter().zip([2, 0]) {
                assert_eq!(report.outcome, KillOutcome::Gone, "{kind:?}: {report:?}");
                assert_eq!((of_younger, of_older), (0, left), "{kind:?}: {report:?}");
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn hanging_podman(live: &Live) -> Outcome {
    let files = tempfile::tempdir()?;
    let [wrapper, hangs, asked] = ["podman", "hangs", "asked"].map(|name| files.path().join(name));
    let podman = live.podman.display();
    let script = format!(
        "#!/bin/sh\nfor word; do case $word in exec) exec {podman} \"$@\";; -*) ;; *) break;; esac; done\n\
         [ -e {} ] || exec {podman} \"$@\"\necho \"$*\" >>{}\nexec sleep 600\n",
        hangs.display(),
        asked.display()
    );
    fs::write(&wrapper, script)?;
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755))?;
    let runtime = live.builder().binary(&wrapper).build()?;
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    let container = runtime.container(&sandbox.name);
    assert!(container.exec(&ExecRequest::new(["true"])?, &Until::after(Duration::from_secs(30)))?.success());
    fs::write(&hangs, "")?;
    for (script, deadline) in [
        ("sleep TAG & exec sleep TAG", 700),
        ("trap '' TERM; sleep TAG; sleep TAG", 700),
        ("sleep TAG", 0),
        ("sleep TAG", 15),
        ("sleep TAG", 40),
        ("sleep TAG", 80),
        ("sleep TAG", 120),
    ] {
        let tag = fresh_tag();
        let request = ExecRequest::new(["sh", "-c", &script.replace("TAG", &tag.to_string())])?;
        let begun = Instant::now();
        let error = container.exec(&request, &Until::after(Duration::from_millis(deadline))).unwrap_err();
        let took = begun.elapsed().saturating_sub(Duration::from_millis(deadline));
        let about = format!("{script} after {deadline} ms");
        println!("    {about}: {took:?} after the deadline, {:?}", error.kill_report());
        assert!(took < BOUND, "{about}: {took:?}, {error:?}");
        let report = error.kill_report().expect("a report");
        assert!(sleepers(tag).is_empty(), "{about}: {report:?}");
        if deadline > 500 {
            assert_eq!(report.outcome, KillOutcome::Gone, "{about}");
            // Of a command that is seen podman is asked nothing, so its time limits are no part of
            // the wait.
            assert!(!asked.exists(), "{about}: podman was asked: {}", fs::read_to_string(&asked)?);
        }
    }
    Ok(())
}

/// The host's processes whose words, joined by blanks, hold all of these.
fn processes_with(parts: &[&str]) -> Vec<procfs::ProcessEntry> {
    let holds = |entry: &procfs::ProcessEntry| {
        let words = procfs::command_line(entry.pid).ok().flatten().unwrap_or_default().join(" ");
        parts.iter().all(|part| words.contains(part))
    };
    procfs::snapshot()
        .unwrap_or_default()
        .into_iter()
        .filter(|entry| !entry.is_zombie && holds(entry))
        .collect()
}

fn stop_all(entries: &[procfs::ProcessEntry]) {
    for entry in entries {
        procfs::signal(entry, Signal::STOP).expect("a signal");
    }
}

fn stopped(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    for victim in ["client", "conmon", "command"] {
        let tag = fresh_tag();
        let deadline = sandbox.allow(DEADLINE)?;
        let report = std::thread::scope(|scope| {
            let call = scope.spawn(|| time_out_after(deadline, &sandbox, "sleep TAG & exec sleep TAG", tag));
            let begun = Instant::now();
            while sleepers(tag).len() < 2 && begun.elapsed() < Duration::from_millis(600) {}
            let of_command: Vec<_> =
                sleepers(tag).into_iter().filter_map(|pid| procfs::entry(pid).ok().flatten()).collect();
            match victim {
                "client" => {
                    stop_all(&processes_with(&["exec", &tag.to_string(), rt_process::ExecMarker::NAME]));
                }
                "command" => stop_all(&of_command),
                _ => {
                    let parents =
                        of_command.iter().filter_map(|entry| procfs::entry(entry.parent).ok().flatten());
                    stop_all(&parents.filter(|parent| parent.name == "conmon").collect::<Vec<_>>());
                }
            }
            call.join().expect("no panic").kill_report().expect("a report").clone()
        });
        check_report(&report, tag, victim);
        assert!(
            matches!(report.outcome, KillOutcome::Gone | KillOutcome::NeverStarted),
            "{victim}: {report:?}"
        );
    }
    assert!(sandbox.sh("true")?.success());
    let left = processes_with(&["conmon", "--exec-process-spec", sandbox.name.as_str()]);
    let stopped = left.iter().filter(|entry| matches!(procfs::is_stopped(entry.pid), Ok(true)));
    assert_eq!(stopped.count(), 0, "{left:?}");
    Ok(())
}

fn stopped_start(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let id = live.plain(&["container", "inspect", "--format={{.Id}}", sandbox.name.as_str()])?;
    let id = id.trim();
    assert!(sandbox.sh("true")?.success());
    let mut seen = 0;
    for (parts, milliseconds) in [
        // The OCI runtime of the exec, as soon as it is there.
        (vec!["exec", "--pid-file", id], 0),
        (vec!["conmon", "--exec-process-spec", id], 0),
        (vec!["exec", rt_process::ExecMarker::NAME, id], 0),
        (vec!["exec", rt_process::ExecMarker::NAME, id], 25),
        (vec!["exec", rt_process::ExecMarker::NAME, id], 50),
        (vec!["exec", rt_process::ExecMarker::NAME, id], 75),
    ] {
        let tag = fresh_tag();
        let deadline = sandbox.allow(DEADLINE)?;
        let (report, victims) = std::thread::scope(|scope| {
            let call = scope.spawn(|| time_out_after(deadline, &sandbox, "sleep TAG", tag));
            let begun = Instant::now();
            std::thread::sleep(Duration::from_millis(milliseconds));
            let mut victims = Vec::new();
            while victims.is_empty() && begun.elapsed() < Duration::from_millis(600) {
                victims = processes_with(&parts);
                // conmon has the words of its OCI runtime too.
                victims.retain(|entry| parts[0] == "conmon" || entry.name != "conmon");
            }
            stop_all(&victims);
            (call.join().expect("no panic").kill_report().expect("a report").clone(), victims)
        });
        let about = format!("{parts:?} after {milliseconds} ms: {victims:?}");
        check_report(&report, tag, &about);
        assert!(
            matches!(report.outcome, KillOutcome::Gone | KillOutcome::NeverStarted),
            "{about}: {report:?}"
        );
        seen += usize::from(!victims.is_empty());
        for victim in &victims {
            // Whoever was stopped and is left must not begin the command when it goes on.
            let _ = procfs::signal(victim, Signal::CONT);
        }
        std::thread::sleep(Duration::from_millis(300));
        assert!(sleepers(tag).is_empty(), "{about}: it began afterwards: {report:?}");
    }
    // Some are there too short a time to be met for sure.
    assert!(seen >= 3, "{seen} were stopped");
    assert!(sandbox.sh("true")?.success());
    Ok(())
}

fn gone_meanwhile(live: &Live) -> Outcome {
    for words in
        [vec!["rm", "-f", "-t", "0"], vec!["stop", "-t", "0"], vec!["restart", "-t", "0"], vec!["kill"]]
    {
        for milliseconds in [500, 650, 700] {
            let sandbox = Sandbox::idle(live)?;
            let tag = fresh_tag();
            let request = ExecRequest::new(["sh", "-c", &format!("sleep {tag} & exec sleep {tag}")])?;
            let begun = Instant::now();
            let answer = std::thread::scope(|scope| {
                let call = scope
                    .spawn(|| sandbox.container.exec(&request, &Until::after(Duration::from_millis(700))));
                std::thread::sleep(Duration::from_millis(milliseconds));
                // Also where podman does not manage to, the command must end.
                let _ = live.plain(&[&words[..], &[sandbox.name.as_str()]].concat());
                call.join().expect("no panic")
            });
            let about = format!("{words:?} after {milliseconds} ms: {answer:?}");
            assert!(begun.elapsed() < BOUND + Duration::from_secs(5), "{about}");
            if let Some(report) = answer.as_ref().err().and_then(Error::kill_report) {
                check_report(report, tag, &about);
                assert!(!matches!(report.outcome, KillOutcome::Unknown(_)), "{about}");
            }
            std::thread::sleep(Duration::from_millis(300));
            assert!(sleepers(tag).is_empty(), "{about}");
        }
    }
    Ok(())
}

pub(crate) const PAUSED_CASES: &[Case] = &[
    ("kills: in a paused container the command is named, and ends when it goes on", paused),
    ("kills: a command that KILL has reached is waited for", killed_while_paused),
    ("kills: a process that shows no origin, and that KILL has reached, is waited for", killed_in_doubt),
];

fn paused(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let (tag, name) = (fresh_tag(), sandbox.name.as_str());
    let report = std::thread::scope(|scope| {
        let call = scope.spawn(|| time_out(&sandbox, "sleep TAG & exec sleep TAG", tag));
        wait_for_sleepers(tag, 2);
        live.plain(&["pause", name]).expect("paused");
        call.join().expect("no panic").kill_report().expect("a report").clone()
    });
    check_report(&report, tag, "paused");
    // Control groups v1 hold KILL back.
    assert!(matches!(report.outcome, KillOutcome::Alive | KillOutcome::Gone), "{report:?}");
    live.plain(&["unpause", name])?;
    let begun = Instant::now();
    while !sleepers(tag).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", sleepers(tag));
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A process that takes no part in the machine's time, as on one under load: KILL is pending, and
/// it ends later.
fn killed_while_paused(live: &Live) -> Outcome {
    let mut limits = TimeLimits::DEFAULT;
    limits.kill_report = Duration::from_secs(30);
    let patient = live.builder().limits(limits).build()?;
    let sandbox = Sandbox::idle(live)?;
    let (tag, name, deadline) = (fresh_tag(), sandbox.name.as_str(), sandbox.allow(DEADLINE)?);
    let request = ExecRequest::new(["sleep", &tag.to_string()])?;
    let container = patient.container(&sandbox.name);
    let report = std::thread::scope(|scope| {
        let call = scope.spawn(|| container.exec(&request, &Until::after(deadline)));
        wait_for_sleepers(tag, 1);
        let sleeper = sleepers(tag)[0];
        live.plain(&["pause", name]).expect("paused");
        while !procfs::is_being_killed(sleeper).expect("its state") {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Longer than by default, and than those are given whom KILL does not reach.
        std::thread::sleep(TimeLimits::DEFAULT.kill_report + Duration::from_millis(500));
        live.plain(&["unpause", name]).expect("unpaused");
        call.join().expect("no panic").unwrap_err().kill_report().expect("a report").clone()
    });
    assert_eq!(report.outcome, KillOutcome::Gone, "{report:?}");
    check_report(&report, tag, "killed while paused");
    Ok(())
}

/// As of a container that others restart: KILL is pending for whatever the command has left, and
/// its supervisor, which could tell, is gone first. Control groups v2 do not hold KILL back.
fn killed_in_doubt(live: &Live) -> Outcome {
    let warm = WarmContainer::idle(live)?;
    let tag = fresh_tag();
    let script = format!("(setsid env -i sleep {tag} &); exec sleep 777777");
    let answer = std::thread::scope(|scope| -> Result<_, Problem> {
        let call = scope.spawn(|| warm.sh(&script));
        wait_for_sleepers(tag, 1);
        let orphan = procfs::entry(sleepers(tag)[0])?.ok_or("the orphan is gone")?;
        let hold = Hold::new(orphan.pid)?;
        for victim in [&orphan, &procfs::entry(warm.supervisors()[0])?.ok_or("no supervisor")?] {
            procfs::signal(victim, Signal::KILL)?;
        }
        // Longer than an OCI runtime is looked for on its way into the container.
        std::thread::sleep(Duration::from_millis(1200));
        assert!(!call.is_finished() || sleepers(tag).is_empty(), "{:?} is left", sleepers(tag));
        drop(hold);
        Ok(call.join().expect("no panic"))
    })?;
    assert_eq!(answer?.outcome, ExitOutcome::Lost);
    assert!(sleepers(tag).is_empty(), "{:?} runs on", sleepers(tag));
    warm.assert_leaves_nothing()
}

/// A process that is frozen apart from its container, until this is dropped.
struct Hold(Freezer);

impl Hold {
    fn new(pid: u32) -> Result<Self, Problem> {
        let hold = Self(Freezer::of(pid)?.below("held")?);
        fs::write(hold.0.group.join("cgroup.procs"), pid.to_string())?;
        hold.0.set_frozen(true)?;
        Ok(hold)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.set_frozen(false).expect("it goes on");
    }
}

/// Twelve at once for twelve seconds, while others use every processor that they can have.
fn load(live: &Live) -> Outcome {
    const FOR: Duration = Duration::from_secs(12);
    const AT_ONCE: u64 = 12;
    let seed = std::env::var("RT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        std::time::UNIX_EPOCH.elapsed().map_or(1, |now| u64::try_from(now.as_nanos()).unwrap_or(1))
    });
    println!("    RT_SEED={seed}");
    let busy = "for i in 1 2 3 4; do nice -n 10 sh -c 'while :; do :; done' & done; sleep 777777";
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", busy]))?;
    let (begun, ended) = (Instant::now(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for number in 0..AT_ONCE {
            let (sandbox, ended) = (&sandbox, &ended);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed.wrapping_add(number));
                while begun.elapsed() < FOR {
                    let tag = fresh_tag();
                    let script = SCRIPTS[random.usize(..3)].0;
                    let script = format!("touch /tmp/{tag}; {script}").replace("TAG", &tag.to_string());
                    let request = ExecRequest::new(["sh", "-c", &script]).unwrap();
                    let until = Until::after(Duration::from_millis(random.u64(..3000)));
                    let error = sandbox.container.exec(&request, &until).unwrap_err();
                    let report = error.kill_report().unwrap_or_else(|| panic!("{error:?}"));
                    check_report(report, tag, &format!("{script}, {error}"));
                    ended.lock().unwrap().push((tag, report.clone()));
                }
            });
        }
    });
    let ended = ended.into_inner().unwrap();
    let ran = sandbox.sh("ls /tmp")?.stdout.text().into_owned();
    let mut counts = BTreeMap::new();
    for (tag, report) in &ended {
        let has_run = ran.lines().any(|line| line == tag.to_string());
        assert!(report.outcome != KillOutcome::NeverStarted || !has_run, "it has run: {report:?}");
        assert!(sleepers(*tag).is_empty(), "{report:?}");
        *counts.entry(format!("{:?}", report.outcome)).or_insert(0) += 1;
    }
    let longest = ended.iter().map(|(_, report)| report.elapsed).max().unwrap_or_default();
    println!("    {} commands, the longest end took {longest:?}: {counts:?}", ended.len());
    assert!(longest < BOUND, "{longest:?}");
    let doubtful: Vec<_> =
        counts.keys().filter(|outcome| outcome.starts_with("Unknown") || *outcome == "Alive").collect();
    assert!(doubtful.is_empty(), "{doubtful:?}");
    Ok(())
}
