//! The threat model of the warm path (SECURITY.md), each promise tried from inside a hostile
//! container.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;

use rt_podman::{ColdReason, ExecPath, Warmth};
use rt_protocol::{ContainerRuntime, ExecRequest, ExitOutcome, User};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rustix::fs::{SealFlags, fcntl_get_seals};

use crate::case::{Case, Outcome, Problem};
use crate::sleepers::{fresh_tag, kill_sleepers, wait_for_sleepers};
use crate::warm_container::{WarmContainer, minute};

pub(crate) const CASES: &[Case] = &[
    ("warm promises: nobody in the container reads, traces or rewrites an agent", closed_processes),
    ("warm promises: an agent and its supervisors hold nothing of the host", own_descriptors),
    ("warm promises: a command has its three streams and no other descriptor", three_descriptors),
    ("warm promises: what a command writes is output, and no status", no_forged_status),
    ("warm promises: the program in the container cannot be written", sealed_program),
    ("warm promises: a container that may trace is cold", tracing_containers),
];

/// With an agent and a supervisor in the container, of this user.
fn with_victims(
    live: &Live,
    user: Option<&str>,
    attack: impl FnOnce(&WarmContainer<'_>, &[u32]) -> Outcome,
) -> Outcome {
    let warm = WarmContainer::idle(live)?;
    let tag = fresh_tag();
    let mut request = ExecRequest::builder(["sleep", &tag.to_string()]);
    if let Some(user) = user {
        request = request.user(user);
    }
    let request = request.build()?;
    std::thread::scope(|scope| {
        let call = scope.spawn(|| warm.container.exec(&request, &minute()));
        wait_for_sleepers(tag, 1);
        let victims = [warm.agents(), warm.supervisors()].concat();
        assert_eq!(victims.len(), 2, "{victims:?}");
        let done = attack(&warm, &victims);
        kill_sleepers(tag);
        let result = call.join().expect("no panic")?;
        assert_eq!(result.outcome, ExitOutcome::Signal(String::from("KILL")));
        done
    })
}

fn inner_pid(pid: u32) -> Result<String, Problem> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).ok_or("no NSpid")?;
    Ok(String::from(numbers.split_whitespace().next_back().ok_or("no number")?))
}

/// `mem` and `syscall` are behind the kernel's check for ptrace(2) itself (`PTRACE_MODE_ATTACH`),
/// the others behind the one for reading.
fn closed_processes(live: &Live) -> Outcome {
    const ATTACK: &str = r#"
for what in mem environ maps syscall auxv; do
    head -c 1 /proc/$1/$what >/dev/null 2>&1 && [ -n "$(head -c 1 /proc/$1/$what | od)" ] && echo "read $what"
done
for what in exe cwd root fd/0 fd/1 fd/2 fd/3 fd/4; do readlink /proc/$1/$what >/dev/null 2>&1 && echo "followed $what"; done
for number in 0 1 2 3 4 5 6 7 8; do (: </proc/$1/fd/$number) 2>/dev/null && echo "opened $number"; done
for what in mem exe; do (printf x >/proc/$1/$what) 2>/dev/null && echo "wrote $what"; done
echo tried
"#;
    for victim_user in [None, Some("dev")] {
        with_victims(live, victim_user, |warm, victims| {
            // That the trial works: of a process of one's own all of it can be read.
            let own = ATTACK.replace("$1", "self");
            let seen = warm.sh(&own)?.stdout.text().into_owned();
            for what in ["read environ", "read maps", "followed exe", "followed fd/1", "opened 1"] {
                assert!(seen.contains(what), "{what}: {seen}");
            }
            for (attacker, victim) in
                ["0", "dev", "65534"].into_iter().flat_map(|user| victims.iter().map(move |pid| (user, *pid)))
            {
                let inner = inner_pid(victim)?;
                let request =
                    ExecRequest::builder(["sh", "-c", ATTACK, "sh", &inner]).user(attacker).build()?;
                let result = warm.container.exec(&request, &minute())?;
                assert_eq!(result.stdout.text(), "tried\n", "{attacker} at {victim_user:?}");
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// What descriptors are open on, as the host sees it.
fn descriptors(pid: u32) -> Result<Vec<PathBuf>, Problem> {
    let mut targets: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .collect();
    targets.sort();
    Ok(targets)
}

fn own_descriptors(live: &Live) -> Outcome {
    with_victims(live, None, |_, victims| {
        for victim in victims {
            let targets = descriptors(*victim)?;
            assert!((5..=8).contains(&targets.len()), "{targets:?}");
            let is_own = |target: &PathBuf| {
                let target = target.to_string_lossy();
                target == "/dev/null"
                    || ["pipe:", "socket:", "anon_inode:[signalfd]"]
                        .iter()
                        .any(|kind| target.starts_with(kind))
            };
            assert!(targets.iter().all(is_own), "{targets:?}");
        }
        Ok(())
    })
}

fn three_descriptors(live: &Live) -> Outcome {
    // The fourth is the listing's own.
    const LISTED: &str = "0\n1\n2\n3\n";
    with_victims(live, None, |warm, _| {
        let request = ExecRequest::new(["ls", "/proc/self/fd"])?;
        for _ in 0..20 {
            assert_eq!(warm.container.exec(&request, &minute())?.stdout.text(), LISTED);
        }
        let kinds = warm.sh("for n in 0 1 2; do readlink /proc/self/fd/$n; done")?.stdout.text().into_owned();
        let kinds: Vec<_> = kinds.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
        assert_eq!(kinds, ["/dev/null", "pipe", "pipe"]);
        Ok(())
    })
}

/// The bytes are reports as a supervisor sends them (`Started`, `Exited` with 0, `Gone`), on every
/// descriptor that it can reach.
fn no_forged_status(live: &Live) -> Outcome {
    const ATTACK: &str = r#"
for kind in 1 2 3 4 5 6; do
    for fd in 0 1 2 3 4 5 6 7 8 9; do
        (printf "\00$kind\000\000\000\000\000\000\000" >&$fd) 2>/dev/null
        for pid in $PPID 1; do (printf "\00$kind\000\000\000\000\000\000\000" >/proc/$pid/fd/$fd) 2>/dev/null; done
    done
done
exit 7"#;
    let warm = WarmContainer::idle(live)?;
    for ending in ["exit 7", "kill -USR1 $$"] {
        let result = warm.sh(&ATTACK.replace("exit 7", ending))?;
        let expected =
            if ending == "exit 7" { ExitOutcome::Code(7) } else { ExitOutcome::Signal(String::from("USR1")) };
        assert_eq!(result.outcome, expected);
        // Six reports of eight bytes each, on the one of these descriptors that is not closed.
        assert_eq!((result.stdout.as_bytes().len(), result.stderr.as_bytes().len()), (48, 0));
    }
    warm.assert_leaves_nothing()
}

/// The host's root is the strongest that could try.
fn sealed_program(live: &Live) -> Outcome {
    with_victims(live, None, |_, victims| {
        for victim in victims {
            let path = format!("/proc/{victim}/exe");
            let seals = fcntl_get_seals(File::open(&path)?)?;
            let wanted = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
            assert!(seals.contains(wanted), "{seals:?}");
            assert!(OpenOptions::new().write(true).open(&path).is_err(), "it can be written");
        }
        Ok(())
    })
}

fn tracing_containers(live: &Live) -> Outcome {
    for arguments in [&["--cap-add=SYS_PTRACE"][..], &["--privileged"]] {
        let spec = Sandbox::spec(live).command(["sleep", "777777"]).extra_args(arguments.iter().copied());
        let warm = match WarmContainer::with_runtime(live, spec, live.builder().exec_path(ExecPath::Auto)) {
            // A host that has not everything to give refuses it.
            Err(error) if arguments == ["--privileged"] => {
                println!("    {arguments:?}: {error}");
                continue;
            }
            launched => launched?,
        };
        for user in [None, Some(User::new("dev")?)] {
            assert_eq!(
                warm.runtime.warm_up(&warm.sandbox.name, user.as_ref(), &minute())?,
                Warmth::Cold(ColdReason::MayTrace)
            );
        }
        assert_eq!(warm.sh("echo fine")?.stdout.text(), "fine\n");
        assert!(warm.agents().is_empty());
        let chosen = live.builder().exec_path(ExecPath::Warm).build()?;
        let error =
            chosen.container(&warm.sandbox.name).exec(&ExecRequest::new(["true"])?, &minute()).unwrap_err();
        assert!(error.never_started() && error.to_string().contains("CAP_SYS_PTRACE"), "{error}");
    }
    Ok(())
}
