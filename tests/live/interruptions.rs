//! podman's clients that others end at random moments of every verb but exec: each answer is the
//! truth, looked up by plain podman, or says that the client was interrupted; and nothing stays
//! that has no way out.
//!
//! Each case prints its seed; `RT_SEED` repeats it. Execs stand in `exec_interruptions`, pauses and
//! signals in `signal_interruptions`.

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use rt_protocol::{
    Container, ContainerExt, ContainerFilter, ContainerName, ContainerPath, ContainerRuntime, ContainerState,
    CopyOptions, ErrorKind, ExitOutcome, ImageExt, ImageFilter, ImageRef, LaunchSpec, NamePrefix, Network,
    Result, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;
use rustix::process::Signal;

use crate::case::{Case, Outcome};
use crate::interrupter::{
    Interrupter, TIME, is_alive, main_process, plain_state, send, unless_interrupted, until,
};
use crate::processes::find;
use crate::random::Random;

pub(crate) const CASES: &[Case] = &[
    ("interruption: a question whose client is ended has the right answer or none", questions),
    ("interruption: a create whose client is ended is done or undone", create),
    ("interruption: a start whose client is ended is done, or can be done again", start),
    ("interruption: a stop whose client is ended is done, or can be done again", stop),
    ("interruption: a wait whose client is ended tells no code that is none", wait),
    ("interruption: a removal whose client is ended leaves no process of what it calls removed", remove),
    ("interruption: a copy whose client is ended is whole or an error", copies),
    ("interruption: an import whose client is ended is whole or an error", import),
    ("interruption: a container that is being stopped is removed with its process", remove_stopping),
    ("interruption: a container whose conmon was killed has ended, and its code is lost", without_conmon),
    ("interruption: without conmon, a wait ends with the main process", wait_without_conmon),
    ("interruption: a prepared container of a start that was killed can be started", half_started),
];

fn spec(live: &Live, name: &str, command: &[&str]) -> Result<LaunchSpec> {
    LaunchSpec::builder(name, live.image.as_str())
        .network(Network::None)
        .command(command.iter().copied())
        .build()
}

fn questions(live: &Live) -> Outcome {
    let interrupter = Interrupter::new(live, "questions");
    let family = Sandbox::fresh_name();
    let described = LaunchSpec::builder(format!("{family}-a"), live.image.as_str())
        .network(Network::None)
        .command(["sleep", "777777"]);
    let sandbox = Sandbox::launch(&live.runtime, described)?;
    let (name, container) = (&sandbox.name, &sandbox.container);
    let image = live.image_handle(&live.image);
    let (id, layers) = (image.id(Until::forever())?, image.history(&Until::forever())?);
    let size = container.rw_size(&Until::forever())?;
    // One that does not run has an empty answer.
    let resting = Sandbox::create(&live.runtime, Sandbox::spec(live))?;
    let unpublished = resting.name.clone();
    let family = NamePrefix::new(&family)?;
    let is_listed = |found: Vec<rt_protocol::ContainerInfo>| found.iter().any(|info| info.name == *name);
    interrupter.repeat(2 * TIME, |interrupter| {
        let runtime = live.builder().build()?;
        let runtime = &runtime;
        let container = runtime.container(name);
        let mut ask = |what: &'static str, question: &dyn Fn() -> Result<bool>| {
            assert_ne!(unless_interrupted(what, interrupter.during(what, question)), Some(false), "{what}");
        };
        ask("list", &|| runtime.list(&ContainerFilter::all(), &Until::forever()).map(is_listed));
        ask("state", &|| Ok(container.state(Until::forever())? == Some(ContainerState::Running)));
        ask("rw_size", &|| Ok(container.rw_size(&Until::forever())? == size));
        ask("rw_sizes", &|| Ok(runtime.rw_sizes(&family, &Until::forever())?.contains_key(name)));
        ask("images", &|| Ok(runtime.images(&ImageFilter::all(), &Until::forever())?.len() >= 2));
        let image = runtime.image(&live.image);
        ask("image id", &|| Ok(image.id(Until::forever())? == id));
        ask("image history", &|| Ok(image.history(&Until::forever())? == layers));
        ask("port", &|| Ok(runtime.port_text(&unpublished, 80, &until())?.is_empty()));
        ask("profile", &|| Ok(runtime.profile()?.version.major >= 4));
        Ok(())
    })
}

fn create(live: &Live) -> Outcome {
    let interrupter = Interrupter::new(live, "create");
    let name = Sandbox::fresh_name();
    let spec = spec(live, &name, &["sleep", "777777"])?;
    interrupter.repeat(TIME, |interrupter| {
        let created = interrupter.during("create", || live.runtime.create(&spec, &until()).map(drop));
        let is_done = unless_interrupted("create", created).is_some();
        assert_eq!(plain_state(live, &name), if is_done { "created" } else { "absent" });
        if !is_done {
            live.runtime.create(&spec, &until())?;
        }
        live.plain(&["rm", "--force", "--time=0", &name])?;
        Ok(())
    })
}

fn start(live: &Live) -> Outcome {
    let interrupter = Interrupter::new(live, "start");
    let sandbox = Sandbox::create(&live.runtime, Sandbox::spec(live).command(["sleep", "777777"]))?;
    let name = sandbox.name.as_str();
    interrupter.repeat(TIME, |interrupter| {
        let started = interrupter.during("start", || sandbox.container.start(&until()));
        if unless_interrupted("start", started).is_none() {
            sandbox.container.start(&until())?;
        }
        assert_eq!(plain_state(live, name), "running");
        live.plain(&["stop", "--time=0", name])?;
        Ok(())
    })
}

fn stop(live: &Live) -> Outcome {
    let interrupter = Interrupter::new(live, "stop");
    let sandbox = Sandbox::idle(live)?;
    let name = sandbox.name.as_str();
    interrupter.repeat(TIME, |interrupter| {
        let stopped = interrupter.during("stop", || sandbox.container.stop(Duration::ZERO, &until()));
        if unless_interrupted("stop", stopped).is_none() {
            sandbox.container.stop(Duration::ZERO, &until())?;
        }
        // "stopped" until podman has cleaned up, which the client that was ended would have done.
        let state = plain_state(live, name);
        assert!(["stopped", "exited"].contains(&state.as_str()), "its state is {state}");
        live.plain(&["start", name])?;
        Ok(())
    })
}

fn wait(live: &Live) -> Outcome {
    let interrupter = Interrupter::new(live, "wait");
    let spec = Sandbox::spec(live).command(["sh", "-c", "sleep 0.4; exit 7"]);
    let sandbox = Sandbox::create(&live.runtime, spec)?;
    let name = sandbox.name.as_str();
    interrupter.repeat(TIME, |interrupter| {
        live.plain(&["start", name])?;
        let waited = interrupter.during("wait", || sandbox.container.wait(&until()));
        let code = unless_interrupted("wait", waited).map_or_else(|| sandbox.container.wait(&until()), Ok)?;
        assert_eq!(code, ExitOutcome::Code(7));
        Ok(())
    })
}

fn remove(live: &Live) -> Outcome {
    let interrupter = Interrupter::new(live, "remove");
    interrupter.repeat(TIME, |interrupter| {
        let sandbox = Sandbox::idle(live)?;
        let main = main_process(live, sandbox.name.as_str())?;
        let names = std::slice::from_ref(&sandbox.name);
        let mut results = interrupter.during("remove", || live.runtime.force_remove(names, &until()));
        if let Some(error) = results.remove(0).error {
            assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{error}");
            let again = live.runtime.force_remove(names, &until()).remove(0);
            assert!(again.removed, "{again:?}");
        }
        assert_eq!(plain_state(live, sandbox.name.as_str()), "absent");
        assert!(!is_alive(&main), "{main:?} runs on");
        Ok(())
    })
}

fn copies(live: &Live) -> Outcome {
    const BYTES: usize = 20_000_000;
    let interrupter = Interrupter::new(live, "copies");
    let sandbox = Sandbox::idle(live)?;
    let container = &sandbox.container;
    let directory = tempfile::tempdir()?;
    let (source, out) = (directory.path().join("big"), directory.path().join("out"));
    fs::write(&source, vec![7; BYTES])?;
    let place = |path: &str| ContainerPath::new(path);
    let options = CopyOptions::new();
    let is_whole = |path: &Path| fs::read(path).is_ok_and(|bytes| bytes == vec![7; BYTES]);
    let is_whole_inside = |path: &str| -> Result<bool> {
        let counted = sandbox.sh(&format!("tr -cd '\\007' <{path} | wc -c"))?;
        Ok(counted.stdout.text().trim() == BYTES.to_string())
    };
    let archive = {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_path_with_name(&source, "from-tar")?;
        builder.into_inner()?
    };
    interrupter.repeat(TIME, |interrupter| {
        let _ = sandbox.sh("rm -f /tmp/big /tmp/from-tar")?;
        let copied = interrupter
            .during("copy_in", || container.copy_in(&source, &place("/tmp/big")?, &options, &until()));
        if unless_interrupted("copy_in", copied).is_some() {
            assert!(is_whole_inside("/tmp/big")?, "copy_in");
        } else {
            container.copy_in(&source, &place("/tmp/big")?, &options, &until())?;
        }
        let _ = fs::remove_file(&out);
        let copied = interrupter
            .during("copy_out", || container.copy_out(&place("/tmp/big")?, &out, &options, &until()));
        if unless_interrupted("copy_out", copied).is_some() {
            assert!(is_whole(&out), "copy_out");
        }
        let copied = interrupter.during("copy_in_tar", || {
            container.copy_in_tar(&mut Cursor::new(&archive), &place("/tmp")?, &until())
        });
        if unless_interrupted("copy_in_tar", copied).is_some() {
            assert!(is_whole_inside("/tmp/from-tar")?, "copy_in_tar");
        }
        let mut packed = Vec::new();
        let copied = interrupter
            .during("copy_out_tar", || container.copy_out_tar(&place("/tmp/big")?, &mut packed, &until()));
        if unless_interrupted("copy_out_tar", copied).is_some() {
            let entries = tar::Archive::new(&packed[..]).entries()?.count();
            assert!(entries == 1 && packed.len() > BYTES, "{entries} entries, {} bytes", packed.len());
        }
        Ok(())
    })
}

fn import(live: &Live) -> Outcome {
    let interrupter = Interrupter::new(live, "import");
    let archive = {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(4_000_000);
        header.set_mode(0o644);
        builder.append_data(&mut header, "file", std::io::repeat(7).take(4_000_000))?;
        builder.into_inner()?
    };
    let reference = ImageRef::new("localhost/rt-interrupted:1")?;
    let outcome = interrupter.repeat(TIME, |interrupter| {
        let tar = Cursor::new(archive.clone());
        let imported =
            interrupter.during("import", || live.runtime.import_image(tar, &reference, &[], &until()));
        if let Some(id) = unless_interrupted("import", imported) {
            let known = live.plain(&["image", "inspect", "--format={{.Id}}", reference.as_str()])?;
            assert_eq!(known.trim(), id);
        } else {
            remove_half_images(live)?;
        }
        Ok(())
    });
    // Where every import was interrupted there is none.
    let _ = live.plain(&["image", "rm", "--force", reference.as_str()]);
    let _ = live.plain(&["image", "prune", "--force"]);
    outcome
}

/// Of an import that was ended in its last moments podman keeps an image without a manifest, and
/// refuses to list any for it. Its text says which it is, and that it is to be removed.
fn remove_half_images(live: &Live) -> Outcome {
    while let Err(error) = live.plain(&["images", "--all"]) {
        let text = error.to_string();
        let id = text.split("for image with ID \"").nth(1).and_then(|rest| rest.split('"').next());
        live.plain(&["image", "rm", "--force", id.ok_or(text.as_str())?])?;
    }
    Ok(())
}

fn remove_stopping(live: &Live) -> Outcome {
    for client_lives in [true, false] {
        // `sleep` as process 1 ignores TERM.
        let sandbox = Sandbox::idle(live)?;
        let name = sandbox.name.as_str();
        let main = main_process(live, name)?;
        std::thread::scope(|scope| -> Outcome {
            let container = &sandbox.container;
            let stopping = scope.spawn(move || container.stop(Duration::from_secs(60), &until()));
            let begun = Instant::now();
            while container.state(Until::forever())? != Some(ContainerState::Stopping) {
                assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", container.state(Until::forever()));
                std::thread::sleep(Duration::from_millis(20));
            }
            if !client_lives {
                for pid in find(true, &["stop", name]) {
                    send(pid, Signal::KILL);
                }
            }
            for error in [container.start(&until()).unwrap_err(), sandbox.sh("true").unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::Stopping, "{error}");
                assert!(error.hint().is_some_and(|hint| hint.contains("by force")), "{error}");
            }
            let result = live.runtime.force_remove(std::slice::from_ref(&sandbox.name), &until()).remove(0);
            assert!(result.removed, "{result:?}");
            assert!(!is_alive(&main), "{main:?} runs on");
            assert_eq!(plain_state(live, name), "absent");
            // Whatever it says of a container that was taken from under it.
            let _ = stopping.join().expect("no panic");
            Ok(())
        })?;
    }
    Ok(())
}

fn without_conmon(live: &Live) -> Outcome {
    let mut random = Random::new("without conmon");
    for _ in 0..4 {
        let delay = Duration::from_micros(random.below(150_000));
        ended_without_conmon(live, delay)?;
    }
    Ok(())
}

fn ended_without_conmon(live: &Live, delay: Duration) -> Outcome {
    let sandbox = Sandbox::idle(live)?;
    let name = sandbox.name.as_str();
    let main = main_process(live, name)?;
    send(main.parent, Signal::KILL);
    let waited = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sandbox.container.wait(&until()));
        std::thread::sleep(delay);
        send(main.pid, Signal::KILL);
        waiting.join().expect("no panic")
    });
    assert_eq!(waited?, ExitOutcome::Lost);
    let info = sandbox.container.inspect(&Until::forever())?.ok_or("absent")?;
    assert_eq!((info.state, info.exit_code), (ContainerState::Stopped, None));
    let listed = live.runtime.list(&ContainerFilter::all(), &Until::forever())?;
    let listed = listed.iter().find(|info| info.name == sandbox.name).ok_or("not listed")?;
    assert_eq!((&listed.state, listed.exit_code), (&ContainerState::Stopped, None));
    for error in [sandbox.sh("true").unwrap_err(), sandbox.container.start(&until()).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::NotRunning, "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("by force")), "{error}");
    }
    let result = live.runtime.force_remove(std::slice::from_ref(&sandbox.name), &until()).remove(0);
    assert!(result.removed, "{result:?}");
    Ok(())
}

/// 20 s after conmon was killed podman 4.3.1 answers whatever the main process does: with an error,
/// or with the exit code of an earlier run.
fn wait_without_conmon(live: &Live) -> Outcome {
    const PATIENCE: Duration = Duration::from_secs(24);
    let script = "test -e /tmp/ran && exec sleep 777777; >/tmp/ran; exit 7";
    let lasting = Sandbox::launch(&live.runtime, Sandbox::spec(live).command(["sh", "-c", script]))?;
    assert_eq!(lasting.container.wait(&until())?, ExitOutcome::Code(7));
    lasting.container.start(&until())?;
    let short = Sandbox::idle(live)?;
    let main = main_process(live, lasting.name.as_str())?;
    let short_main = main_process(live, short.name.as_str())?;
    std::thread::scope(|scope| {
        let wait = |container| scope.spawn(move || Container::wait(container, &until()));
        let begun = Instant::now();
        let mut waiting = vec![wait(&*lasting.container), wait(&*short.container)];
        while find(true, &[&live.podman.to_string_lossy(), " wait "]).len() < waiting.len() {
            assert!(begun.elapsed() < Duration::from_secs(20), "podman is not asked");
            std::thread::sleep(Duration::from_millis(20));
        }
        for pid in [main.parent, short_main.parent, short_main.pid] {
            send(pid, Signal::KILL);
        }
        waiting.push(wait(&*lasting.container));
        assert_eq!(waiting.remove(1).join().expect("no panic")?, ExitOutcome::Lost);
        std::thread::sleep(PATIENCE.saturating_sub(begun.elapsed()));
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()), "it waits no more, and it runs");
        send(main.pid, Signal::KILL);
        for waiting in waiting {
            assert_eq!(waiting.join().expect("no panic")?, ExitOutcome::Lost);
        }
        Ok(())
    })
}

/// As if a program had been killed together with its client, so that nobody has taken back what
/// that began.
fn half_started(live: &Live) -> Outcome {
    let mut random = Random::new("half-started");
    let begun = Instant::now();
    let mut met = 0;
    while begun.elapsed() < TIME || met == 0 && begun.elapsed() < 5 * TIME {
        let name = ContainerName::new(Sandbox::fresh_name())?;
        let container = live.runtime.create(&spec(live, name.as_str(), &["sleep", "777777"])?, &until())?;
        std::thread::scope(|scope| {
            let started = scope.spawn(|| live.plain(&["start", name.as_str()]).is_ok());
            std::thread::sleep(Duration::from_micros(40_000 + random.below(160_000)));
            for pid in find(true, &["start", name.as_str()]) {
                send(pid, Signal::KILL);
            }
            met += usize::from(!started.join().expect("no panic"));
        });
        let answer = container.start(&until());
        let state = plain_state(live, name.as_str());
        let result = live.runtime.force_remove(std::slice::from_ref(&name), &until()).remove(0);
        answer?;
        assert_eq!(state, "running");
        assert!(result.removed, "{result:?}");
    }
    println!("{met} starts were killed");
    Ok(())
}
