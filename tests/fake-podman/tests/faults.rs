//! What rt-podman answers when podman hangs, dies, lies or stutters. Nothing here runs a command in
//! a container, so it runs for everybody.

#![allow(clippy::unwrap_used, reason = "the panic of a test is its report")]

#[path = "stage/engine.rs"]
mod engine;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rt_podman::PodmanRuntime;
use rt_protocol::{
    Container, ContainerExt, ContainerFilter, ContainerName, ContainerPath, ContainerRuntime, CopyOptions,
    Error, ErrorKind, EventOptions, Image, ImageExt, ImageFilter, ImageRef, ImageRemoval, LaunchSpec,
    LogOptions, Pull, TimeLimits, Until,
};

use engine::{Engine, PROFILES, patience};

/// Limits that a test can wait for.
fn short_limits() -> TimeLimits {
    let mut limits = TimeLimits::DEFAULT;
    let limit = Duration::from_millis(300);
    limits.read = limit;
    limits.rw_size = limit;
    limits.bulk_sizes = limit;
    limits.images = limit;
    limits.exists = limit;
    limits.info = limit;
    limits.start = limit;
    limits.remove = limit;
    limits
}

fn name(text: &str) -> ContainerName {
    ContainerName::new(text).unwrap()
}

fn image() -> ImageRef {
    ImageRef::new("localhost/rt-fake:1").unwrap()
}

/// Every question that has an answer, asked of `runtime`: what was asked, and how it failed.
fn questions(runtime: &PodmanRuntime) -> Vec<(&'static str, Option<Error>)> {
    let container = runtime.container(&name("c"));
    let handle = runtime.image(&image());
    vec![
        ("list", runtime.list(&ContainerFilter::all(), &Until::forever()).err()),
        ("inspect", container.inspect(&Until::forever()).err()),
        ("state", container.state(Until::forever()).err()),
        ("rw_size", container.rw_size(&Until::forever()).err()),
        ("rw_sizes", runtime.rw_sizes(&rt_protocol::NamePrefix::new("c").unwrap(), &Until::forever()).err()),
        ("images", runtime.images(&ImageFilter::all(), &Until::forever()).err()),
        ("image inspect", handle.inspect(&Until::forever()).err()),
        ("image exists", handle.exists(Until::forever()).err()),
        ("image history", handle.history(&Until::forever()).err()),
    ]
}

/// All questions fail with this kind.
fn check_all(runtime: &PodmanRuntime, kind: ErrorKind) {
    for (question, error) in questions(runtime) {
        let error = error.unwrap_or_else(|| panic!("{question} has an answer"));
        assert_eq!(error.kind(), kind, "{question}: {error}");
        assert!(error.hint().is_some(), "{question}: {error}");
    }
}

/// An engine with an image and a container, so that every question has a real answer.
fn peopled(profile: &'static str) -> Engine {
    let engine = Engine::new(profile);
    engine.created("c");
    engine
}

#[test]
fn without_faults_every_question_has_an_answer_in_every_profile() {
    for profile in PROFILES {
        let engine = peopled(profile);
        for (question, error) in questions(&engine.runtime()) {
            assert!(error.is_none(), "{profile} {question}: {error:?}");
        }
    }
}

#[test]
fn a_hanging_podman_is_unresponsive_and_never_absent() {
    let engine = peopled("4.3.1");
    for fault in ["hang", "term-exits-0"] {
        let runtime =
            engine.builder().env("FAKE_PODMAN_FAULT", fault).limits(short_limits()).build().unwrap();
        check_all(&runtime, ErrorKind::BackendUnresponsive);
        let error = runtime.container(&name("c")).start(&Until::forever()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendUnresponsive, "{fault}: {error}");
    }
}

#[test]
fn a_podman_that_is_deaf_to_term_is_killed_in_bounded_time() {
    let engine = Engine::new("4.3.1");
    let runtime =
        engine.builder().env("FAKE_PODMAN_FAULT", "hang-deaf").limits(short_limits()).build().unwrap();
    let begun = Instant::now();
    let error = runtime.list(&ContainerFilter::all(), &Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendUnresponsive, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// Starts `c`, which only root can, with a BusyBox: the stand-in runs commands for real. One that
/// was never started is not waited for.
fn is_started(engine: &Engine) -> bool {
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0);
    let can_run = is_root && engine::busybox().is_some();
    if can_run {
        engine.runtime().container(&name("c")).start(&patience()).unwrap();
    }
    can_run
}

#[test]
fn the_callers_own_deadline_is_the_callers_own_error() {
    let engine = peopled("4.3.1");
    let runs = is_started(&engine);
    let runtime = engine.faulty("start:hang,cp:hang,wait:hang,create:hang");
    let short = || Until::after(Duration::from_millis(300));
    let container = runtime.container(&name("c"));
    assert_eq!(container.start(&short()).unwrap_err().kind(), ErrorKind::TimedOut);
    if runs {
        assert_eq!(container.wait(&short()).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    let spec = engine.spec("d").build().unwrap();
    assert_eq!(runtime.create(&spec, &short()).unwrap_err().kind(), ErrorKind::TimedOut);
    let file = engine.directory().join("file");
    fs::write(&file, "x").unwrap();
    let dest = ContainerPath::new("/x").unwrap();
    let error = container.copy_in(&file, &dest, &CopyOptions::new(), &short()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(engine.runtime().force_remove(&[name("c")], &patience())[0].removed);
}

#[test]
fn a_removal_that_times_out_is_each_containers_error() {
    let engine = peopled("4.3.1");
    for fault in ["rm:hang", "rm:term-exits-0", "rm:exit-without-a-word=0"] {
        let results =
            engine.faulty(fault).force_remove(&[name("c")], &Until::after(Duration::from_millis(500)));
        assert!(!results[0].removed, "{fault}: {results:?}");
        assert!(results[0].error.is_some(), "{fault}: {results:?}");
    }
    assert!(engine.runtime().force_remove(&[name("c")], &patience())[0].removed);
}

#[test]
fn half_an_answer_is_a_bad_answer_in_every_profile() {
    for profile in PROFILES {
        check_all(&peopled(profile).faulty("half-json"), ErrorKind::InvalidResponse);
    }
}

#[test]
fn an_answer_that_is_not_utf8_is_a_bad_answer() {
    let engine = peopled("4.3.1");
    check_all(&engine.faulty("non-utf8"), ErrorKind::InvalidResponse);
    if is_started(&engine) {
        // Ended, so that there is something to answer.
        engine.runtime().container(&name("c")).stop(Duration::ZERO, &patience()).unwrap();
        let error = engine.faulty("wait:non-utf8").container(&name("c")).wait(&patience()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{error}");
        assert!(engine.runtime().force_remove(&[name("c")], &patience())[0].removed);
    }
}

#[test]
fn a_podman_that_dies_of_a_signal_was_interrupted() {
    check_all(&peopled("4.3.1").faulty("die-by-signal"), ErrorKind::BackendInterrupted);
    // In the midst of its work, too.
    check_all(&peopled("5.4.2").faulty("die-by-signal=50,slow=5000"), ErrorKind::BackendInterrupted);
    // A rootless one, whose process in the user namespace was killed.
    check_all(&peopled("4.3.1").faulty("exit-without-a-word=137"), ErrorKind::BackendInterrupted);
}

/// Every other verb that ends: what was done, and how it failed.
fn deeds(runtime: &PodmanRuntime) -> Vec<(&'static str, Option<Error>)> {
    // Not "c", which could be an id: to look that up would be all that is done.
    let container = runtime.container(&name("web"));
    let hexadecimal = runtime.container(&name("abc"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "text").unwrap();
    let place = ContainerPath::new("/file").unwrap();
    let options = CopyOptions::new();
    let spec = LaunchSpec::builder("new", image().as_str()).build().unwrap();
    let until = || Until::after(Duration::from_secs(20));
    let mut tar = Vec::new();
    vec![
        ("create", runtime.create(&spec, &until()).err()),
        ("start", container.start(&until()).err()),
        ("stop", container.stop(Duration::ZERO, &until()).err()),
        ("remove", runtime.force_remove(&[name("c")], &until()).remove(0).error),
        ("copy_in", container.copy_in(&file, &place, &options, &until()).err()),
        ("copy_out", container.copy_out(&place, &directory.path().join("out"), &options, &until()).err()),
        ("copy_in_tar", container.copy_in_tar(&mut &[0; 1024][..], &place, &until()).err()),
        ("copy_out_tar", container.copy_out_tar(&place, &mut tar, &until()).err()),
        ("import", runtime.import_image(&[0; 1024][..], &image(), &[], &until()).err()),
        ("port", runtime.port_text(&name("c"), 80, &until()).err()),
        ("profile", runtime.profile().err()),
        ("image remove", runtime.image(&image()).remove(&Until::forever()).err()),
        ("look up", hexadecimal.start(&until()).err()),
        ("probe", runtime.probe(&until()).err()),
    ]
}

#[test]
fn code_0_of_a_podman_that_was_ended_proves_nothing() {
    for fault in ["told-to-leave=0", "told-to-leave=1", "die-by-signal"] {
        let engine = peopled("4.3.1");
        engine.created("web");
        let runtime = engine.faulty(fault);
        check_all(&runtime, ErrorKind::BackendInterrupted);
        for (deed, error) in deeds(&runtime) {
            let error = error.unwrap_or_else(|| panic!("{fault}: {deed} was done"));
            assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{fault}: {deed}: {error}");
            assert!(error.hint().is_some(), "{fault}: {deed}: {error}");
        }
    }
}

#[test]
fn half_an_answer_of_an_ended_podman_is_none() {
    let engine = peopled("4.3.1");
    check_all(&engine.faulty("half-json,told-to-leave-after=0"), ErrorKind::BackendInterrupted);
    check_all(&engine.faulty("told-to-leave-after=0"), ErrorKind::BackendInterrupted);
}

#[test]
fn what_says_nothing_or_describes_nothing_is_no_answer() {
    let engine = peopled("4.3.1");
    check_all(&engine.faulty("exit-without-a-word=0"), ErrorKind::BackendInterrupted);
    for nothing in ["[]", "null", "{}", "[null]", "[7]"] {
        // Not "c", which could be an id: that is looked up in the listing first, and an empty one
        // is an answer.
        let container = engine.faulty(&format!("print={nothing}")).container(&name("web"));
        let image = engine.faulty(&format!("print={nothing}")).image(&image());
        for error in [
            container.state(Until::forever()).err(),
            container.rw_size(&Until::forever()).err(),
            image.exists(Until::forever()).err(),
        ] {
            assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::InvalidResponse), "{nothing}");
        }
    }
}

#[test]
fn what_podman_says_of_a_start_and_a_stop_is_looked_at() {
    let engine = peopled("4.3.1");
    let container = |fault: &str| engine.faulty(fault).container(&name("c"));
    let error = container("start:print=c").start(&patience()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
    assert!(error.to_string().contains("its state is created"), "{error}");
    if is_started(&engine) {
        let error = container("stop:print=c").stop(Duration::ZERO, &patience()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
        assert!(error.to_string().contains("its state is running"), "{error}");
        assert!(engine.runtime().force_remove(&[name("c")], &patience())[0].removed);
    }
}

#[test]
fn an_archive_without_its_end_is_an_error() {
    let engine = peopled("4.3.1");
    let container = engine.faulty("cp:exit-without-a-word=0").container(&name("c"));
    let place = ContainerPath::new("/").unwrap();
    let error = container.copy_out_tar(&place, &mut Vec::new(), &patience()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{error}");
}

#[test]
fn the_callers_own_log_level_stays_useful() {
    let engine = peopled("4.3.1");
    let with_level = |words: [&str; 2], fault: &str| {
        let builder = engine.builder().env("FAKE_PODMAN_FAULT", fault);
        words.into_iter().fold(builder, rt_podman::PodmanRuntimeBuilder::global_arg).build().unwrap()
    };
    for level in [
        ["--log-level", "debug"],
        ["--log-level=warn", "--syslog"],
        ["--log-level=fatal", "--log-level=INFO"],
    ] {
        for (question, error) in questions(&with_level(level, "")) {
            assert!(error.is_none(), "{question}: {error:?}");
        }
        check_all(&with_level(level, "told-to-leave=0"), ErrorKind::BackendInterrupted);
    }
    // Lines that nobody asked for are no part of an error; those of the caller are.
    let refused = "fail=125:time=\"x\" level=info msg=\"chatter\"\nsomething else";
    let shown = |level| {
        with_level(level, refused).list(&ContainerFilter::all(), &Until::forever()).unwrap_err().to_string()
    };
    assert!(!shown(["--log-level=warn", "--syslog"]).contains("chatter"));
    assert!(shown(["--log-level=info", "--syslog"]).contains("chatter"));
}

#[test]
fn a_failure_without_a_word_says_so() {
    let engine = peopled("4.3.1");
    for code in [1, 125, 126, 127, 255] {
        let runtime = engine.faulty(&format!("exit-without-a-word={code}"));
        check_all(&runtime, ErrorKind::BackendFailed);
        let error = runtime.list(&ContainerFilter::all(), &Until::forever()).unwrap_err();
        assert!(error.to_string().contains("<no output>"), "{error}");
    }
}

#[test]
fn a_flood_of_warnings_hides_no_answer_and_no_error() {
    let engine = peopled("4.3.1");
    let flooded = engine.faulty("flood-stderr");
    for (question, error) in questions(&flooded) {
        assert!(error.is_none(), "{question}: {error:?}");
    }
    // The error stands behind 32 MiB of warnings.
    assert_eq!(flooded.container(&name("absent")).inspect(&Until::forever()).unwrap(), None);
    let error = flooded.container(&name("absent")).start(&patience()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchContainer, "{error}");
}

#[test]
fn a_slow_podman_is_waited_for() {
    let engine = peopled("4.3.1");
    let begun = Instant::now();
    assert_eq!(engine.faulty("slow=400").list(&ContainerFilter::all(), &Until::forever()).unwrap().len(), 1);
    assert!(begun.elapsed() >= Duration::from_millis(400));
}

#[test]
fn a_podman_that_is_missing_or_no_program_is_told_apart() {
    let engine = Engine::new("4.3.1");
    let missing = PodmanRuntime::builder().binary(engine.directory().join("nothing")).build().unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::BackendMissing, "{missing}");
    let plain = engine.directory().join("plain");
    fs::write(&plain, "no program").unwrap();
    fs::set_permissions(&plain, Permissions::from_mode(0o644)).unwrap();
    let plain = PodmanRuntime::builder().binary(plain).build().unwrap_err();
    assert_eq!(plain.kind(), ErrorKind::BackendNotExecutable, "{plain}");
    // One that goes away later.
    let runtime = PodmanRuntime::builder().binary(engine.wrapper()).build().unwrap();
    fs::remove_file(engine.directory().join("podman")).unwrap();
    check_all(&runtime, ErrorKind::BackendMissing);
}

#[test]
fn a_log_whose_podman_fails_ends_in_an_error() {
    let engine = peopled("4.3.1");
    let faults = [
        ("logs:exit-without-a-word=1", ErrorKind::BackendFailed),
        ("logs:die-by-signal", ErrorKind::BackendFailed),
        ("logs:fail=125:Error: boom", ErrorKind::BackendFailed),
        (
            "logs:fail=125:Error: no container with name or ID \"c\" found: no such container",
            ErrorKind::NoSuchContainer,
        ),
    ];
    for (fault, kind) in faults {
        let runtime = engine.faulty(fault);
        let mut log = runtime.container(&name("c")).logs(&LogOptions::new(), &Until::forever()).unwrap();
        let error = log.pull(&patience()).unwrap_err();
        assert_eq!(error.kind(), kind, "{fault}: {error}");
        assert_eq!(log.pull(&patience()).unwrap(), Pull::End, "{fault}");
    }
}

#[test]
fn a_hanging_log_is_idle_and_can_be_closed() {
    let engine = peopled("4.3.1");
    let runtime = engine.faulty("logs:hang");
    let mut log = runtime.container(&name("c")).logs(&LogOptions::new(), &Until::forever()).unwrap();
    assert_eq!(log.pull(&Until::after(Duration::from_millis(200))).unwrap(), Pull::Pending);
    let begun = Instant::now();
    log.close().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn events_that_end_by_themselves_are_an_error() {
    let engine = peopled("4.3.1");
    for fault in [
        "events:exit-without-a-word=0",
        "events:exit-without-a-word=1",
        "events:die-by-signal",
        "events:fail=125:Error: boom",
    ] {
        let events = engine.faulty(fault).events(&EventOptions::new(), &Until::forever());
        let error = events.and_then(|mut events| events.pull(&patience())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendFailed, "{fault}: {error}");
    }
    let hanging = engine.builder().env("FAKE_PODMAN_FAULT", "events:hang").limits(short_limits());
    let error = hanging.build().unwrap().events(&EventOptions::new(), &Until::forever()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendUnresponsive, "{error}");
}

#[test]
fn an_image_that_cannot_be_removed_keeps_podmans_reason() {
    let engine = peopled("4.3.1");
    let refused = |fault: &str| engine.faulty(fault).image(&image()).remove(&Until::forever());
    let Ok(ImageRemoval::Refused(why)) = refused("image rm:exit-without-a-word=2") else {
        panic!("no refusal");
    };
    assert_eq!(why, "<no output>");
    assert_eq!(
        refused("image rm:fail=1:Error: localhost/x: image not known").unwrap(),
        ImageRemoval::Removed
    );
    let error = refused("image rm:exit-without-a-word=125").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
    let error = refused("image rm:die-by-signal").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendInterrupted, "{error}");
    let two = "image rm:fail=125:Error: unable to delete image \"x\" by ID with more than one tag ([a b]): please force removal";
    assert!(matches!(refused(two), Ok(ImageRemoval::Refused(why)) if why.contains("more than one tag")));
    // And really: the container uses it.
    let Ok(ImageRemoval::Refused(why)) = engine.runtime().image(&image()).remove(&Until::forever()) else {
        panic!("no refusal");
    };
    assert!(why.contains("image is in use by a container"), "{why}");
}

#[test]
fn an_unknown_flag_is_refused_loudly() {
    for profile in PROFILES {
        let engine = Engine::new(profile);
        let (code, _, stderr) = engine.ask(&["ps", "--nosuchflag"]);
        assert_eq!(
            (code, stderr.as_str()),
            (125, "Error: unknown flag: --nosuchflag\nSee 'podman ps --help'\n")
        );
    }
}

#[test]
fn two_names_with_one_missing_are_both_answered() {
    // On 4.3 a removal by force stops silently at the missing one, unless it is told to ignore it.
    for profile in PROFILES {
        let engine = peopled(profile);
        engine.created("d");
        let (code, stdout, stderr) = engine.ask(&["rm", "--force", "c", "missing", "d"]);
        let stops = matches!(profile, "4.3.1" | "4.9");
        assert_eq!((code, stderr.as_str()), (0, ""), "{profile}");
        assert_eq!(stdout, if stops { "" } else { "c\nd\n" }, "{profile}");
        let engine = peopled(profile);
        engine.created("d");
        let results = engine.runtime().force_remove(&[name("c"), name("missing"), name("d")], &patience());
        assert!(
            results.iter().all(|result| result.removed && result.error.is_none()),
            "{profile} {results:?}"
        );
        assert_eq!(engine.runtime().list(&ContainerFilter::all(), &Until::forever()).unwrap(), []);
    }
}

#[test]
fn a_name_like_an_id_goes_by_its_id() {
    let engine = peopled("4.3.1");
    engine.created("abc");
    let runtime = engine.runtime();
    let container = runtime.container(&name("abc"));
    let id = container.id(Until::forever()).unwrap().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "text").unwrap();
    let place = ContainerPath::new("/file").unwrap();
    let options = CopyOptions::new();
    let until = || Until::after(Duration::from_secs(20));
    let request = rt_protocol::ExecRequest::new(["true"]).unwrap();
    // What comes of it is another matter: the container does not run.
    let verbs: [(&str, &dyn Fn()); 12] = [
        ("inspect", &|| drop(container.inspect(&Until::forever()))),
        ("inspect", &|| drop(container.rw_size(&Until::forever()))),
        ("inspect", &|| drop(container.wait(&until()))),
        ("stop", &|| drop(container.stop(Duration::ZERO, &until()))),
        ("exec", &|| drop(container.exec(&request, &until()))),
        ("logs", &|| {
            drop(container.logs(&LogOptions::new(), &Until::forever()).map(|mut log| log.pull(&until())));
        }),
        ("port", &|| drop(runtime.port_text(&name("abc"), 80, &until()))),
        ("cp", &|| drop(container.copy_in(&file, &place, &options, &until()))),
        ("cp", &|| drop(container.copy_out(&place, &directory.path().join("out"), &options, &until()))),
        ("cp", &|| drop(container.copy_in_tar(&mut &[0; 1024][..], &place, &until()))),
        ("start", &|| drop(container.start(&until()))),
        ("rm", &|| drop(runtime.force_remove(&[name("abc")], &until()))),
    ];
    for (verb, act) in verbs {
        let before = engine.calls().len();
        act();
        let calls = engine.calls().split_off(before);
        let of_verb = |words: &&Vec<String>| words.iter().any(|word| word == verb);
        let means = |words: &Vec<String>, container: &str| {
            words.iter().any(|word| word == container || word.starts_with(&format!("{container}:")))
        };
        assert!(calls.iter().all(|words| !means(words, "abc")), "{verb}: {calls:?}");
        let place = calls.iter().position(|words| words.iter().any(|word| word == "ps"));
        let done = calls.iter().find(of_verb).unwrap_or_else(|| panic!("{verb}: {calls:?}"));
        assert!(place == Some(0) && means(done, id.as_str()), "{verb}: {calls:?}");
    }
}

#[test]
fn a_login_command_starts_no_podman_and_goes_by_the_exact_name() {
    let engine = peopled("4.3.1");
    engine.created("abc");
    let runtime = engine.runtime();
    let before = engine.calls().len();
    for text in ["c", "abc", "web"] {
        let words = runtime.container(&name(text)).login_command(None, &patience()).unwrap();
        let asks_for_the_id =
            words.iter().any(|word| word.to_string_lossy().contains(&format!("name=^{text}$")));
        assert_eq!(asks_for_the_id, name(text).looks_like_id(), "{words:?}");
    }
    assert_eq!(engine.calls().len(), before, "{:?}", engine.calls());
}
