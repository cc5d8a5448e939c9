//! Commands that are ended: whole trees, whatever they do to hide, and the reports about them.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rt_agent::{CommandEnd, Descendants, EncodedRequest, Progress, Supervised};
use rt_process::{ExecMarker, ExitStatus};
use rt_protocol::{
    CancelToken, Error, ErrorKind, ExecStdio, KILL_GRACE, KillOutcome, PartialOutput, Sink, Source, Until,
};

use crate::fixture::{LONG, LocalAgent, is_alive, pids_in, shell, wait_for};

/// Four processes that hide in every way, or refuse to end. Each writes its process id to a file.
const HIDING: &str = r#"
    (setsid env -i sh -c 'echo $$ > hidden; exec sleep 300' &)
    sh -c 'trap "" TERM; echo $$ > deaf; while :; do sleep 1; done' &
    sh -c 'echo $$ > stopped; kill -STOP $$' &
    setsid sh -c '(setsid sh -c "(env -i setsid sleep 300 & echo \$! > deep) &" &)' &
    while [ ! -s hidden ] || [ ! -s deaf ] || [ ! -s stopped ] || [ ! -s deep ]; do sleep 0.01; done
    echo ready
    : > printed
    exec sleep 300
"#;

#[test]
fn a_tree_that_hides_is_gone_after_its_deadline() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let token = CancelToken::new();
    let request =
        rt_protocol::ExecRequest::builder(["sh", "-c", HIDING]).workdir(home.path()).build().unwrap();
    let begun = Instant::now();
    let error = std::thread::scope(|scope| {
        let call = scope.spawn(|| local.exec(&request, &Until::cancelled(&token)));
        wait_for(|| home.path().join("printed").exists());
        token.cancel();
        call.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    let report = error.kill_report().unwrap();
    assert_eq!(report.outcome, KillOutcome::Gone, "{error}");
    // One ignores TERM and one is stopped, so the grace period is used.
    assert!(report.elapsed < KILL_GRACE + Duration::from_millis(1500), "{report:?}");
    assert!(report.elapsed >= KILL_GRACE && begun.elapsed() < LONG, "{report:?}");
    assert!(report.killed >= 5, "{report:?}");
    let Some(PartialOutput::Output { stdout, .. }) = error.partial() else { panic!("{error:?}") };
    assert_eq!(stdout.as_bytes(), b"ready\n");
    assert_all_gone(home.path(), 4);
}

#[test]
fn who_obeys_term_is_gone_at_once_and_its_last_words_arrive() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let token = CancelToken::new();
    let script = "trap 'echo bye; exit 7' TERM; echo hello; sh -c 'touch up; exec sleep 300' & wait";
    let request =
        rt_protocol::ExecRequest::builder(["sh", "-c", script]).workdir(home.path()).build().unwrap();
    let error = std::thread::scope(|scope| {
        let call = scope.spawn(|| local.exec(&request, &Until::cancelled(&token)));
        // A shell that has just forked swallows a TERM between its fork and the exec.
        wait_for(|| home.path().join("up").exists());
        token.cancel();
        call.join().unwrap().unwrap_err()
    });
    let report = error.kill_report().unwrap();
    assert_eq!((error.kind(), &report.outcome), (ErrorKind::Cancelled, &KillOutcome::Gone));
    assert!(report.elapsed < KILL_GRACE, "{report:?}");
    let Some(PartialOutput::Output { stdout, .. }) = error.partial() else { panic!("{error:?}") };
    assert_eq!(stdout.as_bytes(), b"hello\nbye\n");
}

#[test]
fn who_loses_its_parent_to_term_gets_term_too() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let token = CancelToken::new();
    // The first process ends at once, before the signal has come to all that it started.
    let script = "for number in $(seq 30); do sh -c 'trap \"echo bye; exit\" TERM; touch up$0; \
                  while :; do sleep 0.05; done' $number & done; wait";
    let request =
        rt_protocol::ExecRequest::builder(["sh", "-c", script]).workdir(home.path()).build().unwrap();
    let error = std::thread::scope(|scope| {
        let call = scope.spawn(|| local.exec(&request, &Until::cancelled(&token)));
        wait_for(|| fs::read_dir(home.path()).unwrap().count() == 30);
        token.cancel();
        call.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kill_report().unwrap().outcome, KillOutcome::Gone);
    let Some(PartialOutput::Output { stdout, .. }) = error.partial() else { panic!("{error:?}") };
    assert_eq!(stdout.text().lines().count(), 30, "{stdout:?}");
}

#[test]
fn a_stream_that_fails_ends_the_command() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("torn"))
        }
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let local = LocalAgent::start();
    let gone = |error: Error, kind| {
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.kill_report().unwrap().outcome, KillOutcome::Gone, "{error}");
    };
    let stdio = ExecStdio::new(Source::reader(Broken), Sink::discard());
    gone(
        local.exec_stdio(&shell("cat; sleep 300"), stdio, &Until::after(LONG)).unwrap_err(),
        ErrorKind::SourceFailed,
    );
    for script in ["yes", "echo short", "echo x; trap '' TERM; sleep 1"] {
        let stdio = ExecStdio::new(Source::empty(), Sink::writer(Broken));
        gone(
            local.exec_stdio(&shell(script), stdio, &Until::after(LONG)).unwrap_err(),
            ErrorKind::SinkFailed,
        );
    }
}

#[test]
fn what_is_dropped_is_ended() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let command = begin(&local, HIDING, home.path());
    wait_for(|| pids_in(home.path()).len() == 4);
    let begun = Instant::now();
    drop(command);
    wait_for(|| pids_in(home.path()).iter().all(|pid| !is_alive(*pid)));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_kill_is_answered_with_status_and_proof() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let mut command = begin(&local, HIDING, home.path());
    wait_for(|| pids_in(home.path()).len() == 4);
    command.end(Duration::ZERO);
    command.wait(&Until::after(LONG), Progress::has_ended).unwrap();
    let progress = command.progress();
    let Some(CommandEnd::Exited(ExitStatus::Signal(9))) = progress.command_end() else {
        panic!("{progress:?}")
    };
    assert!(matches!(progress.descendants(), Some(Descendants::Gone(5..))), "{progress:?}");
    assert_all_gone(home.path(), 4);
}

#[test]
fn signals_reach_the_group_or_the_whole_tree() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let script = "sh -c 'trap \"echo child >> got\" USR1; echo $$ > child; while :; do sleep 0.01; done' &
         setsid sh -c 'trap \"echo other >> got\" USR1; echo $$ > other; while :; do sleep 0.01; done' &
         trap 'echo first >> got' USR1; echo $$ > first; while :; do sleep 0.01; done";
    let mut command = begin(&local, script, home.path());
    wait_for(|| pids_in(home.path()).len() == 3);
    let got = || {
        let text = fs::read_to_string(home.path().join("got")).unwrap_or_default();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    // `sleep` is in the group too, and dies of the signal.
    command.signal_group(10);
    wait_for(|| got().len() == 2);
    assert_eq!(got(), ["child", "first"]);
    command.signal_tree(10);
    wait_for(|| got().len() == 5);
    assert_eq!(got(), ["child", "child", "first", "first", "other"]);
    command.end(Duration::ZERO);
    command.wait(&Until::after(LONG), Progress::has_ended).unwrap();
    assert!(matches!(command.progress().descendants(), Some(Descendants::Gone(_))));
}

#[test]
fn a_fork_bomb_under_a_limit_is_gone() {
    // Limits on processes are by user, and do not hold for root.
    let user = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "prlimit", "--nproc=200"];
    let mine = ["prlimit", "--nproc=1000"];
    let before: &[&str] = if is_root() { &user } else { &mine };
    let local = LocalAgent::start_with(before, &[]);
    let request = shell("bomb() { bomb | bomb & sleep 0.02; bomb; }; bomb 2>/dev/null & exec sleep 300");
    let error = local.exec(&request, &Until::after(Duration::from_secs(1))).unwrap_err();
    let report = error.kill_report().unwrap();
    assert_eq!(report.outcome, KillOutcome::Gone, "{error}");
    assert!(report.killed > 50, "{report:?}");
    assert!(report.elapsed < KILL_GRACE + Duration::from_millis(2500), "{report:?}");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Begins a script whose streams no other process holds.
fn begin(local: &LocalAgent, script: &str, workdir: &Path) -> Supervised {
    let request = rt_protocol::ExecRequest::builder(["sh", "-c", script]).workdir(workdir).build().unwrap();
    let nothing = fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let nothing = std::os::fd::AsFd::as_fd(&nothing);
    let request = EncodedRequest::new(&request, &ExecMarker::fresh(), false).unwrap();
    local.agent().begin(&request, [nothing; 3], &Until::after(LONG)).unwrap()
}

fn assert_all_gone(directory: &Path, count: usize) {
    let pids = pids_in(directory);
    assert_eq!(pids.len(), count);
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
}
