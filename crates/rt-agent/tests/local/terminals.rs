//! Commands with a terminal: what the supervisor copies, when it ends, and what a kill does to it.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rt_protocol::{
    CommandControl, CommandPipes, ErrorKind, ExecRequest, ExitOutcome, KillOutcome, OutputLimit, StreamEnd,
    TerminalSize, Until,
};
use rustix::process::{Signal, getuid};

use crate::fixture::{LONG, LocalAgent, is_alive, signal, wait_for};

fn size(rows: u16, columns: u16) -> TerminalSize {
    TerminalSize::new(rows, columns).unwrap()
}

fn request(script: &str) -> ExecRequest {
    ExecRequest::builder(["sh", "-c", script]).terminal(size(33, 121)).build().unwrap()
}

fn screen(local: &LocalAgent, script: &str) -> String {
    let result = local.exec(&request(script), &Until::after(LONG)).unwrap();
    assert_eq!(result.outcome, ExitOutcome::Code(0), "{}", result.stdout);
    assert_eq!((result.stderr.total(), result.stdout.end()), (0, StreamEnd::Eof));
    result.stdout.text().into_owned()
}

/// A command with a terminal, and the keyboard and screen of it.
struct Session {
    command: Box<dyn CommandControl>,
    keyboard: Option<PipeWriter>,
    screen: Option<PipeReader>,
}

impl Session {
    fn start(local: &LocalAgent, script: &str) -> Self {
        let (stdin, keyboard) = pipe().unwrap();
        let (screen, stdout) = pipe().unwrap();
        let mut pipes = CommandPipes::default();
        (pipes.stdin, pipes.stdout) = (Some(stdin.as_fd()), Some(stdout.as_fd()));
        let command = local.spawn(&request(script), &pipes, &Until::after(LONG)).unwrap();
        Self { command, keyboard: Some(keyboard), screen: Some(screen) }
    }

    fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        self.screen.as_mut().unwrap().read_exact(&mut got).unwrap();
        assert_eq!(got.escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }

    fn enter(&mut self, bytes: &[u8]) {
        self.keyboard.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.screen.as_mut().unwrap().read_to_end(&mut rest).unwrap();
        rest
    }

    fn outcome(&mut self) -> ExitOutcome {
        self.command.wait(&Until::after(LONG)).unwrap();
        self.command.try_wait().unwrap().unwrap().outcome
    }
}

#[test]
fn the_streams_are_the_terminal_of_its_session() {
    let local = LocalAgent::start();
    let text = screen(
        &local,
        "for fd in 0 1 2; do test -t $fd && echo yes; done; tty; stty size; echo $TERM; echo to-it >/dev/tty; \
         ps -o tty=,sid=,tpgid= -p $$; echo $$",
    );
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines[..3], ["yes"; 3]);
    assert!(lines[3].starts_with("/dev/pts/"), "{text}");
    assert_eq!(lines[4..7], ["33 121", "xterm", "to-it"], "{text}");
    let own: Vec<&str> = lines[7].split_whitespace().collect();
    assert_eq!(own, [lines[3].strip_prefix("/dev/").unwrap(), lines[8], lines[8]], "{text}");
    assert!(!local.sh("test -t 0 || test -t 1").outcome.success(), "others have none");
}

#[test]
fn bytes_pass_both_ways_and_more_than_any_buffer_holds() {
    let local = LocalAgent::start();
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let mut session = Session::start(&local, "stty raw -echo; printf ready; exec head -c 1048576");
    session.expect(b"ready");
    let mut keyboard = session.keyboard.take().unwrap();
    let typed = bytes.clone();
    let typing = std::thread::spawn(move || keyboard.write_all(&typed).map(|()| keyboard));
    // A slow reader holds back the command, and the writer.
    std::thread::sleep(Duration::from_millis(100));
    let got = session.rest();
    assert!(got == bytes, "{} bytes", got.len());
    drop(typing.join().unwrap().unwrap());
    assert_eq!(session.outcome(), ExitOutcome::Code(0));
}

#[test]
fn all_output_comes_before_the_end_however_late_it_is_read() {
    let local = LocalAgent::start();
    for round in 0..10 {
        let mut session = Session::start(&local, "stty -opost; seq 100000 199999; exit 5");
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_millis(20));
            assert!(session.command.try_wait().is_none(), "its last output was not read");
        }
        let text = String::from_utf8(session.rest()).unwrap();
        assert!(text.lines().map(|line| line.parse::<u32>().unwrap()).eq(100_000..200_000), "{}", text.len());
        assert_eq!(session.outcome(), ExitOutcome::Code(5));
    }
}

#[test]
fn a_child_that_holds_the_terminal_does_not_hold_the_call() {
    let local = LocalAgent::start();
    let begun = Instant::now();
    for flood in ["sleep 65", "exec yes"] {
        let script = format!("trap '' HUP; (trap '' PIPE; {flood}) & printf done");
        let request = ExecRequest::builder(["sh", "-c", &script]).terminal(size(24, 80));
        let request = request.output_limit(OutputLimit::bytes(4)).build().unwrap();
        let result = local.exec(&request, &Until::after(LONG)).unwrap();
        assert_eq!((result.outcome, result.stdout.end()), (ExitOutcome::Code(0), StreamEnd::Eof));
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // A sleep does not notice the hang-up, which it ignores.
    wait_for(|| local.children().len() <= 2);
    local.children().iter().for_each(|pid| signal(*pid, Signal::KILL));
    wait_for(|| local.children().is_empty());
}

#[test]
fn a_resize_and_an_interrupt_reach_what_is_in_the_foreground() {
    let local = LocalAgent::start();
    let mut session = Session::start(
        &local,
        "trap 'stty size' WINCH; trap : INT; printf ready; until read line; do :; done; sleep 66; echo $line",
    );
    session.expect(b"ready");
    session.command.resize(size(50, 200)).unwrap();
    session.expect(b"50 200\r\n");
    session.enter(b"word\n");
    session.expect(b"word\r\n");
    wait_for(|| {
        let all = rt_process::procfs::snapshot().unwrap();
        all.iter().any(|entry| local.children().iter().any(|child| is_grandchild(&all, entry.parent, *child)))
    });
    session.enter(b"\x03");
    session.expect(b"^C");
    assert_eq!(session.rest().escape_ascii().to_string(), "word\\r\\n");
    assert_eq!(session.outcome(), ExitOutcome::Code(0));
}

fn is_grandchild(all: &[rt_process::procfs::ProcessEntry], pid: u32, supervisor: u32) -> bool {
    all.iter().any(|entry| entry.pid == pid && entry.parent == supervisor)
}

#[test]
fn an_output_that_nobody_reads_hangs_up() {
    let local = LocalAgent::start();
    for script in ["exec sleep 67", "exec yes"] {
        let mut session = Session::start(&local, script);
        session.screen = None;
        assert_eq!(session.outcome(), ExitOutcome::Signal("HUP".into()), "{script}");
    }
    // The end of what is typed does not.
    let mut session = Session::start(&local, "sleep 0.2; echo more");
    session.keyboard = None;
    assert_eq!(session.rest(), b"more\r\n");
    assert_eq!(session.outcome(), ExitOutcome::Code(0));
}

#[test]
fn a_kill_is_noticed_at_once_whatever_the_command_writes() {
    let local = LocalAgent::start();
    for is_read in [true, false] {
        let mut session = Session::start(&local, "exec yes");
        let mut screen = session.screen.take().unwrap();
        let reading = is_read
            .then(|| std::thread::spawn(move || drop(std::io::copy(&mut screen, &mut std::io::sink()))));
        std::thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        let report = session.command.kill();
        assert_eq!(report.outcome, KillOutcome::Gone, "{report}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        if let Some(reading) = reading {
            reading.join().unwrap();
        }
    }
    wait_for(|| local.children().is_empty());
}

#[test]
fn what_ignores_every_request_to_end_is_gone_after_a_drop() {
    let local = LocalAgent::start();
    for is_killed in [true, false] {
        let mut session =
            Session::start(&local, "trap '' TERM HUP INT; setsid sleep 68 & echo $!; exec sleep 69");
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            session.screen.as_mut().unwrap().read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        let pid: u32 = String::from_utf8(line).unwrap().trim().parse().unwrap();
        assert!(is_alive(pid));
        if is_killed {
            let report = session.command.kill();
            assert_eq!(report.outcome, KillOutcome::Gone, "{report}");
            assert!(!is_alive(pid));
        } else {
            drop(session.command);
            wait_for(|| !is_alive(pid));
        }
    }
    wait_for(|| local.children().is_empty());
}

#[test]
fn a_container_without_room_for_a_terminal_says_so() {
    if !getuid().is_root() {
        return;
    }
    let none = "mount -t tmpfs none /dev/pts";
    let one = "mount -t devpts -o newinstance,max=1,ptmxmode=666 none /dev/pts && mount --bind /dev/pts/ptmx /dev/ptmx";
    for (prepare, has_one) in [(none, false), (one, true)] {
        let script = format!("{prepare} && exec \"$@\"");
        let before = ["unshare", "-m", "sh", "-c", &script, "sh"];
        let local = LocalAgent::start_with(&before, &[]);
        let held = has_one.then(|| Session::start(&local, "exec sleep 70"));
        let error = local.exec(&request("true"), &Until::after(LONG)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendFailed, "{error}");
        assert!(error.to_string().contains("no terminal") && error.never_started(), "{error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains("/dev/ptmx")), "{error:?}");
        // Other commands do not need one.
        assert!(local.sh("true").outcome.success());
        drop(held);
        if has_one {
            // It hangs up a moment after the drop.
            wait_for(|| local.exec(&request("true"), &Until::after(LONG)).is_ok());
            assert_eq!(screen(&local, "tty"), "/dev/pts/0\r\n");
        }
    }
}
