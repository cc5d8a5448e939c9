//! Facts that callers of a podman backend have always relied on, one test each: podman's arguments,
//! and the meaning of its answers. podman is a shell script here; the live suite shows that real
//! podman accepts these arguments.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rt_podman::PodmanRuntime;
use rt_protocol::{
    ContainerName, ContainerPath, ContainerRuntime, ContainerRuntimeExt, CopyOptions, EventAction,
    EventOptions, ExecRequest, ExecStdio, ExitOutcome, LogOptions, NamePrefix, Pull, Readiness, Sink, Source,
    Until,
};

/// A podman whose container `web` runs, and which otherwise does what the script does with its
/// arguments.
fn played(script: &str) -> PodmanRuntime {
    let script = format!(
        r#"if [ "$1 $2" = "container inspect" ]; then echo '[{{"Id":"ab","Name":"web","State":{{"Status":"running"}}}}]'; exit; fi
{script}"#
    );
    let podman =
        PodmanRuntime::builder().binary("sh").global_arg("-c").global_arg(script).global_arg("podman");
    podman.build().unwrap()
}

fn name(text: &str) -> ContainerName {
    ContainerName::new(text).unwrap()
}

fn soon() -> Until {
    Until::after(Duration::from_secs(20))
}

#[test]
fn a_directory_is_copied_in_by_its_contents_and_a_file_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let (directory, file) = (home.path().join("tree"), home.path().join("file"));
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(&file, "x").unwrap();
    // It refuses everything and repeats its arguments.
    let web = played(r#"echo "Error: $*" >&2; exit 125"#).container(&name("web"));
    let dest = ContainerPath::new("/dest").unwrap();
    for (source, word) in
        [(&directory, format!("{}/.", directory.display())), (&file, file.display().to_string())]
    {
        let error = web.copy_in(source, &dest, &CopyOptions::new(), &soon()).unwrap_err();
        assert_eq!(error.message(), format!("cp --log-level=info -- {word} web:/dest"));
    }
}

#[test]
fn exec_goes_by_the_id_and_code_1_is_data() {
    let runtime = played(r#"printf '%s\n' "$@"; exit 1"#);
    let result = runtime.exec_in("web", ["echo", "a b", "-x"], Until::forever()).unwrap();
    assert_eq!(result.outcome, ExitOutcome::Code(1));
    let text = result.stdout.text().into_owned();
    let words: Vec<&str> = text.lines().collect();
    assert_eq!(words[0], "exec");
    assert!(!words.contains(&"--interactive"), "without a stdin there is no -i: {words:?}");
    assert!(words.ends_with(&["--", "ab", "echo", "a b", "-x"]), "{words:?}");
}

#[test]
fn a_bridged_exec_is_interactive() {
    let runtime = played(r#"printf '%s\n' "$@""#);
    let mut out = Vec::new();
    let stdio = ExecStdio::new(Source::bytes(""), Sink::borrowed(&mut out));
    let _ = runtime.exec_stdio(&name("web"), &ExecRequest::new(["cat"]).unwrap(), stdio, &soon()).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("exec\n--log-level=error\n--interactive\n") && text.ends_with("--\nab\ncat\n"),
        "{text}"
    );
}

#[test]
fn the_pump_moves_abcdef_to_the_end_of_the_source() {
    let mut out = Vec::new();
    let stdio = ExecStdio::new(Source::bytes("abcdef"), Sink::borrowed(&mut out));
    let cat = ExecRequest::new(["cat"]).unwrap();
    let result = played("exec cat").exec_stdio(&name("web"), &cat, stdio, &soon()).unwrap();
    assert_eq!((result.stdin.bytes, result.stdout.bytes), (6, 6));
    assert_eq!(out, b"abcdef");
}

#[test]
fn the_poll_loop_answers_on_a_pipe_that_stays_open() {
    let (source, mut ask) = io::pipe().unwrap();
    let (mut answer, sink) = io::pipe().unwrap();
    let cat = ExecRequest::new(["cat"]).unwrap();
    let bridge = thread::spawn(move || {
        let stdio = ExecStdio::new(Source::descriptor(source), Sink::descriptor(sink));
        played("exec cat").exec_stdio(&name("web"), &cat, stdio, &soon())
    });
    let mut heard = [0; 11];
    let mut turn = || {
        let begin = Instant::now();
        ask.write_all(b"hello there").unwrap();
        answer.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello there");
        begin.elapsed()
    };
    // The first one waits for the start of the process, too.
    turn();
    let second = turn();
    assert!(second < Duration::from_millis(500), "{second:?}");
    drop(ask);
    assert_eq!(bridge.join().unwrap().unwrap().stdout.bytes, 22);
}

#[test]
fn logs_follow_and_give_the_last_50_lines() {
    let runtime = played(r#"echo "$*""#);
    let words = |options: &LogOptions| {
        let mut log = runtime.container(&name("web")).logs(options, &Until::forever()).unwrap();
        match log.pull(&soon()).unwrap() {
            Pull::Item(line) => line.text().into_owned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(words(&LogOptions::new()), "logs --log-level=fatal -- web");
    assert_eq!(
        words(&LogOptions::new().follow().tail(50)),
        "logs --log-level=fatal --follow --tail=50 -- web"
    );
    // podman panics if it cannot allocate space for so many, and no log has more lines.
    assert_eq!(words(&LogOptions::new().tail(u64::MAX)), "logs --log-level=fatal -- web");
}

#[test]
fn the_ready_marker_is_seen_at_once_while_the_log_goes_on() {
    let web = played("echo loading; echo '>> init complete'; exec sleep 1000").container(&name("web"));
    let begin = Instant::now();
    let mut echo = Vec::new();
    let ready = web.stream_initial_logs(&mut |line| line == ">> init complete", &mut echo, &soon()).unwrap();
    assert_eq!(ready, Readiness::Ready(">> init complete".into()));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(echo, b"loading\n>> init complete\n");
}

#[test]
fn removals_answer_each_name_in_order() {
    let script = r#"case "$*" in
ps*) echo '[{"Id":"ab","Names":["locked"],"State":"running"}]' ;;
rm*locked*) echo 'Error: cannot remove container ab: it is locked' >&2; exit 125 ;;
esac"#;
    let results = played(script).force_remove(&["ok", "locked", "absent"].map(name), &soon());
    let seen: Vec<_> = results.iter().map(|result| (result.name.as_str(), result.removed)).collect();
    assert_eq!(seen, [("ok", true), ("locked", false), ("absent", true)]);
}

#[test]
fn events_of_others_and_odd_lines_are_dropped() {
    let script = r#"cat <<'.'
{"Name":"proj2-a","Status":"start","Time":"2026-11-21T20:39:52Z","Type":"container"}
{"Name":"proj-a","Status":"exec","Time":"2026-11-21T20:39:52Z","Type":"container"}
{"Name":"proj-a","Status":"remove","Time":"2026-11-21T20:39:52Z","Type":"image"}
{"Name":"proj-a","Status":
no JSON
{"Name":"proj-a","Status":"START","Time":"2026-11-21T20:39:52Z","Type":"container"}
.
case $* in *=true) exec sleep 1000 ;; esac"#;
    let options = EventOptions::new().prefix(NamePrefix::new("proj").unwrap()).since(SystemTime::UNIX_EPOCH);
    let mut events = played(script).events(&options, &Until::forever()).unwrap();
    let Pull::Item(event) = events.pull(&soon()).unwrap() else { panic!("no event") };
    assert_eq!((event.name.as_str(), event.action), ("proj-a", EventAction::Started));
    assert_eq!(events.pull(&Until::after(Duration::from_millis(100))).unwrap(), Pull::Pending);
    events.close().unwrap();
}
