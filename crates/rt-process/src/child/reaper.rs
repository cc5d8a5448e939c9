//! A thread for a process that nobody waits for any more: it takes its output, and reaps it.

use std::os::fd::OwnedFd;
use std::thread;

use rt_protocol::{OutputStream, Source};

use super::child_process::ChildProcess;
use crate::io::output_pump::OutputPump;
use crate::io::output_target::OutputTarget;
use crate::io::poll_loop::PollLoop;
use crate::io::stdin_pump::StdinPump;
use crate::io::waker::Waker;

/// Takes a process over. Its outputs are read and dropped until nobody holds them any more, so that neither it nor its
/// children block on a full pipe or die of a closed one.
pub(crate) fn adopt(child: ChildProcess, pipes: [Option<OwnedFd>; 2], waker: Waker) {
    let pid = child.pid();
    let adopted = thread::Builder::new().name("rt-process-reap".to_owned()).spawn(move || {
        if let Ok(stdin) = StdinPump::new(Source::empty(), &waker) {
            reap(PollLoop::new(child, stdin, outputs(pipes), waker).until_eof());
        }
    });
    if let Err(error) = adopted {
        tracing::warn!(target: "rt_process", pid, %error, "no thread can wait for the process, it stays a zombie");
    }
}

fn outputs(pipes: [Option<OwnedFd>; 2]) -> [OutputPump<'static>; 2] {
    let [stdout, stderr] = pipes;
    [(OutputStream::Stdout, stdout), (OutputStream::Stderr, stderr)].map(|(stream, pipe)| {
        let mut output = OutputPump::new(stream, OutputTarget::Discard, None);
        match pipe {
            Some(pipe) => output.attach(pipe),
            None => output.stop(),
        }
        output
    })
}

fn reap(mut poll_loop: PollLoop<'static>) {
    while !poll_loop.is_complete() {
        poll_loop.poll_once(None);
        // At once, also when a child of it goes on and holds the outputs.
        if let Some(child) = poll_loop.child.as_mut().filter(|child| child.exited()) {
            child.reap();
        }
    }
    if let Some(mut child) = poll_loop.child {
        child.reap();
    }
}
