//! Commands and containers that work against their supervisor: threads, limits, a `/proc` of
//! another namespace. Fork bombs are in `bombs`.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rt_agent::{AgentError, CommandEnd, Descendants, EncodedRequest, PendingAgent, Progress, Supervised};
use rt_process::{Child, ChildStdio, ExecMarker, ExitStatus, ProcessSpec, Program};
use rt_protocol::{ExecRequest, Until};

use crate::fixture::{LONG, LocalAgent, pids_in, shell, start, wait_for};

#[test]
fn the_child_of_a_thread_gets_term_too() {
    let local = LocalAgent::start();
    let home = tempfile::tempdir().unwrap();
    let ours = std::env::current_exe().unwrap();
    let words = [ours.to_str().unwrap(), "--exact", "hostile::child_of_a_thread", "--ignored"];
    let mut command = begin(&local, &ExecRequest::builder(words).workdir(home.path()).build().unwrap());
    wait_for(|| pids_in(home.path()).len() == 1);
    let begun = Instant::now();
    command.end(LONG);
    command.wait(&Until::after(LONG), Progress::has_ended).unwrap();
    assert_gone(&command);
    assert!(begun.elapsed() < LONG / 2, "it did not get the TERM");
    assert_eq!(fs::read_to_string(home.path().join("ended")).unwrap(), "term\n");
}

/// The test harness runs this on a thread that is not the first one of its process.
#[test]
#[ignore = "it is the command of another test"]
fn child_of_a_thread() {
    let script = "trap 'echo term > ended; exit' TERM; echo $$ > child; while :; do sleep 0.05; done";
    let spec = ProcessSpec::new(&Program::find("sh").unwrap()).args(["-c", script]);
    let child = Child::spawn(&spec, ChildStdio { stdout: Stdio::null(), ..ChildStdio::null() }).unwrap();
    child.wait(&Until::after(LONG)).unwrap();
}

#[test]
fn a_proc_of_another_namespace_leads_to_no_stranger() {
    let spec = ProcessSpec::new(&Program::find("sh").unwrap())
        .args(["-c", "for child in 1 2 3 4 5 6 7 8 9; do sleep 300 & done; wait"]);
    let outside = Child::spawn(&spec, ChildStdio::null()).unwrap();
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", outside.pid());
        let text = fs::read_to_string(path).unwrap();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()
    };
    wait_for(|| children().len() == 9);
    // The agent's rehearsal takes two numbers. The first supervisor gets the number that the shell
    // has outside, and the second command that of a child of the shell.
    let next_is = |pid: u32| format!("echo {} > /proc/sys/kernel/ns_last_pid", pid - 1);
    let script = format!("{} && exec \"$@\"", next_is(outside.pid() - 2));
    let local = LocalAgent::start_with(
        &["unshare", "--map-root-user", "--pid", "--fork", "--kill-child", "sh", "-c", &script, "sh"],
        &[],
    );
    let mut first = begin(&local, &shell("setsid sleep 300 & exec sleep 300"));
    assert_eq!(first.progress().pid(), Some(outside.pid() + 1));
    let stranger = children().pop().unwrap();
    assert!(local.sh(&next_is(stranger - 1)).success());
    let mut second = begin(&local, &shell("exec sleep 300"));
    assert_eq!(second.progress().pid(), Some(stranger));
    first.end(Duration::ZERO);
    first.wait(&Until::after(LONG), Progress::has_ended).unwrap();
    assert_gone(&first);
    second.advance();
    assert!(!second.progress().has_ended(), "{:?}", second.progress());
    outside.end(Duration::ZERO).unwrap();
}

#[test]
fn a_command_that_blinds_its_supervisor_is_killed() {
    // Without descriptors the supervisor cannot poll: it would see neither an order nor the host's
    // end.
    let local = LocalAgent::start();
    let script = "setsid sleep 300 & prlimit --nofile=0:0 --pid $PPID; (true &); exec sleep 300";
    let mut command = begin(&local, &shell(script));
    command.wait(&Until::after(LONG), Progress::has_ended).unwrap();
    let end = command.progress().command_end();
    assert!(matches!(end, Some(CommandEnd::Exited(ExitStatus::Signal(9)))), "{end:?}");
    assert_gone(&command);
}

#[test]
fn a_container_that_hides_its_users_has_no_agent() {
    let script = "mount -t tmpfs -o mode=0 none /etc && exec setpriv --bounding-set=-all \"$@\"";
    let words = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"];
    let (pending, socket) = PendingAgent::new().unwrap();
    let process = start(socket, &words, &[]);
    let error = pending.hello(&Until::after(LONG)).unwrap_err();
    assert!(matches!(error, AgentError::Gone), "{error}");
    assert_eq!(process.wait(&Until::after(LONG)).unwrap(), Some(ExitStatus::Code(1)));
}

#[test]
fn a_storm_of_orphans_does_not_hold_an_order_up() {
    let local = LocalAgent::start();
    let words = ["perl", "-e", "fork for 1..3; for (;;) { if (!fork) { fork; exit } wait }"];
    let mut command = begin(&local, &ExecRequest::new(words).unwrap());
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    command.end(Duration::ZERO);
    command.wait(&Until::after(LONG), Progress::has_ended).unwrap();
    assert_gone(&command);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

/// Begins a command whose streams no other process holds.
fn begin(local: &LocalAgent, request: &ExecRequest) -> Supervised {
    let nothing = fs::File::options().read(true).write(true).open(Path::new("/dev/null")).unwrap();
    let request = EncodedRequest::new(request, &ExecMarker::fresh(), false).unwrap();
    let mut command = local.agent().begin(&request, [nothing.as_fd(); 3], &Until::after(LONG)).unwrap();
    command.wait(&Until::after(LONG), |progress| progress.pid().is_some()).unwrap();
    command
}

fn assert_gone(command: &Supervised) {
    let progress = command.progress();
    assert!(matches!(progress.descendants(), Some(Descendants::Gone(_))), "{progress:?}");
}
