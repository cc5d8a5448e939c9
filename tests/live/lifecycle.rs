//! From create to removal.

use std::time::{Duration, Instant};

use rt_process::{Child, ChildStdio, ProcessSpec, Program};
use rt_protocol::{
    BindMount, ContainerExt, ContainerFilter, ContainerName, ContainerRuntime, ContainerRuntimeExt,
    ContainerState, ErrorKind, ExitOutcome, ImageExt, ImageFilter, ImageRef, LaunchSpec, NamePrefix, Network,
    Owner, PortMapping, TransportProtocol, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("lifecycle: create makes and does not start", create),
    ("lifecycle: one inspect tells what was asked for", inspect),
    ("lifecycle: start twice is no error", start_twice),
    ("lifecycle: stop waits for the grace period, and zero is allowed", stop),
    ("lifecycle: wait answers the exit code, before and after the end", wait),
    ("lifecycle: wait answers when the container removes itself", wait_with_removal),
    ("lifecycle: wait ends at its deadline and leaves the container alone", wait_deadline),
    ("lifecycle: podman picks a port, and it is read back", port),
    ("lifecycle: removal answers for each name, in order", removal),
    ("lifecycle: the containers of a process that has ended are orphans", orphans),
    ("lifecycle: sizes are exact bytes", sizes),
    ("lifecycle: images are listed, described and removed", images),
    ("lifecycle: reserved ports are distinct and free afterwards", ports),
    ("lifecycle: the login command is an argv and runs nothing", login),
    (
        "lifecycle: no container holds the caller's directory, nor needs it; relative paths count from it",
        directory,
    ),
    ("lifecycle: the probe finds this podman usable and leaves nothing", probe),
];

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

/// Back where it was, also after a panic.
struct Back(std::path::PathBuf);

impl Drop for Back {
    fn drop(&mut self) {
        let _ = std::env::set_current_dir(&self.0);
    }
}

fn directory(live: &Live) -> Outcome {
    let _back = Back(std::env::current_dir()?);
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("given"), "from here")?;
    std::os::unix::fs::symlink(&live.podman, directory.path().join("podman"))?;
    std::env::set_current_dir(directory.path())?;
    let relative = live.builder().binary("./podman").build()?;
    let spec = Sandbox::spec(live).extra_args(["--volume", "./given:/given:ro"]).command(["sleep", "777777"]);
    let sandbox = Sandbox::launch(&relative, spec)?;
    assert_eq!(sandbox.sh("cat /given")?.stdout, "from here");
    let id = sandbox.container.id(Until::forever())?.ok_or("no id")?;
    let its_own = |entry: &rt_process::procfs::ProcessEntry| {
        std::fs::read(format!("/proc/{}/cmdline", entry.pid))
            .is_ok_and(|words| words.split(|byte| *byte == 0).any(|word| word == id.as_str().as_bytes()))
    };
    let holders: Vec<_> = rt_process::procfs::snapshot()?.into_iter().filter(its_own).collect();
    assert!(!holders.is_empty(), "its conmon is not found");
    for holder in holders {
        let held = std::fs::read_link(format!("/proc/{}/cwd", holder.pid))?;
        assert!(!held.starts_with(directory.path()), "{holder:?} holds {}", held.display());
    }
    drop(directory);
    assert!(std::env::current_dir().is_err());
    for extra in [&[][..], &["--hostname", "there"]] {
        let spec = Sandbox::spec(live).extra_args(extra.iter().copied()).command(["sleep", "777777"]);
        let sandbox = Sandbox::launch(&live.runtime, spec)?;
        assert_eq!(sandbox.sh("echo here")?.stdout, "here\n");
    }
    Ok(())
}

fn create(live: &Live) -> Outcome {
    let sandbox = Sandbox::create(&live.runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    assert_eq!(sandbox.container.state(Until::forever())?, Some(ContainerState::Created));
    assert_eq!(sandbox.container.started_at(Until::forever())?, None);
    sandbox.container.start(&until())?;
    assert_eq!(sandbox.container.state(Until::forever())?, Some(ContainerState::Running));
    assert!(sandbox.container.started_at(Until::forever())?.is_some());
    Ok(())
}

fn inspect(live: &Live) -> Outcome {
    let directory = tempfile::tempdir()?;
    let spec = Sandbox::spec(live)
        .command(["sleep", "777777"])
        .label("purpose", "a test = one")
        .mount(BindMount::read_only(directory.path(), "/data, with \"odd\" name")?);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let info = sandbox.container.inspect(&Until::forever())?.ok_or("absent")?;
    assert_eq!(info.name, sandbox.name);
    assert_eq!(info.id.as_str().len(), 64);
    assert_eq!(info.labels.get("purpose").map(String::as_str), Some("a test = one"));
    assert_eq!(info.image_name.as_deref(), Some(live.image.as_str()));
    let mount = info
        .mounts
        .iter()
        .find(|mount| mount.source.as_deref() == Some(directory.path()))
        .ok_or("no mount")?;
    assert_eq!(mount.destination.to_str(), Some("/data, with \"odd\" name"));
    let image = sandbox.container.image(&Until::forever())?.ok_or("no image")?;
    assert_eq!(image.id(Until::forever())?, live.image_handle(&live.image).id(Until::forever())?);
    Ok(())
}

fn start_twice(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    sandbox.container.start(&until())?;
    assert!(sandbox.container.running(Until::forever())?);
    Ok(())
}

fn stop(live: &Live) -> Outcome {
    // `sleep` as process 1 ignores TERM.
    let sandbox = Sandbox::idle(live)?;
    let begun = Instant::now();
    sandbox.container.stop(Duration::from_millis(1500), &until())?;
    assert!(begun.elapsed() >= Duration::from_secs(2), "rounded up: {:?}", begun.elapsed());
    // podman may still clean up.
    let state = sandbox.container.state(Until::forever())?;
    assert!(matches!(state, Some(ContainerState::Exited | ContainerState::Stopped)), "{state:?}");
    sandbox.container.stop(Duration::ZERO, &until())?;
    sandbox.container.start(&until())?;
    sandbox.container.stop(Duration::ZERO, &until())?;
    assert!(!sandbox.container.running(Until::forever())?);
    // A caller who gives up does not leave it half stopped.
    sandbox.container.start(&until())?;
    let error = sandbox
        .container
        .stop(Duration::from_secs(2), &Until::after(Duration::from_millis(300)))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let begun = Instant::now();
    while sandbox.container.state(Until::forever())? != Some(ContainerState::Exited) {
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "{:?}",
            sandbox.container.state(Until::forever())?
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn wait(live: &Live) -> Outcome {
    let sandbox =
        Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", "sleep 1; exit 7"]))?;
    assert_eq!(sandbox.container.wait(&until())?, ExitOutcome::Code(7));
    assert_eq!(sandbox.container.wait(&until())?, ExitOutcome::Code(7));
    assert_eq!(sandbox.container.inspect(&Until::forever())?.and_then(|info| info.exit_code), Some(7));
    Ok(())
}

fn wait_with_removal(live: &Live) -> Outcome {
    for code in [0, 5] {
        // Long enough for the wait to begin on a machine as busy as this one.
        let begun = Instant::now();
        let _ = live.runtime.container(&Sandbox::fresh_name().parse()?).state(Until::forever())?;
        let seconds = 1.0 + 8.0 * begun.elapsed().as_secs_f64();
        let script = format!("sleep {seconds}; exit {code}");
        let spec = Sandbox::spec(live).command(["sh", "-c", &script]).extra_args(["--rm"]);
        let sandbox = Sandbox::launch(&live.runtime, spec)?;
        assert_eq!(sandbox.container.wait(&until())?, ExitOutcome::Code(code));
    }
    Ok(())
}

fn wait_deadline(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let error = sandbox.container.wait(&Until::after(Duration::from_millis(500))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(sandbox.container.running(Until::forever())?);
    Ok(())
}

fn port(live: &Live) -> Outcome {
    let spec = LaunchSpec::builder(Sandbox::fresh_name(), live.image.as_str())
        .command(["sleep", "777777"])
        .port(PortMapping::any_port_on_loopback(2222));
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let ports = sandbox.container.ports(Until::forever())?.ok_or("absent")?;
    assert_eq!(ports.len(), 1, "{ports:?}");
    assert_eq!((ports[0].container_port, ports[0].protocol), (2222, TransportProtocol::Tcp));
    assert_eq!(ports[0].host_ip, Some([127, 0, 0, 1].into()));
    assert!(ports[0].host_port > 0);
    let listed = live.runtime.list(&ContainerFilter::all(), &Until::forever())?;
    let listed = listed.iter().find(|info| info.name == sandbox.name).ok_or("not listed")?;
    assert_eq!(listed.ports, ports);
    Ok(())
}

fn removal(live: &Live) -> Outcome {
    let first = Sandbox::idle(live)?;
    let second = Sandbox::create(&live.runtime, Sandbox::spec(live))?;
    let absent = ContainerName::new("rtt-absent")?;
    let names = [first.name.clone(), absent.clone(), second.name.clone(), absent];
    let results = live.runtime.force_remove(&names, &until());
    assert_eq!(
        results.iter().map(|result| &result.name).collect::<Vec<_>>(),
        names.iter().collect::<Vec<_>>()
    );
    assert!(results.iter().all(|result| result.removed && result.error.is_none()), "{results:?}");
    assert_eq!(
        (first.container.state(Until::forever())?, second.container.state(Until::forever())?),
        (None, None)
    );
    assert!(live.runtime.force_remove(&[], &until()).is_empty());
    Ok(())
}

fn orphans(live: &Live) -> Outcome {
    let spec = ProcessSpec::new(&Program::find("sleep")?).args(["777777"]);
    let owner = Child::spawn(&spec, ChildStdio::null())?;
    let family = Sandbox::fresh_name();
    let launch = |rest: &str, owner: &Owner| {
        let spec =
            LaunchSpec::builder(format!("{family}-{rest}"), live.image.as_str()).network(Network::None);
        Sandbox::launch(&live.runtime, spec.command(["sleep", "777777"]).owner(owner))
    };
    let its = launch("its", &Owner::process(owner.pid())?)?;
    let ours = launch("ours", &Owner::this_process()?)?;
    let reap = || live.runtime.remove_orphans(&NamePrefix::new(&family)?, until());
    assert_eq!(reap()?.len(), 0, "both owners run");
    owner.end(Duration::ZERO)?;
    let removed: Vec<_> = reap()?.into_iter().map(|result| (result.name.clone(), result.removed)).collect();
    assert_eq!(removed, [(its.name.clone(), true)]);
    assert!(ours.container.running(until())?);
    Ok(())
}

fn sizes(live: &Live) -> Outcome {
    let family = Sandbox::fresh_name();
    let spec = LaunchSpec::builder(format!("{family}-a"), live.image.as_str())
        .network(Network::None)
        .command(["sleep", "777777"]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let before = sandbox.container.rw_size(&Until::forever())?.ok_or("absent")?;
    sandbox.sh("dd if=/dev/zero of=/var/file bs=1000 count=1234 2>/dev/null")?.exit_ok()?;
    let after = sandbox.container.rw_size(&Until::forever())?.ok_or("absent")?;
    assert_eq!(after - before, 1_234_000);
    let sizes = live.runtime.rw_sizes(&NamePrefix::new(&family)?, &Until::forever())?;
    assert_eq!(sizes.get(&sandbox.name), Some(&after));
    assert_eq!(live.runtime.container(&ContainerName::new("rtt-absent")?).rw_size(&Until::forever())?, None);
    Ok(())
}

fn images(live: &Live) -> Outcome {
    let image = live.image_handle(&live.image);
    assert!(image.exists(Until::forever())?);
    assert_eq!(
        image.labels(Until::forever())?.ok_or("absent")?.get("made-by").map(String::as_str),
        Some("rt-tests")
    );
    assert!(image.history(&Until::forever())?.is_some_and(|layers| !layers.is_empty()));
    let listed = live.runtime.images(&ImageFilter::all(), &Until::forever())?;
    let found = listed
        .iter()
        .find(|image| image.repository() == Some("localhost/rt-test") && image.tag() == Some("full"));
    let found = found.ok_or("not listed")?;
    assert!(found.size().is_some_and(|size| size > 100_000) && found.created().is_some());
    assert_eq!(image.id(Until::forever())?.map(ImageRef::from).as_ref(), Some(found.reference()));
    let absent = live.image_handle(&ImageRef::new("localhost/rt-absent")?);
    assert_eq!(
        (absent.exists(Until::forever())?, absent.id(Until::forever())?, absent.history(&Until::forever())?),
        (false, None, None)
    );
    let _user = Sandbox::idle(live)?;
    match found.remove(&Until::forever())? {
        rt_protocol::ImageRemoval::Refused(reason) => assert!(reason.contains("in use"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(image.exists(Until::forever())?);
    Ok(())
}

fn ports(live: &Live) -> Outcome {
    for host in ["127.0.0.1", "::1"] {
        let mut held = Vec::new();
        for _ in 0..50 {
            held.push(live.runtime.reserve_port(host.parse()?)?);
        }
        let mut numbers: Vec<_> = held.iter().map(|port| port.port()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
        let address = held[0].address();
        assert!(std::net::TcpStream::connect(address).is_err(), "bound and not listening");
        held[0].close()?;
        held[0].close()?;
        std::net::TcpListener::bind(address)?;
    }
    Ok(())
}

fn login(live: &Live) -> Outcome {
    let absent = live.runtime.container(&ContainerName::new("rtt-absent")?);
    let words = absent.login_command(None, &Until::forever())?;
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    assert!(words[0].starts_with('/') && words[0].ends_with("podman"), "{words:?}");
    assert_eq!(words[1..], ["exec", "-it", "--", "rtt-absent", "tmux", "new-session", "-A", "-s", "main"]);
    Ok(())
}

fn probe(live: &Live) -> Outcome {
    let before = live.runtime.list(&ContainerFilter::all(), &Until::forever())?.len();
    live.runtime.probe(&until())?;
    assert_eq!(live.runtime.list(&ContainerFilter::all(), &Until::forever())?.len(), before);
    let found = rt::detect(&until());
    let podman = found.iter().find(|found| found.backend == rt::Backend::Podman).ok_or("not tried")?;
    assert!(podman.is_usable(), "{podman}");
    Ok(())
}
