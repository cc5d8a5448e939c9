//! Reads the outputs of a detached process until no process holds them open.

use std::os::fd::OwnedFd;

use rt_protocol::sync::Waker;
use rt_protocol::{OutputStream, Source};

use super::output_pump::OutputPump;
use super::output_target::OutputTarget;
use super::poll_loop::PollLoop;
use super::stdin_pump::StdinPump;
use crate::Child;
use crate::child::reaper;

/// Takes over a process. Its outputs are read and discarded until no process holds them open. So
/// neither it nor its children block on a full pipe or die of a closed one.
pub(crate) fn adopt(child: Child, pipes: [Option<OwnedFd>; 2], waker: Waker) {
    reaper::start(child.pid(), move || {
        let Ok(stdin) = StdinPump::new(Source::empty(), &waker) else { return };
        let mut poll_loop = PollLoop::new(child, stdin, outputs(pipes), waker).until_eof();
        while !poll_loop.is_complete() {
            poll_loop.poll_once(None);
            // At once, even if a child of it still runs and holds the outputs.
            let _ = poll_loop.child.as_ref().map(Child::try_wait);
        }
    });
}

fn outputs(pipes: [Option<OwnedFd>; 2]) -> [OutputPump<'static>; 2] {
    let [stdout, stderr] = pipes;
    [(OutputStream::Stdout, stdout), (OutputStream::Stderr, stderr)].map(|(stream, pipe)| {
        let mut output = OutputPump::new(stream, OutputTarget::Discard, None);
        output.attach(pipe);
        output
    })
}
