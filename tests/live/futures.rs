//! Commands as futures on real podman: what they cost while they run, and that a dropped one is
//! ended.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rt_podman::ExecPath;
use rt_protocol::{
    ContainerRuntime, ExecRequest, ExitOutcome, KillOutcome, LogOptions, OutputLimit, SpawnStdio,
};
use rt_tests::krun::LoopbackGuest;
use rt_tests::leftovers::Leftovers;
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rt_tests::ssh_lab::loopback::Settings;
use rt_tokio::{AsyncContainer, AsyncRuntime, Orphan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

use crate::case::{Case, Outcome, Problem};
use crate::sleepers::{fresh_tag, sleepers, wait_for_sleepers};
use crate::warm_container::{WarmContainer, wait_until};

pub(crate) const CASES: &[Case] = &[
    ("futures: by an agent, running commands need no thread", no_thread),
    ("futures: by an agent, captured commands at once leave nothing", captured),
    ("futures: a dropped future ends its command, by an agent", dropped_warm),
    ("futures: a dropped future ends its command, by podman", dropped_cold),
    ("futures: an executor that shuts down ends what it ran", shut_down),
    ("futures: a stream that is dropped ends podman's log reader", dropped_log),
];

pub(crate) const KRUN_CASES: &[Case] = &[
    ("futures: in a guest, commands at once and with streams leave nothing", guest_at_once),
    ("futures: in a guest, a dropped future ends its command", dropped_in_guest),
];

/// How many commands run at once; `RT_WARM_AT_ONCE` sets another number, such as 500.
const AT_ONCE: usize = 40;

const LIMIT: Duration = Duration::from_secs(60);

fn at_once() -> usize {
    std::env::var("RT_WARM_AT_ONCE").map_or(AT_ONCE, |count| count.parse().expect("a number"))
}

fn executor() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("an executor")
}

/// An async runtime, and what became of the commands whose handles were dropped.
fn watched(runtime: impl ContainerRuntime + 'static) -> (AsyncRuntime, Arc<Mutex<Vec<Orphan>>>) {
    let orphans = Arc::<Mutex<Vec<Orphan>>>::default();
    let told = Arc::clone(&orphans);
    let builder = AsyncRuntime::builder(Arc::new(runtime));
    let runtime = builder.on_orphan(move |orphan| told.lock().unwrap().push(orphan)).build();
    (runtime, orphans)
}

fn status(line: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let found = status.lines().find_map(|each| each.strip_prefix(line)).expect("a line of it");
    found.trim_start_matches(':').trim().to_owned()
}

fn no_thread(live: &Live) -> Outcome {
    let count = at_once();
    let warm = WarmContainer::idle(live)?;
    assert!(warm.sh("true")?.success());
    let before = Leftovers::now();
    executor().block_on(async {
        let (runtime, orphans) = watched(warm.runtime.clone());
        let container = runtime.container(&warm.sandbox.name);
        let request = ExecRequest::new(["cat"])?;
        let mut commands = Vec::new();
        let begun = Instant::now();
        for _ in 0..count {
            commands.push(container.spawn(&request, SpawnStdio::new().piped_stdin(), LIMIT).await?);
        }
        let started = begun.elapsed();
        runtime.idle().await;
        assert_eq!((runtime.load().threads, Leftovers::now().threads.len()), (0, before.threads.len()));
        println!(
            "    {count} run, started in {started:.0?}: {} threads, {} descriptors, {} of memory",
            status("Threads"),
            Leftovers::now().descriptors.len(),
            status("VmRSS"),
        );
        for (number, command) in commands.iter_mut().enumerate() {
            let said = format!("{number}\n");
            command.stdin.as_mut().expect("it is piped").write_all(said.as_bytes()).await?;
            let mut echo = vec![0; said.len()];
            command.stdout.as_mut().expect("it is piped").read_exact(&mut echo).await?;
            assert_eq!(echo, said.as_bytes());
        }
        // Half of them end by themselves, while all are waited for; the others are dropped.
        let dropped = commands.split_off(count / 2);
        for command in &mut commands {
            assert_eq!(command.wait(LIMIT).await?.outcome, ExitOutcome::Code(0));
        }
        drop(dropped);
        runtime.idle().await;
        let orphans = orphans.lock().unwrap();
        assert_eq!(orphans.len(), count - count / 2);
        for orphan in &*orphans {
            assert_eq!(orphan.kill_report().expect("it was ended").outcome, KillOutcome::Gone, "{orphan}");
        }
        Ok::<_, Problem>(())
    })?;
    Leftovers::check_against(&before)?;
    warm.assert_leaves_nothing()
}

fn captured(live: &Live) -> Outcome {
    let count = at_once();
    let warm = WarmContainer::idle(live)?;
    assert!(warm.sh("true")?.success());
    let before = Leftovers::now();
    executor().block_on(async {
        let (runtime, orphans) = watched(warm.runtime.clone());
        let container = runtime.container(&warm.sandbox.name);
        let begun = Instant::now();
        let mut calls = Vec::new();
        for number in 0..count {
            let request = ExecRequest::builder(["sh", "-c", &format!("echo {number}; exec cat")])
                .output_limit(OutputLimit::bytes(100))
                .build()?;
            calls.push((number, tokio::spawn(container.exec(&request, LIMIT))));
        }
        let mut most = 0;
        for (number, call) in calls {
            let result = call.await??;
            most = most.max(runtime.load().threads);
            assert_eq!(
                (result.outcome, result.stdout.text()),
                (ExitOutcome::Code(0), format!("{number}\n").into())
            );
        }
        println!("    {count} commands in {:.0?}, with {most} threads", begun.elapsed());
        runtime.idle().await;
        assert!(orphans.lock().unwrap().is_empty());
        Ok::<_, Problem>(())
    })?;
    Leftovers::check_against(&before)?;
    warm.assert_leaves_nothing()
}

/// Drops a call and a running command in each way, and looks for what is left.
async fn drop_each(
    runtime: &AsyncRuntime,
    container: &AsyncContainer,
    orphans: &Mutex<Vec<Orphan>>,
) -> Outcome {
    let tag = fresh_tag();
    let script = format!("(setsid sleep {tag} &); sleep {tag} & exec sleep {tag}");
    let request = ExecRequest::new(["sh", "-c", &script])?;

    let timed_out = tokio::time::timeout(Duration::from_millis(1500), container.exec(&request, LIMIT)).await;
    assert!(timed_out.is_err());
    runtime.idle().await;
    assert!(sleepers(tag).is_empty(), "after a timeout: {:?}", sleepers(tag));

    let task = tokio::spawn(container.exec(&request, LIMIT));
    while sleepers(tag).len() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    task.abort();
    assert!(task.await.expect_err("it was aborted").is_cancelled());
    runtime.idle().await;
    assert!(sleepers(tag).is_empty(), "after an abort: {:?}", sleepers(tag));

    let child = container.spawn(&request, SpawnStdio::new(), LIMIT).await?;
    while sleepers(tag).len() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(child);
    runtime.idle().await;
    assert!(sleepers(tag).is_empty(), "after a drop: {:?}", sleepers(tag));

    let orphans = std::mem::take(&mut *orphans.lock().unwrap());
    assert_eq!(orphans.len(), 3, "{orphans:?}");
    for orphan in orphans {
        assert_eq!(orphan.kill_report().expect("it was ended").outcome, KillOutcome::Gone, "{orphan}");
    }
    Ok(())
}

fn dropped_warm(live: &Live) -> Outcome {
    let warm = WarmContainer::idle(live)?;
    assert!(warm.sh("true")?.success());
    let before = Leftovers::now();
    executor().block_on(async {
        let (runtime, orphans) = watched(warm.runtime.clone());
        drop_each(&runtime, &runtime.container(&warm.sandbox.name), &orphans).await
    })?;
    Leftovers::check_against(&before)?;
    warm.assert_leaves_nothing()
}

fn dropped_cold(live: &Live) -> Outcome {
    let sandbox = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    let before = Leftovers::now();
    executor().block_on(async {
        let (runtime, orphans) = watched(live.builder().exec_path(ExecPath::Cold).build()?);
        drop_each(&runtime, &runtime.container(&sandbox.name), &orphans).await
    })?;
    Leftovers::check_against(&before).map_err(Into::into)
}

/// A guest whose container is known, without connections.
fn guest(live: &Live) -> Result<LoopbackGuest<'_>, Problem> {
    let guest = LoopbackGuest::start(live, Settings::default())?;
    guest.container.exec(&ExecRequest::new(["true"])?, &LIMIT.into())?.exit_ok()?;
    guest.disconnect()?;
    Ok(guest)
}

fn guest_at_once(live: &Live) -> Outcome {
    let guest = guest(live)?;
    let before = Leftovers::now();
    executor().block_on(async {
        let (runtime, orphans) = watched(guest.runtime.clone());
        let container = runtime.container(&guest.sandbox.name);
        let mut calls = Vec::new();
        for number in 0..AT_ONCE {
            let request = ExecRequest::new(["sh", "-c", &format!("seq 1 20000; exit {}", number % 7)])?;
            calls.push((number, tokio::spawn(container.exec(&request, LIMIT))));
        }
        let request = ExecRequest::new(["cat"])?;
        let mut cat = container.spawn(&request, SpawnStdio::new().piped_stdin(), LIMIT).await?;
        let (mut stdin, mut stdout) = (cat.stdin.take().expect("piped"), cat.stdout.take().expect("piped"));
        let bytes = vec![b'x'; 1 << 20];
        let sent = bytes.clone();
        let writer = tokio::spawn(async move { stdin.write_all(&sent).await });
        let mut echo = Vec::new();
        stdout.read_to_end(&mut echo).await?;
        writer.await??;
        assert!(echo == bytes, "{} bytes came back", echo.len());
        assert_eq!(cat.wait(LIMIT).await?.outcome, ExitOutcome::Code(0));
        for (number, call) in calls {
            let result = call.await??;
            let code = i32::try_from(number % 7)?;
            assert_eq!((result.outcome, result.stdout.total()), (ExitOutcome::Code(code), 108_894));
        }
        runtime.idle().await;
        assert!(orphans.lock().unwrap().is_empty());
        Ok::<_, Problem>(())
    })?;
    // Connections that are kept are no leftovers.
    guest.disconnect()?;
    Leftovers::check_against(&before).map_err(Into::into)
}

fn dropped_in_guest(live: &Live) -> Outcome {
    let guest = guest(live)?;
    let before = Leftovers::now();
    executor().block_on(async {
        let (runtime, orphans) = watched(guest.runtime.clone());
        drop_each(&runtime, &runtime.container(&guest.sandbox.name), &orphans).await
    })?;
    // Connections that are kept are no leftovers.
    guest.disconnect()?;
    Leftovers::check_against(&before).map_err(Into::into)
}

fn shut_down(live: &Live) -> Outcome {
    let warm = WarmContainer::idle(live)?;
    assert!(warm.sh("true")?.success());
    let (before, tag) = (Leftovers::now(), fresh_tag());
    let (runtime, orphans) = watched(warm.runtime.clone());
    let container = runtime.container(&warm.sandbox.name);
    let request = ExecRequest::new(["sleep", &tag.to_string()])?;
    let executor = executor();
    executor.spawn(container.exec(&request, LIMIT));
    executor.block_on(async {
        let mut child = container.spawn(&request, SpawnStdio::new(), LIMIT).await?;
        tokio::spawn(async move { child.wait(LIMIT).await });
        tokio::task::yield_now().await;
        Ok::<_, Problem>(())
    })?;
    wait_for_sleepers(tag, 2);
    drop(executor);
    // Dropping the last handle waits for the end of the commands.
    drop((container, runtime));
    assert!(sleepers(tag).is_empty(), "{:?} run on", sleepers(tag));
    assert_eq!(orphans.lock().unwrap().len(), 2);
    Leftovers::check_against(&before)?;
    warm.assert_leaves_nothing()
}

fn dropped_log(live: &Live) -> Outcome {
    let spec = Sandbox::spec(live).command(["sh", "-c", "echo one; echo two; exec sleep 777777"]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let before = Leftovers::now();
    executor().block_on(async {
        let (runtime, _) = watched(live.runtime.clone());
        let container = runtime.container(&sandbox.name);
        let mut log = container.logs(&LogOptions::new().follow(), LIMIT).await?;
        for expected in ["one", "two"] {
            assert_eq!(log.next().await.expect("a line")?.text(), expected);
        }
        assert!(tokio::time::timeout(Duration::from_millis(50), log.next()).await.is_err());
        drop(log);
        runtime.idle().await;
        Ok::<_, Problem>(())
    })?;
    wait_until("the log reader ends", || Leftovers::now().children == before.children);
    Leftovers::check_against(&before).map_err(Into::into)
}
