//! The host's side of an agent behind one byte stream, where no descriptors can be passed.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rt_protocol::sync::Waker;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::link::{NewCommand, Queue};
use crate::packet_format::{
    INPUT_WINDOW, MAX_PAYLOAD, MOST_COMMANDS, OUTPUT_WINDOW, OVERDRAFT, PACKET_HEAD, Packet, PacketHead,
    Stream,
};
use crate::wire_format::{FRAME, Report, VERSION};
use crate::{Agent, AgentError};

/// How many bytes may wait to be sent before no more of stdin is read.
const BACKLOG: usize = 256 << 10;

/// How many bytes of an output are handed on before the agent gets credit for them.
const CREDIT_STEP: usize = OUTPUT_WINDOW / 4;

/// How many reports of one command may wait for its outputs. A supervisor sends at most five.
const MOST_REPORTS: usize = 16;

/// An agent that is reached by one byte stream, which carries the streams of all its commands. The
/// program is started with [`MULTIPLEX`](crate::MULTIPLEX) as its argument, and its stdin and
/// stdout are the stream.
///
/// The caller moves the bytes of the stream: [`receive`](Self::receive) takes those that came, and
/// [`output`](Self::output) has those to send. It polls [`interests`](Self::interests) and calls
/// [`advance`](Self::advance). Commands are given to [`agent`](Self::agent) from any thread.
///
/// Dropping it is the end of the agent for its commands: those that it was not told of have not
/// run, and the others are [`Lost`](crate::CommandEnd::Lost).
pub struct Multiplexer {
    queue: Arc<Queue>,
    agent: Option<Agent>,
    /// New commands for which the agent has no room yet.
    waiting: VecDeque<NewCommand>,
    commands: BTreeMap<u32, Command>,
    next: u32,
    /// The bytes of an incomplete packet.
    input: Vec<u8>,
    output: Backlog,
}

impl fmt::Debug for Multiplexer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplexer").field("commands", &self.commands.len()).finish_non_exhaustive()
    }
}

impl Multiplexer {
    /// Creates the host's side. `waker` wakes the loop that drives it if another thread begins a
    /// command.
    pub fn new(waker: Waker) -> Self {
        Self {
            queue: Arc::new(Queue::new(waker)),
            agent: None,
            waiting: VecDeque::new(),
            commands: BTreeMap::new(),
            next: 0,
            input: Vec::new(),
            output: Backlog::default(),
        }
    }

    /// Returns the agent, once its hello has come.
    pub fn agent(&self) -> Option<&Agent> {
        self.agent.as_ref()
    }

    /// Returns whether it has no commands. One that another thread begins meanwhile has not run if
    /// this is dropped.
    pub fn is_idle(&self) -> bool {
        self.commands.is_empty() && self.waiting.is_empty() && !self.queue.has_new()
    }

    /// Takes bytes that the agent has sent.
    ///
    /// # Errors
    /// [`Incompatible`](AgentError::Incompatible): they are not what an agent sends. The stream is
    /// of no more use.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        let buffered;
        let mut rest = if self.input.is_empty() {
            bytes
        } else {
            self.input.extend_from_slice(bytes);
            buffered = std::mem::take(&mut self.input);
            &buffered
        };
        while let Some((head, after)) = rest.split_first_chunk::<PACKET_HEAD>() {
            let head = PacketHead::from_bytes(head).ok_or(AgentError::Incompatible)?;
            let Some((payload, after)) = after.split_at_checked(head.payload()) else { break };
            self.take(head, payload).ok_or(AgentError::Incompatible)?;
            rest = after;
        }
        self.input = rest.to_vec();
        Ok(())
    }

    /// Returns the bytes to send to the agent.
    pub fn output(&self) -> &[u8] {
        self.output.bytes()
    }

    /// Removes bytes from the start of [`output`](Self::output), which were sent.
    pub fn sent(&mut self, count: usize) {
        self.output.consume(count);
    }

    /// Asks the agent for a sign that it still serves, which [`receive`](Self::receive) gets. A
    /// command can be silent for long; an agent that is asked cannot.
    pub fn ask(&mut self) {
        self.output.say(0, Packet::Ask);
    }

    /// Calls `add` with each descriptor to wait for, besides the stream and the waker.
    pub fn interests<'p>(&'p self, add: &mut dyn FnMut(BorrowedFd<'p>, PollFlags)) {
        // Those that are given up before there is room for them.
        self.waiting.iter().for_each(|new| add(new.control.as_fd(), PollFlags::RDHUP));
        let has_room = self.output.bytes().len() < BACKLOG;
        self.commands.values().for_each(|command| command.interests(has_room, add));
    }

    /// Moves what can be moved without waiting. Returns whether anything moved.
    pub fn advance(&mut self) -> bool {
        let mut moved = self.begin();
        let has_room = self.output.bytes().len() < BACKLOG;
        let mut fds: Vec<_> =
            self.waiting.iter().map(|new| PollFd::new(&new.control, PollFlags::RDHUP)).collect();
        let mut ends = vec![fds.len()];
        for command in self.commands.values() {
            command.interests(has_room, &mut |fd, flags| fds.push(PollFd::from_borrowed_fd(fd, flags)));
            ends.push(fds.len());
        }
        // An error of poll(2) is a system without memory; the loop comes again.
        if fds.is_empty() || !poll(&mut fds, Some(&Timespec::default())).is_ok_and(|count| count > 0) {
            return moved;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut given_up = ready.iter();
        self.waiting.retain(|_| given_up.next() != Some(&true));
        for ((number, command), places) in self.commands.iter_mut().zip(ends.windows(2)) {
            if let [start, end] = *places
                && ready[start..end].contains(&true)
            {
                moved |= command.advance(*number, &mut self.output);
            }
        }
        self.commands.retain(|_, command| !command.is_done());
        moved
    }

    /// Tells the agent of new commands, as far as it has room for them.
    fn begin(&mut self) -> bool {
        self.waiting.extend(self.queue.take());
        let mut moved = false;
        while self.agent.is_some()
            && self.commands.len() < MOST_COMMANDS
            && let Some(new) = self.waiting.pop_front()
        {
            let number = self.next;
            self.next = self.next.wrapping_add(1);
            let mut command = Command::new(new, self.output.pushed);
            self.output.say(number, Packet::Begin { has_stdin: command.stdin.is_some() });
            // Its request, which is there already.
            command.send_orders(number, &mut self.output);
            self.commands.insert(number, command);
            moved = true;
        }
        moved
    }

    /// Takes a packet; `None` if it is invalid.
    fn take(&mut self, head: PacketHead, payload: &[u8]) -> Option<()> {
        let PacketHead { command: number, packet } = head;
        if self.agent.is_none() {
            let is_hello = number == VERSION && matches!(packet, Packet::Hello(_));
            self.agent = is_hello.then(|| Agent::multiplexed(Arc::clone(&self.queue)));
            return self.agent.as_ref().map(drop);
        }
        if packet == Packet::Answer {
            return Some(());
        }
        // The agent says nothing more of a command that is over, so each number is known.
        let command = self.commands.get_mut(&number).filter(|command| !command.is_over)?;
        command.take(number, packet, payload, &mut self.output)?;
        if command.is_done() {
            self.commands.remove(&number);
        }
        Some(())
    }
}

impl Drop for Multiplexer {
    fn drop(&mut self) {
        self.queue.close();
        let sent = self.output.pushed - self.output.bytes().len() as u64;
        for command in self.commands.values_mut() {
            command.lose(sent);
        }
    }
}

/// A command, as the agent sees it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is said by itself")]
struct Command {
    /// The agent's end of the control socket; `None` after the last report.
    control: Option<OwnedFd>,
    /// How many bytes of orders the agent takes.
    control_credit: usize,
    /// The agent was told that no more orders come.
    has_ordered: bool,
    /// Reports that wait for the output that was written before them: with the lengths of stdout
    /// and stderr up to there.
    reports: VecDeque<(Vec<u8>, [u64; 2])>,
    /// A report was handed on.
    has_reported: bool,
    /// No more reports come.
    has_ended: bool,
    stdin: Option<OwnedFd>,
    stdin_credit: usize,
    outputs: [Output; 2],
    /// How many bytes the agent was sent before this command.
    begun_at: u64,
    is_over: bool,
}

/// An output of a command.
#[derive(Debug)]
struct Output {
    stream: Stream,
    /// `None` once nobody reads it, or everything was handed on.
    pipe: Option<OwnedFd>,
    backlog: Backlog,
    /// How many bytes were handed on, or dropped because nobody reads them.
    handed_on: u64,
    /// How many bytes the agent was allowed to send.
    allowed: u64,
    has_ended: bool,
}

impl Command {
    fn new(NewCommand { control, stdin, outputs: [stdout, stderr] }: NewCommand, begun_at: u64) -> Self {
        let output = |pipe, stream| Output {
            stream,
            pipe: Some(pipe),
            backlog: Backlog::default(),
            handed_on: 0,
            allowed: OUTPUT_WINDOW as u64,
            has_ended: false,
        };
        Self {
            control: Some(control),
            control_credit: INPUT_WINDOW,
            has_ordered: false,
            reports: VecDeque::new(),
            has_reported: false,
            has_ended: false,
            stdin,
            stdin_credit: INPUT_WINDOW,
            outputs: [output(stdout, Stream::Stdout), output(stderr, Stream::Stderr)],
            begun_at,
            is_over: false,
        }
    }

    fn interests<'p>(&'p self, has_room: bool, add: &mut dyn FnMut(BorrowedFd<'p>, PollFlags)) {
        let orders = match (self.has_ordered, self.control_credit > 0 && has_room) {
            (true, _) => None,
            (false, true) => Some(PollFlags::IN),
            // The end is told even if nothing more can be sent.
            (false, false) => Some(PollFlags::RDHUP),
        };
        if let (Some(control), Some(flags)) = (&self.control, orders) {
            add(control.as_fd(), flags);
        }
        if let Some(stdin) = self.stdin.as_ref().filter(|_| self.stdin_credit > 0 && has_room) {
            add(stdin.as_fd(), PollFlags::IN);
        }
        for output in &self.outputs {
            let flags = if output.backlog.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            if let Some(pipe) = &output.pipe {
                add(pipe.as_fd(), flags);
            }
        }
    }

    fn advance(&mut self, number: u32, to_agent: &mut Backlog) -> bool {
        let before = (to_agent.pushed, self.outputs.each_ref().map(|output| output.handed_on));
        self.send_orders(number, to_agent);
        self.send_stdin(number, to_agent);
        for output in &mut self.outputs {
            output.hand_on(number, to_agent);
        }
        self.report();
        before != (to_agent.pushed, self.outputs.each_ref().map(|output| output.handed_on))
    }

    /// Sends what the host orders, the request first.
    fn send_orders(&mut self, number: u32, to_agent: &mut Backlog) {
        let Some(control) = self.control.as_ref().filter(|_| !self.has_ordered) else { return };
        while self.control_credit > 0 {
            let most = self.control_credit.min(MAX_PAYLOAD);
            let receive = |buffer: &mut [u8]| Ok(recv(control, buffer, RecvFlags::DONTWAIT)?.0);
            match to_agent.fill(number, Stream::Control, most, receive) {
                Ok(count @ 1..) => self.control_credit -= count,
                Err(Errno::AGAIN | Errno::INTR) => return,
                Ok(_) | Err(_) => return self.end_orders(number, to_agent),
            }
        }
        let mut fds = [PollFd::new(control, PollFlags::RDHUP)];
        if poll(&mut fds, Some(&Timespec::default())).is_ok_and(|count| count > 0) {
            self.end_orders(number, to_agent);
        }
    }

    fn end_orders(&mut self, number: u32, to_agent: &mut Backlog) {
        self.has_ordered = true;
        to_agent.say(number, Packet::End(Stream::Control));
    }

    fn send_stdin(&mut self, number: u32, to_agent: &mut Backlog) {
        while let Some(stdin) = self.stdin.as_ref().filter(|_| self.stdin_credit > 0)
            && to_agent.bytes().len() < BACKLOG
        {
            let most = self.stdin_credit.min(MAX_PAYLOAD);
            match to_agent.fill(number, Stream::Stdin, most, |buffer| read(stdin, buffer)) {
                Ok(count @ 1..) => self.stdin_credit -= count,
                Err(Errno::AGAIN | Errno::INTR) => return,
                Ok(_) | Err(_) => {
                    self.stdin = None;
                    to_agent.say(number, Packet::End(Stream::Stdin));
                }
            }
        }
    }

    /// Hands on the reports whose turn has come.
    fn report(&mut self) {
        let Some(control) = &self.control else { return };
        while let Some((bytes, after)) = self.reports.front() {
            if self.outputs.iter().zip(after).any(|(output, after)| output.handed_on < *after) {
                return;
            }
            // The socket has room for all reports. A host that is gone needs none.
            let _ = send(control, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            self.has_reported = true;
            self.reports.pop_front();
        }
        if self.has_ended {
            self.control = None;
        }
    }

    /// Takes a packet of the agent; `None` if it is invalid.
    fn take(&mut self, number: u32, packet: Packet, payload: &[u8], to_agent: &mut Backlog) -> Option<()> {
        match packet {
            Packet::Data(Stream::Control, _) => {
                let is_valid =
                    !self.has_ended && self.reports.len() < MOST_REPORTS && payload.len() <= 8 * FRAME;
                is_valid.then(|| self.reports.push_back((payload.to_vec(), self.lengths())))?;
                self.report();
            }
            Packet::End(Stream::Control) if !self.has_ended => {
                self.has_ended = true;
                self.report();
            }
            Packet::Credit(Stream::Control, count) => {
                self.control_credit = add_credit(self.control_credit, count)?;
                self.send_orders(number, to_agent);
            }
            Packet::Credit(Stream::Stdin, count) => {
                self.stdin_credit = add_credit(self.stdin_credit, count)?;
                self.send_stdin(number, to_agent);
            }
            Packet::Stop(Stream::Stdin) => self.stdin = None,
            Packet::Data(stream @ (Stream::Stdout | Stream::Stderr), _) => {
                self.output(stream).take(number, payload, to_agent)?;
                self.report();
            }
            Packet::End(stream @ (Stream::Stdout | Stream::Stderr)) => {
                let output = self.output(stream);
                output.has_ended = true;
                output.hand_on(number, to_agent);
                // Nothing more is heard of a pipe that is closed now.
                self.report();
            }
            Packet::Over => self.is_over = true,
            _ => return None,
        }
        Some(())
    }

    fn output(&mut self, stream: Stream) -> &mut Output {
        let [stdout, stderr] = &mut self.outputs;
        if stream == Stream::Stdout { stdout } else { stderr }
    }

    /// The lengths of stdout and stderr up to now.
    fn lengths(&self) -> [u64; 2] {
        self.outputs.each_ref().map(|output| output.handed_on + output.backlog.bytes().len() as u64)
    }

    /// Returns whether nothing more comes of it, and everything was handed on.
    fn is_done(&self) -> bool {
        self.is_over && self.reports.is_empty() && self.outputs.iter().all(|output| output.backlog.is_empty())
    }

    /// Ends it with its agent, which was sent this many bytes. If they include a part of it, it may
    /// have run.
    fn lose(&mut self, sent: u64) {
        if let Some(control) = &self.control
            && !self.has_reported
            && sent > self.begun_at
        {
            let report = Report::AboutToStart.to_bytes();
            let _ = send(control, &report, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
    }
}

impl Output {
    /// Takes bytes of the command; `None` if the agent was not allowed to send as many.
    fn take(&mut self, number: u32, payload: &[u8], to_agent: &mut Backlog) -> Option<()> {
        let length = self.handed_on + (self.backlog.bytes().len() + payload.len()) as u64;
        if self.has_ended || length > self.allowed + OVERDRAFT as u64 {
            return None;
        }
        self.backlog.push(payload);
        self.hand_on(number, to_agent);
        Some(())
    }

    /// Hands on what the pipe takes, and closes it after the end.
    fn hand_on(&mut self, number: u32, to_agent: &mut Backlog) {
        if self.pipe.as_ref().is_some_and(is_unread) {
            self.stop(number, to_agent);
        }
        while !self.backlog.is_empty() {
            let written = match &self.pipe {
                Some(pipe) => write(pipe, self.backlog.bytes()),
                None => Ok(self.backlog.bytes().len()),
            };
            match written {
                Ok(count) => {
                    self.backlog.consume(count);
                    self.handed_on += count as u64;
                }
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(_) => self.stop(number, to_agent),
            }
        }
        if self.has_ended && self.backlog.is_empty() {
            self.pipe = None;
        }
        let credit = (self.handed_on + OUTPUT_WINDOW as u64).saturating_sub(self.allowed);
        if credit >= CREDIT_STEP as u64 && !self.has_ended && self.pipe.is_some() {
            self.allowed += credit;
            to_agent.say(number, Packet::Credit(self.stream, u32::try_from(credit).unwrap_or(u32::MAX)));
        }
    }

    fn stop(&mut self, number: u32, to_agent: &mut Backlog) {
        self.pipe = None;
        if !self.has_ended {
            to_agent.say(number, Packet::Stop(self.stream));
        }
    }
}

/// Returns whether nobody reads a pipe any more, given its write end.
fn is_unread(pipe: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pipe, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|count| count > 0)
}

/// Adds to a credit, which never exceeds the window of an honest agent.
fn add_credit(credit: usize, count: u32) -> Option<usize> {
    Some(credit + count as usize).filter(|credit| *credit <= INPUT_WINDOW)
}

/// Bytes that wait to be sent.
#[derive(Default)]
struct Backlog {
    bytes: Vec<u8>,
    start: usize,
    /// How many bytes were ever added.
    pushed: u64,
}

impl Backlog {
    fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.pushed += bytes.len() as u64;
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        // Moves the rest seldom, and a short one.
        if self.start * 2 >= self.bytes.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    fn say(&mut self, command: u32, packet: Packet) {
        self.push(&PacketHead { command, packet }.to_bytes());
    }

    /// Adds a packet with the bytes of one read, and returns how many came.
    fn fill(
        &mut self,
        command: u32,
        stream: Stream,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let start = self.bytes.len();
        let payload = start + PACKET_HEAD;
        self.bytes.resize(payload + most, 0);
        let got = read(&mut self.bytes[payload..]);
        let Ok(count @ 1..) = got else {
            self.bytes.truncate(start);
            return got;
        };
        let packet = Packet::Data(stream, u32::try_from(count).unwrap_or(u32::MAX));
        self.bytes[start..payload].copy_from_slice(&PacketHead { command, packet }.to_bytes());
        self.bytes.truncate(payload + count);
        self.pushed += (PACKET_HEAD + count) as u64;
        got
    }
}

/// Omits the bytes, which contain secrets.
impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog").field("length", &self.bytes().len()).finish_non_exhaustive()
    }
}
