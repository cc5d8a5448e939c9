//! Events of containers as podman tells them.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rt_protocol::{
    CancelToken, ContainerExt, ContainerName, ContainerRuntime, ErrorKind, Event, EventAction, EventOptions,
    NamePrefix, Pull, PullStream, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("events: nothing is missed between the subscription and the first pull", from_construction),
    ("events: exit codes, zero included", exit_codes),
    ("events: resuming at the last event's time tells the rest", resume),
    ("events: the stream goes on when podman's log is rotated, and tells each event once", rotation),
    ("events: no clock that is set hides what happens", clock_is_set),
    ("events: execs and other families are not told", dropped),
    ("events: a podman that keeps no log of events is an error", no_log),
    ("events: a killed podman is an error and not a quiet stream", killed),
    ("events: another thread ends a pull, and dropping leaves nothing", ended),
];

fn until() -> Until {
    Until::after(Duration::from_secs(30))
}

fn of(sandbox: &Sandbox<'_>) -> EventOptions {
    EventOptions::new().prefix(NamePrefix::new(family(&sandbox.name)).expect("a part of a name"))
}

fn family(name: &ContainerName) -> String {
    name.as_str().rsplit_once('-').map_or_else(String::new, |(family, _)| family.to_owned())
}

/// The events of this container up to `last`.
fn told(stream: &mut dyn PullStream<Event>, name: &ContainerName, last: EventAction) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match stream.pull(&until()) {
            Ok(Pull::Item(event)) if event.name == *name => {
                let done = event.action == last;
                events.push(event);
                if done {
                    return events;
                }
            }
            Ok(Pull::Item(_)) => {}
            other => panic!("{other:?} after {events:?}"),
        }
    }
}

fn from_construction(live: &Live) -> Outcome {
    for _ in 0..5 {
        let mut stream = live.runtime.events(&EventOptions::new(), &Until::forever())?;
        // At once, while podman is still starting; and its end is seen although it is pulled only
        // afterwards.
        let sandbox = Sandbox::create(&live.runtime, Sandbox::spec(live).command(["true"]))?;
        let name = sandbox.name.clone();
        drop(sandbox);
        let events = told(stream.as_mut(), &name, EventAction::Removed);
        assert_eq!(events.first().map(|event| event.action), Some(EventAction::Created), "{events:?}");
    }
    Ok(())
}

fn exit_codes(live: &Live) -> Outcome {
    for code in [0, 7] {
        let mut stream = live.runtime.events(&EventOptions::new(), &Until::forever())?;
        let spec = Sandbox::spec(live).command(["sh".to_owned(), "-c".to_owned(), format!("exit {code}")]);
        let sandbox = Sandbox::launch(&live.runtime, spec)?;
        let _ = sandbox.container.wait(&until())?;
        let events = told(stream.as_mut(), &sandbox.name, EventAction::Died);
        let died = events.last().expect("the death");
        assert_eq!(died.exit_code, Some(code), "{events:?}");
        assert_eq!(died.id, sandbox.container.id(Until::forever())?);
        assert!(events.iter().rev().skip(1).all(|event| event.exit_code.is_none()), "{events:?}");
    }
    Ok(())
}

fn resume(live: &Live) -> Outcome {
    let begun = SystemTime::now();
    let sandbox = Sandbox::idle(live)?;
    let name = sandbox.name.clone();
    let mut stream = live.runtime.events(&of(&sandbox).since(begun), &Until::forever())?;
    let first = told(stream.as_mut(), &name, EventAction::Created).pop().expect("the making");
    stream.close()?;
    let options = of(&sandbox).since(first.time);
    drop(sandbox);
    let mut stream = live.runtime.events(&options, &Until::forever())?;
    let rest = told(stream.as_mut(), &name, EventAction::Removed);
    assert_eq!(rest.first(), Some(&first), "the event of that very time is told again");
    assert!(rest.iter().any(|event| event.action == EventAction::Started), "{rest:?}");
    assert!(rest.iter().all(|event| event.time >= first.time), "{rest:?}");
    Ok(())
}

/// The settings of this podman, but for a log of events of its own in that directory: `events.log`.
pub(crate) fn conf_with_own_log(directory: &Path, max_size: u32) -> rt_tests::ssh_lab::Result<PathBuf> {
    let log = directory.join("events.log");
    let conf = std::fs::read_to_string(std::env::var_os("CONTAINERS_CONF").ok_or("no containers.conf")?)?;
    let conf: String = conf
        .lines()
        .filter(|line| !line.starts_with("events_logfile_"))
        .map(|line| {
            let own = format!(
                "events_logfile_path = \"{}\"\nevents_logfile_max_size = {max_size}\n",
                log.display()
            );
            if line == "[engine]" { format!("{line}\n{own}") } else { format!("{line}\n") }
        })
        .collect();
    let own_conf = directory.join("containers.conf");
    std::fs::write(&own_conf, conf)?;
    Ok(own_conf)
}

/// A podman with a small log of events of its own.
fn rotation(live: &Live) -> Outcome {
    let directory = tempfile::tempdir()?;
    let log = directory.path().join("events.log");
    let own_conf = conf_with_own_log(directory.path(), 8000)?;
    let runtime = live.builder().env("CONTAINERS_CONF", &own_conf).build()?;
    let mut stream = runtime.events(&EventOptions::new(), &Until::forever())?;
    let (mut made, mut told, mut rotations) = (Vec::new(), Vec::new(), 0);
    let mut size = 0;
    for _ in 0..20 {
        let sandbox = Sandbox::create(&runtime, Sandbox::spec(live).command(["true"]))?;
        let name = sandbox.name.clone();
        drop(sandbox);
        made.extend([(name.clone(), EventAction::Created), (name.clone(), EventAction::Removed)]);
        let now = log.metadata()?.len();
        rotations += usize::from(now < size);
        size = now;
        // The pace of a caller who reads along: a log whose older half went unread is another case.
        loop {
            match stream.pull(&until())? {
                Pull::Item(event) => {
                    let is_last = event.name == name && event.action == EventAction::Removed;
                    told.push((event.name, event.action));
                    if is_last {
                        break;
                    }
                }
                other => panic!("{other:?} after {told:?}"),
            }
        }
    }
    assert!(rotations > 0, "the log was never rotated, and is of {size} bytes");
    assert_eq!(told, made);
    Ok(())
}

/// podman's own line of a container, written again under other names and as by a clock that was
/// set.
fn clock_is_set(live: &Live) -> Outcome {
    let directory = tempfile::tempdir()?;
    let own_conf = conf_with_own_log(directory.path(), 1_000_000)?;
    let runtime = live.builder().env("CONTAINERS_CONF", &own_conf).build()?;
    let made = Sandbox::create(&runtime, Sandbox::spec(live).command(["true"]))?.name.clone();
    let path = directory.path().join("events.log");
    let log = std::fs::read_to_string(&path)?;
    let making = log.lines().find(|text| text.contains(r#""Status":"create""#)).ok_or("no making")?;
    let year = making.split_once(r#""Time":""#).ok_or("no time")?.1.split_once('-').ok_or("no year")?.0;
    let mut stream = runtime.events(&EventOptions::new(), &Until::forever())?;
    let mut told = Vec::new();
    for (name, other_year) in [("c-1", "2025"), ("c-2", "2031"), ("c-3", "2025")] {
        let changed = making
            .replace(&format!(r#""Time":"{year}-"#), &format!(r#""Time":"{other_year}-"#))
            .replace(made.as_str(), name);
        writeln!(File::options().append(true).open(&path)?, "{changed}")?;
        let Pull::Item(event) = stream.pull(&until())? else { panic!("no event of {name}") };
        assert_eq!(event.name.as_str(), name);
        told.push(event);
    }
    let mut resumed = runtime.events(&EventOptions::new().since(told[1].time), &Until::forever())?;
    for event in &told[1..] {
        assert_eq!(resumed.pull(&until())?, Pull::Item(event.clone()));
    }
    assert_eq!(resumed.pull(&Until::after(Duration::from_millis(300)))?, Pull::Pending);
    Ok(())
}

fn dropped(live: &Live) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let mut all = live.runtime.events(&EventOptions::new(), &Until::forever())?;
    let mut other =
        live.runtime.events(&EventOptions::new().prefix(NamePrefix::new("another")?), &Until::forever())?;
    sandbox.sh("true")?.exit_ok()?;
    let name = sandbox.name.clone();
    drop(sandbox);
    let events = told(all.as_mut(), &name, EventAction::Removed);
    // podman 5.4 tells of a removal by force that it stopped the container, 4.3 does not.
    let mut actions: Vec<_> = events.iter().map(|event| event.action).collect();
    actions.retain(|action| *action != EventAction::Stopped);
    assert_eq!(actions, [EventAction::Died, EventAction::Removed]);
    assert_eq!(other.pull(&Until::after(Duration::from_millis(300)))?, Pull::Pending);
    Ok(())
}

fn no_log(live: &Live) -> Outcome {
    let runtime = live.builder().global_arg("--events-backend=none").build()?;
    let error = runtime.events(&EventOptions::new(), &Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
    assert!(error.to_string().contains("none"), "{error}");
    Ok(())
}

fn killed(live: &Live) -> Outcome {
    // TERM: 4.3 exits with 0 on it, which must not look like a quiet end.
    for signal in ["-TERM", "-KILL"] {
        let mut stream = live.runtime.events(&EventOptions::new(), &Until::forever())?;
        assert_eq!(stream.pull(&Until::after(Duration::from_millis(300)))?, Pull::Pending);
        let own = std::process::id();
        let client = rt_process::procfs::snapshot()?
            .into_iter()
            .find(|entry| entry.parent == own && entry.name.starts_with("podman"))
            .expect("the podman that tells");
        let kill = rt_process::ProcessSpec::new(&rt_process::Program::find("sh")?)
            .args(["-c".to_owned(), format!("kill {signal} {}", client.pid)]);
        let limit = rt_protocol::OutputLimit::UNLIMITED;
        rt_process::capture(&kill, rt_protocol::Source::empty(), limit, limit, &until())?;
        let error = stream.pull(&until()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
        assert_eq!(stream.pull(&until())?, Pull::End);
    }
    Ok(())
}

fn ended(live: &Live) -> Outcome {
    let mut stream =
        live.runtime.events(&EventOptions::new().prefix(NamePrefix::new("nobody")?), &Until::forever())?;
    let token = CancelToken::new();
    let waiting = Until::cancelled(&token);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let puller = scope.spawn(|| stream.pull(&waiting));
        std::thread::sleep(Duration::from_millis(200));
        token.cancel();
        assert!(matches!(puller.join().expect("no panic"), Ok(Pull::Pending)));
    });
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(stream);
    Ok(())
}
