//! The supervisor of one command. It starts the command and reports how it ends. It ends the
//! command with all its descendants on request, or when the host is gone.

use core::ffi::CStr;

use crate::command::{self, Failure};
use crate::file_act;
use crate::inherited::Inherited;
use crate::kernel::{self, AT_ROOT, Disposition, Errno, Fd, PollFd, SIGKILL, SIGSTOP, SIGTERM};
use crate::terminal::{INTERESTS, Terminal};
use crate::tree;
use crate::user_database::UserDatabase;
use crate::wire_format::{
    Act, DESCRIPTORS, FRAME, HEAD, Order, Report, RequestBody, RequestHead, SOCKET_FD, Stage,
};

/// How long descendants may take to disappear after KILL, in milliseconds.
const KILL_WAIT: u64 = 4000;

/// The pause between two KILL passes, in milliseconds. The end of a child cuts it short.
const KILL_PAUSE: u32 = 2;

/// Serves one request, in a fork of the agent.
pub(crate) fn run(inherited: &Inherited, descriptors: [Fd; DESCRIPTORS]) -> ! {
    let [control, streams @ ..] = descriptors;
    let [life, _] = inherited.life;
    // These belong to the agent: the host must notice the agent's end, and the agent the
    // supervisor's.
    kernel::close(SOCKET_FD);
    kernel::close(life);
    match start(inherited, control, streams) {
        Ok(supervisor) => supervisor.watch(),
        Err(Failure(stage, Errno(errno))) => {
            say(control, Report::Failed(stage, errno));
            kernel::exit(0)
        }
    }
}

fn say(control: Fd, report: Report) -> bool {
    kernel::send(control, &report.to_bytes())
}

fn start(inherited: &Inherited, control: Fd, streams: [Fd; 3]) -> Result<Supervisor, Failure> {
    let no_process = |errno| Failure(Stage::Fork, errno);
    kernel::adopt_orphans().map_err(no_process)?;
    kernel::on_signal(kernel::SIGCHLD, Disposition::Default).map_err(no_process)?;
    let mask = kernel::block_sigchld();
    let ended_children = kernel::sigchld_descriptor().map_err(no_process)?;

    let mut head = [0; HEAD];
    receive(control, &mut head);
    let refused = |stage| Failure(stage, Errno(0));
    let head = RequestHead::from_bytes(&head).ok_or(refused(Stage::Request))?;
    if head.act != Act::Run && head.terminal.is_some() {
        return Err(refused(Stage::Unsupported));
    }
    if !UserDatabase::now().is_ok_and(|users| users == inherited.users) {
        return Err(refused(Stage::Outdated));
    }
    let body = kernel::allocate(head.length as usize).map_err(no_process)?;
    receive(control, body);
    let body = RequestBody::from_bytes(&head, body).ok_or(refused(Stage::Request))?;

    // If the host has given up the request meanwhile, nothing may run. This can be long ago: the
    // container was paused, or the agent stopped.
    let mut fds = [PollFd::hung_up(control)];
    kernel::poll(&mut fds, Some(0));
    let [hung_up] = fds;
    if hung_up.is_ready() || !say(control, Report::AboutToStart) {
        kernel::exit(0);
    }
    let (found, _) =
        kernel::allocate(tree::MOST * size_of::<tree::Found>()).map_err(no_process)?.as_chunks_mut();
    let [stdin, stdout, _] = streams;
    let stdin = head.has_stdin.then_some(stdin);
    let terminal = head.terminal.map(|size| Terminal::open(size, stdin, stdout)).transpose();
    let terminal = terminal.map_err(|errno| Failure(Stage::Terminal, errno))?;
    let peer = terminal.as_ref().and_then(Terminal::peer);
    let leader = match head.act {
        Act::Run => command::start(inherited, &head, body, peer.map_or(streams, |peer| [peer; 3]), mask)?,
        act => {
            let private = [control, ended_children];
            start_file_act(act, body, streams, private, mask).map_err(no_process)?
        }
    };
    if terminal.is_some() {
        // Otherwise a write of the supervisor to a host that reads no more would end it. Not before
        // the command has started, which would inherit this.
        let _ = kernel::on_signal(kernel::SIGPIPE, Disposition::Ignore);
    }
    // These belong to the command, whose streams end when it closes them, or to its terminal.
    let is_used = |fd: &Fd| terminal.is_some() && (*fd == stdout || Some(*fd) == stdin);
    streams.into_iter().filter(|fd| !is_used(fd)).for_each(kernel::close);
    // If the host is gone, the loop notices it.
    say(control, Report::Started(leader));
    Ok(Supervisor {
        control,
        ended_children,
        leader: Some(leader),
        leftover: file_act::leftover(head.act, body),
        status: None,
        terminal,
        reaped: 0,
        phase: Phase::Running,
        next_number: leader,
        found,
    })
}

/// Does an operation on files in a new process, and returns its process id.
fn start_file_act(
    act: Act,
    body: RequestBody<'_>,
    [stdin, stdout, _]: [Fd; 3],
    private: [Fd; 2],
    mask: u64,
) -> Result<u32, Errno> {
    if let Some(pid) = kernel::fork()? {
        return Ok(pid);
    }
    // They would stay open when the supervisor ends, and the host must notice that.
    private.into_iter().for_each(kernel::close);
    // So that a signal to its group reaches nobody else.
    let _ = kernel::new_session();
    kernel::set_signal_mask(mask);
    kernel::set_umask(0o022);
    kernel::exit(file_act::run(act, body, stdin, stdout))
}

/// Receives a part of the request. Exits if the host has given it up, because no report is
/// possible.
fn receive(control: Fd, buffer: &mut [u8]) {
    if !kernel::receive(control, buffer) {
        kernel::exit(0);
    }
}

struct Supervisor {
    control: Fd,
    ended_children: Fd,
    /// The command itself, until it was reaped. Until then its number, and that of its group,
    /// cannot be reused.
    leader: Option<u32>,
    /// What is removed if the leader is killed.
    leftover: Option<&'static CStr>,
    /// How the command has ended, if that was not reported yet: the last output of its terminal
    /// comes first.
    status: Option<u32>,
    terminal: Option<Terminal>,
    reaped: u32,
    phase: Phase,
    /// The next process id to check for children if `/proc` cannot be used. Those of the command
    /// mostly follow its own.
    next_number: u32,
    /// Room for the descendants that one pass finds.
    found: &'static mut [tree::Found],
}

/// How many passes stop descendants before what was found is killed.
const MOST_STOPS: u32 = 16;

/// Times are those of [`kernel::now`].
#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// It got TERM, and gets KILL at this time.
    Terminating(u64),
    /// It gets KILL repeatedly, until this time.
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
                    // Kills the whole group at once, so that no process in it can fork away.
                    self.signal_group(SIGKILL);
                    self.stop_tree();
                    let count = self.signal_tree(SIGKILL);
                    if kernel::now() >= end {
                        // At least one, because otherwise the kernel would report that there is
                        // none.
                        say(self.control, Report::Left(count.max(1)));
                        kernel::exit(0);
                    }
                    Some(KILL_PAUSE)
                }
            };
            // No order of the host changes a KILL.
            let is_killing = matches!(self.phase, Phase::Killing(_));
            let control = if is_killing { PollFd::NONE } else { PollFd::readable(self.control) };
            let terminal = self.terminal.as_ref().map_or([PollFd::NONE; INTERESTS], Terminal::interests);
            let [master, stdin, stdout] = terminal;
            let mut fds = [PollFd::readable(self.ended_children), control, master, stdin, stdout];
            let watched = match self.terminal {
                Some(_) => fds.len(),
                None => fds.len() - INTERESTS,
            };
            if !kernel::poll(fds.get_mut(..watched).unwrap_or_default(), pause) {
                // Neither an order nor the end of the host would be noticed any more.
                if !is_killing {
                    self.kill();
                }
                kernel::poll(&mut [], Some(KILL_PAUSE));
            }
            let [child_ended, order, master, stdin, stdout] = fds;
            if child_ended.is_ready() {
                // This only says that one has ended; reaping tells which.
                let _ = kernel::read(self.ended_children, &mut [0; 128]);
            }
            // Even if a child has ended, because a command can make children end all the time.
            if order.is_ready() {
                self.obey();
            }
            self.advance_terminal(&[master, stdin, stdout]);
        }
    }

    fn advance_terminal(&mut self, ready: &[PollFd; INTERESTS]) {
        if let Some(terminal) = &mut self.terminal
            && !terminal.advance(ready)
        {
            self.hang_up();
        }
    }

    fn hang_up(&mut self) {
        if let Some(terminal) = self.terminal.take() {
            terminal.hang_up();
        }
    }

    /// Reaps the children that have ended. The supervisor exits with the command itself, unless
    /// descendants are to be ended; otherwise they continue as children of the agent.
    fn reap(&mut self) {
        let is_alone = loop {
            match kernel::reap() {
                Ok(Some(child)) => {
                    self.reaped = self.reaped.saturating_add(1);
                    if self.leader == Some(child.pid) {
                        self.leader = None;
                        self.status = Some(child.status);
                        if let Some(leftover) = self.leftover.filter(|_| child.status & 0x7f != 0) {
                            let _ = kernel::unlink(AT_ROOT, leftover);
                        }
                        self.terminal.iter_mut().for_each(Terminal::command_exited);
                    }
                }
                // No descendant is left: each would be a child, because orphans are adopted here.
                Err(Errno::CHILD) => break true,
                _ => break false,
            }
        };
        let is_ending = !matches!(self.phase, Phase::Running);
        if self.status.is_some() {
            self.advance_terminal(&[PollFd::NONE; INTERESTS]);
            if is_ending || self.terminal.as_ref().is_some_and(Terminal::is_done) {
                self.hang_up();
            }
            if self.terminal.is_some() {
                return;
            }
        }
        let status = self.status.take();
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
            Some(Order::Resize(size)) => self.terminal.iter().for_each(|terminal| terminal.resize(size)),
            // The host is gone, or has sent an invalid order.
            Some(Order::End(_)) | None => self.kill(),
        }
    }

    fn kill(&mut self) {
        // What was written until now, and no more.
        self.advance_terminal(&[PollFd::NONE; INTERESTS]);
        self.hang_up();
        self.phase = Phase::Killing(kernel::now() + KILL_WAIT);
    }

    /// Stops all descendants, until a pass finds no more of them than the pass before. Stopped
    /// processes cannot fork while others are killed. Killing them first would free process slots
    /// for other forks.
    fn stop_tree(&mut self) {
        let mut before = 0;
        for _ in 0..MOST_STOPS {
            let count = tree::signal(SIGSTOP, self.found).unwrap_or(0);
            if count <= before {
                return;
            }
            before = count;
        }
    }

    fn signal_group(&self, signal: u32) {
        if let Some(leader) = self.leader
            && kernel::kill_group(leader, signal).is_err()
        {
            // It has left its own group.
            let _ = kernel::kill(leader, signal);
        }
    }

    /// Signals all descendants, and returns how many. Without a usable `/proc` it signals the
    /// command and its group, and for KILL every child.
    fn signal_tree(&mut self, signal: u32) -> u32 {
        if let Some(count) = tree::signal(signal, self.found) {
            return count;
        }
        self.signal_group(signal);
        if signal != SIGKILL {
            return 0;
        }
        let (count, next) = tree::kill_children(self.next_number);
        self.next_number = next;
        count
    }
}
