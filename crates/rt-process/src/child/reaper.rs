//! A thread for a process that nobody waits for any more: it takes its output, and reaps it.

use std::os::fd::OwnedFd;
use std::thread;

use rt_protocol::{OutputStream, Source};

use super::Leader;
use crate::io::output_pump::Outlet;
use crate::io::output_target::Way;
use crate::io::poll_loop::Pump;
use crate::io::stdin_pump::Inlet;
use crate::io::waker::Waker;

/// Takes a process over. Its outputs are read and dropped until nobody holds them any more, so that neither it nor its
/// children block on a full pipe or die of a closed one.
pub(crate) fn adopt(leader: Leader, pipes: [Option<OwnedFd>; 2], waker: Waker) {
    let pid = leader.pid();
    let adopted = thread::Builder::new().name("rt-process-reap".to_owned()).spawn(move || {
        if let Ok(inlet) = Inlet::new(Source::empty(), &waker) {
            reap(Pump::new(leader, inlet, outlets(pipes), waker).patiently());
        }
    });
    if let Err(error) = adopted {
        tracing::warn!(target: "rt_process", pid, %error, "no thread can wait for the process, it stays a zombie");
    }
}

fn outlets(pipes: [Option<OwnedFd>; 2]) -> [Outlet<'static>; 2] {
    let [stdout, stderr] = pipes;
    [(OutputStream::Stdout, stdout), (OutputStream::Stderr, stderr)].map(|(stream, pipe)| {
        let mut outlet = Outlet::new(stream, Way::Nowhere, None);
        match pipe {
            Some(pipe) => outlet.attach(pipe),
            None => outlet.stop(),
        }
        outlet
    })
}

fn reap(mut pump: Pump<'static>) {
    while !pump.is_complete() {
        pump.turn(None);
        // At once, also when a child of it goes on and holds the outputs.
        if let Some(leader) = pump.leader.as_mut().filter(|leader| leader.exited()) {
            leader.reap();
        }
    }
    if let Some(mut leader) = pump.leader {
        leader.reap();
    }
}
