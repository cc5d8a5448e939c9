//! Fork bombs, and limits on processes. In a file of their own, because a bomb takes all the CPU
//! time.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what a test has not got is its failure")]

/// How the agent is reached: see `fixture`.
const IS_MULTIPLEXED: bool = false;

#[path = "local/fixture.rs"]
#[allow(dead_code, reason = "the other tests need more of it")]
mod fixture;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rt_agent::{AgentError, PendingAgent};
use rt_process::{Child, ChildStdio, ExitStatus, ProcessSpec, Program};
use rt_protocol::{CancelToken, ErrorKind, ExecRequest, KillOutcome, Until};

use crate::fixture::{LONG, LocalAgent, shell};

/// Words that limit the number of processes of the agent's user. That is one of this test run alone
/// where root can choose one; `others` more are allowed where it is our own, which has others.
fn limited(processes: u32, others: u32) -> Vec<String> {
    if !is_root() {
        return vec!["prlimit".to_owned(), format!("--nproc={}", processes + others)];
    }
    let limit = format!("--nproc={processes}");
    as_own_user(BOMBS).into_iter().chain(["prlimit".to_owned(), limit]).collect()
}

/// Where the numbers of the users of a test begin: each test has its own.
const BOMBS: u32 = 50_000;
const FULL: u32 = 60_000;

/// Words that run a program as a user whom only this test run has.
fn as_own_user(first: u32) -> [String; 4] {
    let user = first + std::process::id() % 10_000;
    let words = ["setpriv", &format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"];
    words.map(str::to_owned)
}

/// Ends all processes of that user when it is dropped, so that a test that fails leaves no bomb.
struct OwnUser;

impl Drop for OwnUser {
    fn drop(&mut self) {
        if !is_root() {
            return;
        }
        // As that user: the shell may signal nobody else, and the kernel signals all of them at
        // once.
        let [setpriv, arguments @ ..] = as_own_user(BOMBS);
        let setpriv = ProcessSpec::new(&Program::find(setpriv).unwrap()).args(arguments);
        let kill = Child::spawn(&setpriv.args(["sh", "-c", "kill -KILL -1"]), ChildStdio::null()).unwrap();
        let _ = kill.wait(&Until::after(LONG));
    }
}

#[test]
#[ignore = "it takes the processor time of other tests, and ends late beside them; run it alone"]
fn a_bomb_that_never_gives_up_is_gone() {
    // All in one group, and each in a session of its own. No more of them than leave the machine
    // to others: a thousand take all of it for minutes.
    let forks = "$SIG{TERM} = 'IGNORE'; for (;;) { fork // select undef, undef, undef, 0.002 }";
    let sessions = format!("use POSIX; {}", forks.replace("fork //", "fork or setsid or"));
    let bombs = [(limited(100, 300), forks), (limited(100, 0), sessions.as_str())];
    // Where the user has other processes, the limit for the second would be too high: a thousand
    // processes with a session each are more than a supervisor ends.
    for (limit, bomb) in bombs.into_iter().take(if is_root() { 2 } else { 1 }) {
        let before: Vec<_> = limit.iter().map(String::as_str).collect();
        let _user = OwnUser;
        let local = LocalAgent::start_with(&before, &[]);
        let request = ExecRequest::new(["perl", "-e", bomb]).unwrap();
        let error = local.exec(&request, &Until::after(Duration::from_secs(1))).unwrap_err();
        let report = error.kill_report().unwrap();
        assert_eq!(report.outcome, KillOutcome::Gone, "{error}");
        assert!(report.killed > 50, "{report:?}");
    }
}

#[test]
fn an_agent_with_no_room_for_a_command_says_no_hello() {
    // One process is the agent alone, and two have a supervisor that could not start its command.
    for limit in [limited(1, 0), limited(2, 0)] {
        let before: Vec<_> = limit.iter().map(String::as_str).collect();
        let (pending, socket) = PendingAgent::new().unwrap();
        let process = fixture::start(socket, &before, &[]);
        let answer = pending.hello(&Until::after(LONG));
        assert!(matches!(answer, Err(AgentError::Gone)), "{answer:?}");
        assert_eq!(process.wait(&Until::after(LONG)).unwrap(), Some(ExitStatus::Code(1)));
    }
}

#[test]
fn where_no_process_can_be_made_the_command_never_started() {
    if !is_root() {
        // Their own user has other processes, which come and go.
        return;
    }
    // While one command runs, three processes have no room for another supervisor, and four have
    // one that cannot start its command.
    for limit in ["--nproc=3", "--nproc=4"] {
        let user = as_own_user(FULL);
        let before: Vec<_> = user.iter().map(String::as_str).chain(["prlimit", limit]).collect();
        let local = LocalAgent::start_with(&before, &[]);
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
        let begun = home.path().join("begun");
        let first = shell(&format!("echo >{}; exec sleep 600", begun.display()));
        let token = CancelToken::new();
        std::thread::scope(|scope| {
            let (local, first) = (&local, &first);
            let until = Until::after(LONG).or_cancelled(&token);
            let running = scope.spawn(move || local.exec(first, &until));
            fixture::wait_for(|| begun.exists());
            let error = local.exec(&shell("exit 0"), &Until::after(LONG)).unwrap_err();
            token.cancel();
            assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
            assert!(error.to_string().contains("no room for another process"), "{error}");
            assert_eq!(running.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        });
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}
