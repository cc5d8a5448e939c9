//! The supervisor of one command: it starts it, says how it ends, and ends it with all its descendants when it is told
//! to, or when nobody is there any more who could.

use crate::agent::Agent;
use crate::command::{self, Failure};
use crate::kernel::{self, Disposition, Errno, Fd, PollFd, SIGKILL, SIGTERM};
use crate::tree;
use crate::user_database::UserDatabase;
use crate::wire_format::{
    Act, DESCRIPTORS, FRAME, HEAD, Order, Report, RequestBody, RequestHead, SOCKET_FD, Stage,
};

/// How long descendants may take to vanish after KILL, in milliseconds.
const KILL_WAIT: u64 = 4000;

/// The pause between two looks at who is left. A child's end cuts it short.
const KILL_PAUSE: u32 = 2;

/// Serves one request, in a fork of the agent.
pub(crate) fn run(agent: &Agent, descriptors: [Fd; DESCRIPTORS]) -> ! {
    let [control, streams @ ..] = descriptors;
    let [life, _] = agent.life;
    // The agent's alone: the host is to see when it is gone, and it when we are.
    kernel::close(SOCKET_FD);
    kernel::close(life);
    match start(agent, control, streams) {
        Ok(supervisor) => {
            // The command's alone: its streams end when it closes them.
            streams.into_iter().for_each(kernel::close);
            supervisor.watch()
        }
        Err(Failure(stage, Errno(errno))) => {
            say(control, Report::Failed(stage, errno));
            kernel::exit(0)
        }
    }
}

fn say(control: Fd, report: Report) -> bool {
    kernel::send(control, &report.to_bytes())
}

fn start(agent: &Agent, control: Fd, streams: [Fd; 3]) -> Result<Supervisor, Failure> {
    let no_process = |errno| Failure(Stage::Fork, errno);
    kernel::adopt_orphans().map_err(no_process)?;
    kernel::on_signal(kernel::SIGCHLD, Disposition::Default);
    let mask = kernel::block_sigchld();
    let ended_children = kernel::sigchld_descriptor().map_err(no_process)?;

    let mut head = [0; HEAD];
    receive(control, &mut head);
    let refused = |stage| Failure(stage, Errno(0));
    let head = RequestHead::from_bytes(&head).ok_or(refused(Stage::Request))?;
    if head.act != Act::Run || head.terminal.is_some() {
        return Err(refused(Stage::Unsupported));
    }
    if agent.users != UserDatabase::now() {
        return Err(refused(Stage::Outdated));
    }
    let body = kernel::allocate(head.length as usize).map_err(no_process)?;
    receive(control, body);
    let body = RequestBody::from_bytes(&head, body).ok_or(refused(Stage::Request))?;

    // A host that has given the request up meanwhile is to find that it never ran. It may have been long ago: the container was
    // paused, or the agent stopped.
    let mut fds = [PollFd::hung_up(control)];
    kernel::poll(&mut fds, Some(0));
    let [hung_up] = fds;
    if hung_up.is_ready() || !say(control, Report::AboutToStart) {
        kernel::exit(0);
    }
    let leader = command::start(agent, &head, body, streams, mask)?;
    // Should the host be gone, the loop will see it.
    say(control, Report::Started(leader));
    Ok(Supervisor { control, ended_children, leader: Some(leader), reaped: 0, phase: Phase::Running })
}

/// Receives a part of the request. Where the host has given it up, there is nobody to tell.
fn receive(control: Fd, buffer: &mut [u8]) {
    if !kernel::receive(control, buffer) {
        kernel::exit(0);
    }
}

struct Supervisor {
    control: Fd,
    ended_children: Fd,
    /// The command itself, until it was reaped. So long its number is its own, and so is that of its group.
    leader: Option<u32>,
    reaped: u32,
    phase: Phase,
}

/// The times are those of [`kernel::now`].
#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// It got TERM, and gets KILL at this time.
    Terminating(u64),
    /// It gets KILL, again and again, until this time.
    Killing(u64),
}

impl Supervisor {
    fn watch(mut self) -> ! {
        loop {
            self.reap();
            let pause = match self.phase {
                Phase::Running => None,
                Phase::Terminating(end) => {
                    let left = end.saturating_sub(kernel::now());
                    if left == 0 {
                        self.kill();
                        continue;
                    }
                    Some(u32::try_from(left).unwrap_or(u32::MAX))
                }
                Phase::Killing(end) => {
                    let count = self.signal_tree(SIGKILL);
                    if kernel::now() >= end {
                        say(self.control, Report::Left(count));
                        kernel::exit(0);
                    }
                    Some(KILL_PAUSE)
                }
            };
            let mut fds = [PollFd::readable(self.ended_children), PollFd::readable(self.control)];
            // Nothing that the host says changes a KILL.
            let watched = if let Phase::Killing(_) = self.phase { 1 } else { 2 };
            kernel::poll(fds.get_mut(..watched).unwrap_or_default(), pause);
            let [child_ended, order] = fds;
            if child_ended.is_ready() {
                // Only that there was one; which, the reaping tells.
                let _ = kernel::read(self.ended_children, &mut [0; 128]);
            } else if order.is_ready() {
                self.obey();
            }
        }
    }

    /// Takes the children that have ended. With the command itself it is over, unless its descendants are to be ended:
    /// these run on as children of the agent.
    fn reap(&mut self) {
        let mut status = None;
        let is_alone = loop {
            match kernel::reap() {
                Ok(Some(child)) => {
                    self.reaped = self.reaped.saturating_add(1);
                    if self.leader == Some(child.pid) {
                        self.leader = None;
                        status = Some(child.status);
                    }
                }
                // No descendant is left: each would be a child, because orphans come here.
                Err(Errno::CHILD) => break true,
                _ => break false,
            }
        };
        let is_ending = !matches!(self.phase, Phase::Running);
        if let Some(status) = status {
            say(self.control, Report::Exited { status, is_alone });
        }
        if is_ending && is_alone {
            say(self.control, Report::Gone(self.reaped));
        }
        if is_alone || (status.is_some() && !is_ending) {
            kernel::exit(0);
        }
    }

    fn obey(&mut self) {
        let mut frame = [0; FRAME];
        let order = if kernel::receive(self.control, &mut frame) { Order::from_bytes(frame) } else { None };
        match order {
            Some(Order::SignalGroup(signal)) => self.signal_group(signal),
            Some(Order::SignalTree(signal)) => {
                self.signal_tree(signal);
            }
            Some(Order::End(grace)) if grace > 0 => {
                if let Phase::Running = self.phase {
                    self.signal_tree(SIGTERM);
                    self.phase = Phase::Terminating(kernel::now() + u64::from(grace));
                }
            }
            Some(Order::Resize(_)) => {}
            // The host is gone, or says what no host of this version says.
            Some(Order::End(_)) | None => self.kill(),
        }
    }

    fn kill(&mut self) {
        self.phase = Phase::Killing(kernel::now() + KILL_WAIT);
    }

    fn signal_group(&self, signal: u32) {
        if let Some(leader) = self.leader
            && kernel::kill_group(leader, signal).is_err()
        {
            // It has left its own group.
            kernel::kill(leader, signal);
        }
    }

    /// Signals all descendants that can be seen; how many these are. Without a `/proc` it is the command and its group.
    fn signal_tree(&self, signal: u32) -> u32 {
        let count = tree::signal(signal);
        if count == 0 {
            self.signal_group(signal);
        }
        count
    }
}
