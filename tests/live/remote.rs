//! `podman --remote`: every verb through the service of the same podman. The truth is what plain
//! podman says.

use std::fs;
use std::io::Cursor;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rt_podman::{ColdReason, ExecPath, PodmanRuntime, Warmth};
use rt_process::{LineStream, ProcessSpec, Program, procfs};
use rt_protocol::{
    ContainerExt, ContainerFilter, ContainerPath, ContainerRuntime, ContainerRuntimeExt, ContainerState,
    CopyOptions, ErrorKind, EventAction, EventOptions, ExecRequest, ExecStdio, ExitOutcome, ImageExt,
    ImageFilter, ImageRef, ImageRemoval, KillOutcome, LogOptions, NamePrefix, OciRuntime, Pull, Signal, Sink,
    Source, StreamEnd, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use tempfile::TempDir;

use crate::case::{Case, Outcome, Problem};
use crate::sleepers::{fresh_tag, sleepers};

pub(crate) const CASES: &[Case] = &[
    ("remote: a container's verbs are served", containers),
    ("remote: images and removals are served", images),
    ("remote: each command's own code is told, each time", codes),
    ("remote: a start that fails says why, unless the service keeps it to itself", failed_starts),
    ("remote: no output is called whole, and none repeats or swaps a byte", outputs),
    ("remote: what only a local podman takes is refused with its reason", unserved),
    ("remote: commands go by podman where no descriptor can be passed", without_agents),
];

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

/// A podman service of this store, and a runtime whose podman is its client.
struct Service {
    runtime: PodmanRuntime,
    process: LineStream,
    conf: PathBuf,
    _directory: TempDir,
}

impl Drop for Service {
    /// Ends it, and the conmon of each exec: a service lets them wait five minutes before they
    /// clean up.
    fn drop(&mut self) {
        self.process.close();
        let conf = self.conf.to_string_lossy();
        let is_of_this =
            |pid| procfs::environment_has(pid, "CONTAINERS_CONF", &conf).is_ok_and(|has| has == Some(true));
        for entry in procfs::snapshot().unwrap_or_default().iter().filter(|entry| is_of_this(entry.pid)) {
            let _ = procfs::signal(entry, Signal::KILL);
        }
    }
}

impl Service {
    fn start(live: &Live) -> Result<Self, Problem> {
        let directory = TempDir::new()?;
        let (socket, conf) = (directory.path().join("s"), directory.path().join("containers.conf"));
        let url = format!("unix://{}", socket.display());
        let own = fs::read_to_string(std::env::var_os("CONTAINERS_CONF").ok_or("no containers.conf")?)?;
        fs::write(&conf, own.lines().map(equal_limits).collect::<Vec<_>>().join("\n"))?;
        let spec = ProcessSpec::new(&Program::find("setpriv")?)
            .args(["--pdeathsig=KILL", "--"])
            .arg(&live.podman)
            .args(["system", "service", "--time=0", &url])
            .env("CONTAINERS_CONF", &conf);
        let mut process = LineStream::spawn(&spec, 4096)?;
        let (patience, mut said) = (until(), String::new());
        while UnixStream::connect(&socket).is_err() {
            match process.pull(&Until::after(Duration::from_millis(10)))? {
                Pull::Item(words) => said.push_str(&String::from_utf8_lossy(&words.bytes)),
                Pull::Pending if patience.check().is_ok() => {}
                _ => return Err(format!("the service does not come up: {said}").into()),
            }
        }
        let remote = live.builder().global_arg("--remote").global_arg("--url").global_arg(&url);
        let runtime = remote.exec_path(ExecPath::Auto).build()?;
        Ok(Self { runtime, process, conf, _directory: directory })
    }
}

/// The service of 4.3 takes the soft and the hard limits of `default_ulimits` for each other.
fn equal_limits(line: &str) -> String {
    if !line.starts_with("default_ulimits") {
        return line.to_owned();
    }
    let limits = line.split('"').map(|part| match part.split_once('=').zip(part.split_once(':')) {
        Some(((name, _), (_, hard))) => format!("{name}={hard}:{hard}"),
        None => part.to_owned(),
    });
    limits.collect::<Vec<_>>().join("\"")
}

fn containers(live: &Live) -> Outcome {
    let Service { runtime, .. } = &Service::start(live)?;
    assert_eq!(runtime.profile()?.remote, Some(true));
    let script = "echo out; echo err >&2; trap 'exit 7' TERM; while :; do sleep 0.1; done";
    let spec = Sandbox::spec(live).command(["sh", "-c", script]).env("RT_GIVEN", "1 2").label("a", "b");
    let mut events = runtime.events(&EventOptions::new(), &until())?;
    let sandbox = Sandbox::create(runtime, spec)?;
    let (name, container) = (&sandbox.name, sandbox.container.as_ref());
    let plain = |format: &str| -> Result<String, Problem> {
        Ok(live.plain(&["inspect", "--format", format, name.as_str()])?.trim().to_owned())
    };
    assert_eq!(container.state(until())?, Some(ContainerState::Created));
    container.start(&until())?;
    assert_eq!((plain("{{.State.Status}}")?.as_str(), container.running(until())?), ("running", true));
    let info = container.inspect(&until())?.ok_or("it is there")?;
    assert_eq!((info.id.as_str(), &info.name), (plain("{{.Id}}")?.as_str(), name));
    let listed = runtime.list(&ContainerFilter::all(), &until())?;
    assert!(listed.iter().any(|info| info.name == *name), "{listed:?}");
    let family = NamePrefix::new(Sandbox::family())?;
    assert_eq!(runtime.states(&family, until())?.get(name), Some(&ContainerState::Running));

    // The client may lose what is written at once.
    let result = sandbox.sh("sleep 0.5; echo $RT_GIVEN; echo to stderr >&2; exit 3")?;
    assert_eq!(result.outcome, ExitOutcome::Code(3));
    assert_eq!((result.stdout.text(), result.stderr.text()), ("1 2\n".into(), "to stderr\n".into()));
    let mut stdout = Vec::new();
    let streams = ExecStdio::new(Source::bytes(b"through".to_vec()), Sink::borrowed(&mut stdout));
    let result =
        container.exec_stdio(&ExecRequest::new(["sh", "-c", "sleep 0.5; cat"])?, streams, &until())?;
    assert_eq!((result.outcome, stdout.as_slice()), (ExitOutcome::Code(0), &b"through"[..]));
    let late = Until::after(Duration::from_secs(3));
    let tag = fresh_tag();
    let error = container.exec(&ExecRequest::new(["sleep", &tag.to_string()])?, &late).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(sleepers(tag).is_empty(), "{error:?}");

    let directory = TempDir::new()?;
    let (given, back) = (directory.path().join("given"), directory.path().join("back"));
    let bytes: Vec<u8> = (0..=250u8).cycle().take(300_000).collect();
    fs::write(&given, &bytes)?;
    let place = ContainerPath::new("/tmp/given")?;
    let options = CopyOptions::new();
    container.copy_in(&given, &place, &options, &until())?;
    container.copy_out(&place, &back, &options, &until())?;
    assert!(fs::read(&back)? == bytes);
    let mut archive = Vec::new();
    container.copy_out_tar(&place, &mut archive, &until())?;
    sandbox.sh("rm /tmp/given")?.exit_ok()?;
    container.copy_in_tar(&mut Cursor::new(archive), &ContainerPath::new("/tmp")?, &until())?;
    assert_eq!(sandbox.sh("sleep 0.5; wc -c </tmp/given")?.stdout.text().trim(), "300000");
    assert!(container.rw_size(&until())? > Some(0));

    container.stop(Duration::from_secs(20), &until())?;
    assert_eq!(container.wait(&until())?, ExitOutcome::Code(7));
    assert_eq!(plain("{{.State.ExitCode}}")?, "7");
    let mut log = container.logs(&LogOptions::new().follow(), &until())?;
    let mut lines = Vec::new();
    while let Pull::Item(line) = log.pull(&until())? {
        lines.push(String::from_utf8_lossy(&line.bytes).into_owned());
    }
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
    assert!(runtime.force_remove(std::slice::from_ref(name), &until())[0].removed);
    assert_eq!(container.state(until())?, None);
    let mut seen = Vec::new();
    while seen.last() != Some(&EventAction::Removed) {
        match events.pull(&until())? {
            Pull::Item(event) if event.name == *name => seen.push(event.action),
            Pull::Item(_) => {}
            other => return Err(format!("{seen:?}, then {other:?}").into()),
        }
    }
    for action in [EventAction::Created, EventAction::Started, EventAction::Died] {
        assert!(seen.contains(&action), "{action:?} is not among {seen:?}");
    }
    Ok(())
}

fn images(live: &Live) -> Outcome {
    let Service { runtime, .. } = &Service::start(live)?;
    let reference = ImageRef::new("localhost/rt-test:remote")?;
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_path_with_name(&live.busybox, "busybox")?;
    runtime.import_image(Cursor::new(archive.into_inner()?), &reference, &["LABEL a=b"], &until())?;
    let image = runtime.image(&reference);
    let id = live.plain(&["image", "inspect", "--format={{.Id}}", reference.as_str()])?;
    assert_eq!(image.id(until())?.map(|id| id.as_str().to_owned()).as_deref(), Some(id.trim()));
    assert!(image.inspect(&until())?.is_some() && image.history(&until())?.is_some());
    let images = runtime.images(&ImageFilter::all(), &until())?;
    assert!(
        images
            .iter()
            .any(|found| id.trim().ends_with(found.reference().as_str().trim_start_matches("sha256:"))),
        "{images:?}"
    );
    assert_eq!(image.remove(&until())?, ImageRemoval::Removed);
    assert!(!live.plain(&["images", "--quiet", "--no-trunc"])?.contains(id.trim()));
    let absent = runtime.image(&ImageRef::new("localhost/rt-test:absent")?);
    assert_eq!(absent.inspect(&until())?, None);
    Ok(())
}

/// A service keeps its record of an exec for minutes, and removes another one before its client has
/// gone.
fn codes(live: &Live) -> Outcome {
    let Service { runtime, .. } = &Service::start(live)?;
    let sandbox = Sandbox::launch(runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    for round in 0..3 {
        for code in [0, 1, 2, 3, 125, 126, 127, 137, 255] {
            let result = sandbox.sh(&format!("echo {round}; exit {code}"))?;
            assert_eq!(result.outcome, ExitOutcome::Code(code), "{round}");
        }
    }
    Ok(())
}

/// The service of 4.3.1 may close its socket before it has passed the reason on (seen in 3 of some
/// 100 starts, on a busy machine).
fn failed_starts(live: &Live) -> Outcome {
    let Service { runtime, .. } = &Service::start(live)?;
    let sandbox = Sandbox::launch(runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    let mut unsaid = 0;
    for round in 0..6 {
        for (word, kind) in
            [("/no/such", ErrorKind::CommandNotFound), ("/etc/passwd", ErrorKind::CommandNotExecutable)]
        {
            let error = sandbox.container.exec(&ExecRequest::new([word])?, &until()).unwrap_err();
            if error.kind() == ErrorKind::BackendFailed {
                let text = error.to_string();
                let is_known = ["connection reset by peer", "<no output>"].iter().any(|it| text.contains(it));
                assert!(is_known, "{round}: {error:?}");
                let report = error.kill_report().ok_or("no report")?;
                assert_eq!((&report.outcome, report.killed), (&KillOutcome::Gone, 0), "{round}: {error:?}");
                unsaid += 1;
            } else {
                assert_eq!(error.kind(), kind, "{round}: {error:?}");
            }
            let spec = Sandbox::spec(live).command([word]).build()?;
            let error = runtime.launch(&spec, until()).unwrap_err();
            assert_eq!(error.kind(), kind, "{round}: {error:?}");
        }
    }
    assert!(unsaid <= 2, "{unsaid} of 12 were told without a reason");
    Ok(())
}

/// The client of 4.3.1 loses the beginning of an output now and then, and its service the end where
/// stdin is left unread. It ends with the command's code all the same.
fn outputs(live: &Live) -> Outcome {
    let Service { runtime, .. } = &Service::start(live)?;
    let sandbox = Sandbox::launch(runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    let expected = (1..=60_000).map(|number| format!("{number}\n")).collect::<Vec<_>>().concat();
    for size in [0, 150_000, 1_000_000].repeat(3) {
        let mut stdout = Vec::new();
        let streams = ExecStdio::new(Source::bytes(vec![0; size]), Sink::borrowed(&mut stdout));
        let request = ExecRequest::new(["sh", "-c", "head -c1 >/dev/null; seq 1 60000; exit 4"])?;
        let result = sandbox.container.exec_stdio(&request, streams, &until())?;
        assert!(matches!(result.outcome, ExitOutcome::Code(4) | ExitOutcome::Lost), "{size}: {result:?}");
        assert!(expected.contains(&String::from_utf8(stdout)?), "{size}: {result:?}");
        assert_eq!(result.stdout.end, StreamEnd::Stopped, "{size}: {result:?}");
    }
    Ok(())
}

fn unserved(live: &Live) -> Outcome {
    let Service { runtime, .. } = &Service::start(live)?;
    let spec = Sandbox::spec(live).oci_runtime(OciRuntime::new("crun")?).command(["true"]).build()?;
    let error = runtime.launch(&spec, until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("remote")), "{error:?}");
    Ok(())
}

fn without_agents(live: &Live) -> Outcome {
    let Service { runtime, .. } = &Service::start(live)?;
    let sandbox = Sandbox::launch(runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    for number in 1..=3 {
        let result = sandbox.sh("echo once >>/tmp/ran; grep -c once /tmp/ran; exit 7")?;
        assert_eq!(result.outcome, ExitOutcome::Code(7));
        assert_eq!(
            live.plain(&["exec", sandbox.name.as_str(), "grep", "-c", "once", "/tmp/ran"])?,
            format!("{number}\n")
        );
    }
    let warmth = runtime.warm_up(&sandbox.name, None, &until())?;
    assert!(matches!(warmth, Warmth::Cold(ColdReason::Refused(_) | ColdReason::NotSeen)), "{warmth}");
    println!("    {warmth}");
    Ok(())
}
