//! Answers of podman that prove nothing by themselves. A script before the fake podman gives them.

use std::time::Duration;

use rt_podman::KillStrategy;
use rt_process::procfs;
use rt_protocol::{
    CancelToken, Container, ContainerName, ContainerRuntime, ContainerRuntimeExt, ErrorKind, KillOutcome,
    KillReport, LogOptions, Pull, Signal, TimeLimits, Until,
};

use crate::Case;
use crate::engine::{Engine, patience};
use crate::executions::request;

pub(crate) const CASES: &[Case] = &[
    ("exec: a podman that describes nothing makes no command gone", nothing_described),
    ("exec: what podman is asked while a command ends has the caller's limits", limits_at_the_end),
    ("exec: a failure that names no reason proves no refusal", reasonless_failure),
    ("logs: a line that podman's own follower leaves out is missed", left_out_line),
    ("remove: a process whose record podman drops is ended", dropped_record),
];

/// What became of a command that was cancelled while its client hung. `then` stands before podman
/// from there on. No process of the container is to be seen.
fn cancelled(engine: &Engine, then: &str, limits: TimeLimits, strategy: KillStrategy) -> KillReport {
    let hangs = engine.directory().join("hangs");
    let podman = engine.script(&format!(
        r#"hangs='{}'
if [ -e "$hangs" ]; then
    {then}
fi
case " $* " in
*" exec "*)
    : >"$hangs"
    exec sleep 600 ;;
*" inspect "*)
    answer=$("$podman" "$@")
    code=$?
    printf '%s' "$answer" | sed 's/"Pid"/"NoPid"/'
    exit "$code" ;;
esac
exec "$podman" "$@"
"#,
        hangs.display()
    ));
    let runtime = engine.builder().binary(podman).limits(limits).kill_strategy(strategy).build().unwrap();
    let container = runtime.container(&ContainerName::new("web").unwrap());
    let token = CancelToken::new();
    let error = std::thread::scope(|scope| {
        let call = scope.spawn(|| container.exec(&request(&["true"]), &Until::cancelled(&token)));
        while !hangs.exists() && !call.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        token.cancel();
        call.join().unwrap().unwrap_err()
    });
    assert!(hangs.exists(), "{error:?}");
    std::fs::remove_file(hangs).unwrap();
    error.kill_report().unwrap().clone()
}

fn nothing_described(engine: &Engine) {
    engine.running("web");
    let nothing = "echo '[]'; exit";
    let report = cancelled(engine, nothing, TimeLimits::DEFAULT, KillStrategy::Auto);
    let KillOutcome::Unknown(why) = &report.outcome else { panic!("{report:?}") };
    assert!(why.contains("podman does not say"), "{report:?}");
}

fn limits_at_the_end(engine: &Engine) {
    engine.running("web");
    let mut limits = TimeLimits::DEFAULT;
    // More than by default, and it is needed.
    limits.kill_report = Duration::from_secs(60);
    let late = "sleep 3; echo 'Error: no such container web' >&2; exit 125";
    let report = cancelled(engine, late, limits, KillStrategy::Auto);
    assert_eq!(report.outcome, KillOutcome::NeverStarted, "{report:?}");
    // Less than by default.
    limits.kill_inside = Duration::from_millis(200);
    let report = cancelled(engine, "exec sleep 600", limits, KillStrategy::InContainer);
    assert!(matches!(report.outcome, KillOutcome::Unknown(_)), "{report:?}");
    assert!(report.elapsed < TimeLimits::DEFAULT.kill_inside, "{report:?}");
}

/// conmon lives on, and starts the command later.
fn reasonless_failure(engine: &Engine) {
    engine.running("web");
    let podman = engine.script(
        r#"case " $* " in
*" exec "*)
    FAKE_PODMAN_FAULT=exec:slow-conmon=5000 "$podman" "$@" &
    until [ -n "$(find "$FAKE_PODMAN_DIR" -name exec-process-1)" ]; do sleep 0.02; done
    kill -9 $!
    echo 'Error: read unixpacket @->/proc/self/fd/14/attach: read: connection reset by peer' >&2
    exit 255 ;;
esac
exec "$podman" "$@"
"#,
    );
    let runtime = engine.builder().binary(podman).build().unwrap();
    let container = runtime.container(&ContainerName::new("web").unwrap());
    let error = container.exec(&request(&["sleep", "4242006"]), &patience()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
    let report = error.kill_report().unwrap_or_else(|| panic!("nothing is said of the command: {error:?}"));
    assert!(matches!(report.outcome, KillOutcome::Gone | KillOutcome::NeverStarted), "{report:?}");
}

fn left_out_line(engine: &Engine) {
    let podman = engine.script(
        r#"case " $* " in
*" inspect "*)
    answer=$("$podman" "$@")
    code=$?
    printf '%s' "$answer" | sed s/k8s-file/elsewhere/
    exit "$code" ;;
*" logs "*" --follow "*) "$podman" "$@" | sed -u 2d; exit ;;
esac
exec "$podman" "$@"
"#,
    );
    let script = "echo 1; echo 2; echo 3; until [ -e /tmp/go ]; do sleep 0.05; done";
    let spec = engine.spec("web").command(["sh", "-c", script]).build().unwrap();
    engine.runtime().launch(&spec, patience()).unwrap();
    let runtime = engine.builder().binary(podman).build().unwrap();
    let container = runtime.container(spec.name());
    let mut log = container.logs(&LogOptions::new().follow(), &patience()).unwrap();
    let Pull::Item(first) = log.pull(&patience()).unwrap() else { panic!("no line") };
    assert_eq!(first.text(), "1");
    engine.ask(&["exec", "web", "touch", "/tmp/go"]);
    let error = loop {
        match log.pull(&patience()) {
            Ok(Pull::Item(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Incomplete, "{error}");
}

/// podman 4.3 drops that of a container that is being stopped, and ends no process of it.
fn dropped_record(engine: &Engine) {
    let container = engine.running("web");
    let pid = engine.ask(&["container", "inspect", "--format={{.State.Pid}}", "web"]).1;
    let main = procfs::entry(pid.trim().parse().unwrap()).unwrap().unwrap();
    let podman = engine.script(
        r#"case " $* " in
*" rm "*)
    rm "$FAKE_PODMAN_DIR"/containers/*/record.json
    echo web
    exit ;;
esac
exec "$podman" "$@"
"#,
    );
    let runtime = engine.builder().binary(podman).build().unwrap();
    let result = runtime.force_remove(&[container.key().name.clone()], &patience()).remove(0);
    let runs_on = procfs::is_running(&main).unwrap();
    if runs_on {
        procfs::signal(&main, Signal::KILL).unwrap();
    }
    assert!(result.removed && !runs_on, "{result:?}, {main:?}");
}
