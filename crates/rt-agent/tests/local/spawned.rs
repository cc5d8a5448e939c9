//! Commands that run while the caller does other things.

use std::io::{Read, pipe};
use std::os::fd::AsFd;
use std::time::Duration;

use rt_process::{CommandSlot, ExecMarker};
use rt_protocol::{
    CommandPipes, ErrorKind, ExecStdio, ExitOutcome, KillOutcome, Signal, Sink, Source, StreamEnd, Until,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::fixture::{LONG, LocalAgent, Single, name, shell, signal, wait_for};

fn is_readable(fd: impl AsFd, wait: Duration) -> bool {
    let limit = Timespec::try_from(wait).unwrap();
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)).unwrap() == 1
}

#[test]
fn its_descriptor_is_readable_when_it_has_ended() {
    let local = LocalAgent::start();
    let (stdin, writer) = pipe().unwrap();
    let mut pipes = CommandPipes::default();
    pipes.stdin = Some(stdin.as_fd());
    let mut command = local.spawn(&shell("read line; exit 6"), &pipes, &Until::after(LONG)).unwrap();
    drop(stdin);
    assert!(command.try_wait().is_none());
    let ready = command.readiness().unwrap();
    assert!(!is_readable(&ready, Duration::from_millis(100)));
    drop(writer);
    assert!(is_readable(&ready, LONG));
    let result = loop {
        // The first look may find a part of the report.
        if let Some(result) = command.try_wait() {
            break result.unwrap();
        }
        assert!(is_readable(&ready, LONG));
    };
    assert_eq!(result.outcome, ExitOutcome::Code(6));
    assert_eq!((result.stdin.end, result.stdout.end), (StreamEnd::Direct, StreamEnd::Direct));
    assert_eq!(command.kill().outcome, KillOutcome::Gone, "the kernel has said that nothing is left");
}

#[test]
fn a_signal_reaches_the_group_and_no_other_session() {
    let local = LocalAgent::start();
    let (mut output, stdout) = pipe().unwrap();
    let mut pipes = CommandPipes::default();
    pipes.stdout = Some(stdout.as_fd());
    let text = "trap 'echo got; exit 3' USR1; (trap '' USR1; setsid sh -c 'echo apart; exec sleep 61') & \
                sleep 62 & echo ready; wait; wait";
    let mut command = local.spawn(&shell(text), &pipes, &Until::after(LONG)).unwrap();
    drop(stdout);
    let mut text = [0; 12];
    output.read_exact(&mut text).unwrap();
    command.signal(Signal::USR1).unwrap();
    command.wait(&Until::after(LONG)).unwrap();
    assert_eq!(command.try_wait().unwrap().unwrap().outcome, ExitOutcome::Code(3));
    // What has left the group runs on, as after a `podman exec` that has ended.
    let report = command.kill();
    assert!(matches!(report.outcome, KillOutcome::Unknown(_)), "{report:?}");
    drop(command);
    // The processes of the group die of the signal, but not at once.
    wait_for(|| local.children().len() == 1);
    local.children().iter().for_each(|pid| signal(*pid, rustix::process::Signal::KILL));
}

#[test]
fn signals_from_another_thread_wait_for_room_in_the_socket() {
    let local = LocalAgent::start();
    let (mut output, stdout) = pipe().unwrap();
    let slot = CommandSlot::default();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let stdio = ExecStdio::new(Source::empty(), Sink::descriptor(stdout));
            let request = shell("trap 'echo got; exit 3' USR1; echo ready; while :; do sleep 0.1; done");
            let (agents, marker, until) =
                (&mut Single(local.agent()), ExecMarker::fresh(), Until::after(LONG));
            rt_agent::bridged(agents, &request, &marker, stdio, &name(), Some(&slot), &until)
        });
        output.read_exact(&mut [0; 6]).unwrap();
        let orders = slot.command("signal", &Until::after(LONG)).unwrap().unwrap();
        let [supervisor] = local.children()[..] else { panic!("{:?}", local.children()) };
        // It reads nothing, until all that a socket holds was sent.
        signal(supervisor, rustix::process::Signal::STOP);
        for _ in 0..2000 {
            orders.signal_group(Signal::new("WINCH").unwrap());
        }
        orders.signal_group(Signal::USR1);
        signal(supervisor, rustix::process::Signal::CONT);
        assert_eq!(call.join().unwrap().unwrap().outcome, ExitOutcome::Code(3));
        // The command is gone, and takes nothing any more.
        orders.signal_group(Signal::KILL);
    });
    wait_for(|| local.children().is_empty());
}

#[test]
fn a_spawned_command_that_is_dropped_leaves_nothing() {
    let local = LocalAgent::start();
    for _ in 0..100 {
        let command =
            local.spawn(&shell("sleep 63 & sleep 64"), &CommandPipes::default(), &Until::after(LONG));
        drop(command.unwrap());
    }
    wait_for(|| local.children().is_empty());
}

#[test]
fn a_command_that_cannot_start_is_refused_at_once() {
    let local = LocalAgent::start();
    let request = rt_protocol::ExecRequest::new(["/no/such/program"]).unwrap();
    let error = local.spawn(&request, &CommandPipes::default(), &Until::after(LONG)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{error}");
    wait_for(|| local.children().is_empty());
}

#[test]
fn what_was_not_sent_of_a_request_is_not_shown() {
    let local = LocalAgent::start();
    // Longer than what a socket holds.
    let secret = "x".repeat(4 << 20);
    let request = rt_protocol::ExecRequest::builder(["true"]).secret_env("TOKEN", secret).build().unwrap();
    let request = rt_agent::EncodedRequest::new(&request, &ExecMarker::fresh(), false).unwrap();
    let nothing = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let command = local.agent().begin(&request, [nothing.as_fd(); 3], &Until::after(LONG)).unwrap();
    let shown = format!("{command:?}");
    assert!(shown.contains("unsent") && !shown.contains("120, 120"), "{} bytes", shown.len());
}
