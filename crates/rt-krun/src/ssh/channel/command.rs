//! One command on one channel: its request, its streams, its end. It never waits; the loop calls it
//! again.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::task::Poll;
use std::time::{Duration, Instant};

use rt_protocol::sync::Waker;
use rt_protocol::{
    Capture, Env, Error, ErrorKind, ExitOutcome, OutputLimit, OutputStream, StreamEnd, TerminalSize,
};
use rustix::event::PollFlags;

use super::agent_stream::AgentStream;
use super::begin_filter::BeginFilter;
use super::drain::Drain;
use super::job::{Job, JobEnd, JobGuard, JobOutput, NotStarted, Ran};
use super::output::Output;
use super::pipe::CHUNK;
use super::stdin::{Gate, Stdin};
use crate::ssh::raw::libssh2::{Channel, Refusal};
use crate::ssh::raw::terminal_request::TerminalRequest;
use crate::ssh::shell::remote_command::RemoteText;
use crate::ssh::shell::remote_failure::SentinelFilter;
use crate::ssh::shell::words;

/// How much is kept of what an agent and its script say on stderr, in bytes.
const AGENT_WORDS: usize = 4 << 10;

/// In the order of [`Command`]'s outputs.
const STREAMS: [OutputStream; 2] = [OutputStream::Stdout, OutputStream::Stderr];

/// A command, and the channel that it owns.
#[derive(Debug)]
pub(crate) struct Command {
    channel: Channel,
    guard: JobGuard,
    /// The terminal that the guest has not given yet.
    terminal: Option<TerminalRequest>,
    text: Vec<u8>,
    is_running: bool,
    stdin: Stdin,
    outputs: [Output; 2],
    /// Takes what follows stdin and stdout, if the command is an agent.
    agent: Option<AgentStream>,
    /// Finds, in a terminal, where the script's own lines can be typed.
    ready: Option<BeginFilter>,
    /// Of stdout and stderr.
    begins: [BeginFilter; 2],
    /// The place of the output on which the script reports failures: stderr, or the terminal.
    sentinel_place: usize,
    sentinel: SentinelFilter,
    signals: Vec<&'static str>,
    size: Option<TerminalSize>,
    outcome: Option<ExitOutcome>,
    /// The time since the exit status.
    drain: Option<Drain>,
}

/// The result of one step of a command.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Nothing could be done.
    None,
    /// Something moved, so another step is worthwhile.
    Some,
    /// It is over; the channel can be closed.
    Over,
    /// The connection is at its end, for this reason.
    Dead(Refusal),
}

impl Command {
    /// Puts a job onto a channel, with the variables of its container. The first step sends the
    /// request. `waker` wakes the loop that takes these steps; an agent that is silent for
    /// `keepalive` is asked whether it still serves.
    pub(crate) fn new(job: Job, channel: Channel, env: &Env, waker: &Waker, keepalive: Duration) -> Self {
        let Job { command, sentinel, terminal, stdin, output, guard } = job;
        let RemoteText { text, preamble } = command.text(env);
        let reads_terminal = terminal.is_some() && preamble.is_some();
        let preamble = preamble.map(|lines| lines.expose().as_bytes().to_vec()).unwrap_or_default();
        // A terminal writes a newline as two bytes.
        let is_terminal = terminal.is_some();
        let line = |text: String| if is_terminal { text.replace('\n', "\r\n") } else { text };
        let captured = |limits: [OutputLimit; 2]| limits.map(|limit| Output::Captured(Capture::new(limit)));
        let new_stdin = if is_terminal { Stdin::typed } else { Stdin::new };
        let (stdin, outputs, agent) = match output {
            JobOutput::Captured(limits) => (new_stdin(preamble, stdin), captured(limits), None),
            JobOutput::Piped(pipes) => (new_stdin(preamble, stdin), pipes.map(Output::piped), None),
            JobOutput::Agent(program) => (
                Stdin::unended([&preamble, program].concat()),
                captured([0, AGENT_WORDS].map(OutputLimit::bytes)),
                Some(AgentStream::new(waker.clone(), keepalive)),
            ),
        };
        Self {
            channel,
            guard,
            terminal,
            text,
            is_running: false,
            stdin,
            outputs,
            agent,
            ready: reads_terminal.then(|| BeginFilter::new(line(sentinel.ready_line()))),
            begins: std::array::from_fn(|_| BeginFilter::new(line(sentinel.begin_line()))),
            sentinel_place: usize::from(!is_terminal),
            sentinel: SentinelFilter::new(sentinel),
            signals: Vec::new(),
            size: None,
            outcome: None,
            drain: None,
        }
    }

    /// Returns what to wait for, apart from the socket.
    pub(crate) fn interests<'p>(&'p self, add: &mut dyn FnMut(BorrowedFd<'p>, PollFlags)) {
        if !self.is_running {
            return;
        }
        if let Some(pipe) = self.stdin.waits_for(&self.channel) {
            add(pipe.as_fd(), PollFlags::IN);
        }
        for output in &self.outputs {
            if let Some(pipe) = output.waits_for() {
                add(pipe.as_fd(), PollFlags::OUT);
            }
        }
        if let Some(agent) = &self.agent {
            agent.interests(add);
        }
    }

    /// Returns whether it is an agent.
    pub(crate) fn is_agent(&self) -> bool {
        self.agent.is_some()
    }

    /// Returns whether it is an agent that waits for commands.
    pub(crate) fn is_idle(&self) -> bool {
        self.agent.as_ref().is_some_and(AgentStream::is_idle)
    }

    /// Returns whether reading its channel also reads the socket.
    pub(crate) fn can_read(&self) -> bool {
        !self.is_running || self.outputs.iter().any(Output::has_room)
    }

    /// Returns when the next step is due, even if nothing happens.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        // A sink that takes nothing has unlimited time, since its bytes are the command's own.
        let drain = self.drain.as_ref().filter(|_| self.outputs.iter().all(Output::has_room));
        let agent = self.agent.as_ref().and_then(AgentStream::wake_at);
        drain.and_then(Drain::wake_at).into_iter().chain(agent).min()
    }

    /// Does what can be done now.
    pub(crate) fn advance(&mut self, now: Instant, scratch: &mut [u8]) -> Progress {
        // An agent first ends what it has begun.
        if self.guard.is_left() && self.agent.as_ref().is_none_or(AgentStream::is_unused) {
            self.give_up();
            return Progress::Over;
        }
        if !self.is_running {
            return self.request(scratch);
        }
        match self.try_advance(now, scratch) {
            Ok(progress) => progress,
            // Nothing more is read from it.
            Err(refusal) if refusal.is_of_channel() => {
                self.look_for_status();
                self.end(StreamEnd::Stopped);
                Progress::Over
            }
            Err(refusal) => Progress::Dead(refusal),
        }
    }

    /// Ends the job of a command that was abandoned, or whose guest does not answer a request of
    /// its channel.
    pub(crate) fn give_up(&mut self) {
        if self.terminal.is_some() {
            let message = "the guest's sshd does not answer the request for a terminal";
            return self.refuse(Error::new(ErrorKind::BackendUnresponsive, "exec in", message));
        }
        self.look_for_status();
        self.end(StreamEnd::Stopped);
    }

    /// Returns whether its channel awaits an answer.
    pub(crate) fn is_asked(&self) -> bool {
        self.channel.is_asked()
    }

    /// Ends the job as one that lost its connection. The status may arrive before the last output,
    /// and libssh2 returns nothing from its queues once the socket is dead. So a status without the
    /// end of the output is only half an answer.
    pub(crate) fn lose(mut self) {
        if self.terminal.is_some() {
            // The command was not asked for.
            return self.guard.end(JobEnd::NotStarted(NotStarted::ConnectionDied));
        }
        let is_whole = self.is_running && self.channel.is_eof() && self.has_handed_on_all();
        if is_whole {
            self.look_for_status();
        } else {
            self.outcome = None;
        }
        self.end(if is_whole { StreamEnd::Eof } else { StreamEnd::Stopped });
    }

    /// Returns the channel, to be closed.
    pub(crate) fn into_channel(self) -> Channel {
        self.channel
    }

    fn request(&mut self, scratch: &mut [u8]) -> Progress {
        if let Some(terminal) = &self.terminal {
            match self.channel.terminal(terminal) {
                Poll::Pending => return self.look_for_close(scratch).unwrap_or_else(Progress::Dead),
                Poll::Ready(Ok(())) => self.terminal = None,
                Poll::Ready(Err(refusal)) if refusal.is_of_channel() => {
                    self.refuse(no_terminal().with_source(refusal));
                    return Progress::Over;
                }
                Poll::Ready(Err(refusal)) => return Progress::Dead(refusal),
            }
        }
        match self.channel.exec(&self.text) {
            Poll::Pending => self.look_for_close(scratch).unwrap_or_else(Progress::Dead),
            Poll::Ready(Ok(())) => {
                self.text = Vec::new();
                self.is_running = true;
                Progress::Some
            }
            Poll::Ready(Err(refusal)) if refusal.is_of_channel() => {
                let error = Error::new(
                    ErrorKind::BackendFailed,
                    "exec in",
                    "the guest's sshd refuses to run commands",
                )
                .with_hint("see its ForceCommand, and the user's shell")
                .with_source(refusal);
                self.refuse(error);
                Progress::Over
            }
            Poll::Ready(Err(refusal)) => Progress::Dead(refusal),
        }
    }

    /// A guest may close the channel instead of answering. libssh2 would wait for the answer
    /// forever.
    fn look_for_close(&mut self, scratch: &mut [u8]) -> Result<Progress, Refusal> {
        let read = match self.read(scratch, Instant::now()) {
            Err(refusal) if refusal.is_of_channel() => 0,
            read => read?,
        };
        if !self.channel.is_eof() || self.channel.wait_closed().is_pending() || !self.has_handed_on_all() {
            return Ok(if read > 0 { Progress::Some } else { Progress::None });
        }
        if self.channel.is_asked() && self.terminal.is_some() {
            self.refuse(no_terminal());
        } else if self.channel.is_asked() {
            // The request was sent, so the command may have run.
            self.look_for_status();
            self.end(if self.outcome.is_some() { StreamEnd::Eof } else { StreamEnd::Stopped });
        } else {
            self.guard.end(JobEnd::NotStarted(NotStarted::ConnectionDied));
        }
        Ok(Progress::Over)
    }

    fn try_advance(&mut self, now: Instant, scratch: &mut [u8]) -> Result<Progress, Refusal> {
        let mut moved = self.send_signals()? | self.send_size()?;
        match self.stdin.advance(&mut self.channel) {
            // A guest that takes no more stdin may still send much output.
            Err(refusal) if refusal.is_of_channel() => self.stdin.close(),
            advanced => moved |= advanced?,
        }
        let read = self.read(scratch, now)?;
        moved |= read > 0;
        if let Some(agent) = &mut self.agent {
            match agent.advance(&mut self.channel, &self.guard, now) {
                Err(refusal) if refusal.is_of_channel() => {}
                advanced => moved |= advanced?,
            }
            if agent.has_failed() {
                self.end(StreamEnd::Stopped);
                return Ok(Progress::Over);
            }
        }
        self.look_for_status();
        let eof = self.channel.is_eof();
        if eof && self.outcome.is_none() && matches!(self.channel.wait_closed(), Poll::Ready(_)) {
            // Closed, so no status can arrive later. It may have arrived with the close.
            self.look_for_status();
            if self.has_handed_on_all() {
                self.end(if self.outcome.is_some() { StreamEnd::Eof } else { StreamEnd::Stopped });
                return Ok(Progress::Over);
            }
        }
        if self.outcome.is_some() {
            self.stdin.close();
            let drain = self.drain.get_or_insert_with(|| Drain::new(now));
            let is_held = !self.outputs.iter().all(Output::has_room) || self.channel.queued() > 0;
            drain.looked(read, is_held, self.channel.raw_session.renewals(), now);
            if !eof
                && drain.asks(is_held, now)
                && let Poll::Ready(answer) = self.channel.ask()
            {
                answer?;
                drain.answered(now);
                moved = true;
            }
            let is_left = drain.is_over(now) && self.channel.queued() == 0;
            if (eof || is_left) && self.has_handed_on_all() {
                if !eof {
                    tracing::debug!(target: "rt_krun", "outputs that somebody holds open are left");
                }
                self.end(if eof { StreamEnd::Eof } else { StreamEnd::LeftOpen });
                return Ok(Progress::Over);
            }
        }
        Ok(if moved { Progress::Some } else { Progress::None })
    }

    fn send_signals(&mut self) -> Result<bool, Refusal> {
        self.signals.extend(self.guard.take_signals());
        let mut moved = false;
        while let Some(name) = self.signals.first() {
            match self.channel.signal(name) {
                Poll::Pending => break,
                Poll::Ready(sent) => {
                    self.signals.remove(0);
                    moved = true;
                    match sent {
                        // The guest has closed the channel: there is no process to signal.
                        Err(refusal) if refusal.is_of_channel() => {}
                        sent => sent?,
                    }
                }
            }
        }
        Ok(moved)
    }

    fn send_size(&mut self) -> Result<bool, Refusal> {
        self.size = self.guard.take_size().or(self.size);
        let Some(size) = self.size else { return Ok(false) };
        match self.channel.resize(size) {
            Poll::Pending => return Ok(false),
            // The guest has closed the channel: there is no terminal.
            Poll::Ready(Err(refusal)) if refusal.is_of_channel() => {}
            Poll::Ready(sent) => sent?,
        }
        self.size = None;
        Ok(true)
    }

    /// Reads both outputs and returns how many bytes arrived. Both are always read: unread bytes of
    /// one fill the window that they share.
    fn read(&mut self, scratch: &mut [u8], now: Instant) -> Result<usize, Refusal> {
        let mut moved = 0;
        for (place, stream) in STREAMS.into_iter().enumerate() {
            self.outputs[place].flush();
            while self.outputs[place].has_room() {
                let count = match self.channel.read(stream, &mut scratch[..CHUNK]) {
                    Poll::Pending | Poll::Ready(Ok(0)) => break,
                    Poll::Ready(read) => read?,
                };
                moved += count;
                self.take(place, &scratch[..count], now);
                self.outputs[place].flush();
            }
        }
        Ok(moved)
    }

    /// Passes on the bytes of the command itself.
    fn take(&mut self, place: usize, bytes: &[u8], now: Instant) {
        let (begin, output, sentinel) =
            (&mut self.begins[place], &mut self.outputs[place], &mut self.sentinel);
        let had_begun = begin.has_begun();
        if place == self.sentinel_place {
            let mut skip = |skipped: &[u8]| sentinel.push(skipped, &mut |_| {});
            let was_ready = self.ready.as_ref().is_none_or(BeginFilter::has_begun);
            let bytes = self.ready.as_mut().map_or(bytes, |ready| ready.split(bytes, &mut skip));
            let is_ready = self.ready.as_ref().is_none_or(BeginFilter::has_begun);
            if is_ready && !was_ready {
                self.stdin.open(Gate::Script);
            }
            let own = begin.split(bytes, &mut skip);
            if begin.has_begun() && !had_begun {
                sentinel.begin_line(&mut |_| {});
            }
            sentinel.push(own, &mut |bytes| output.take(bytes));
        } else {
            let own = begin.split(bytes, &mut |_| {});
            match &mut self.agent {
                Some(agent) => agent.take(own, now),
                None => output.take(own),
            }
        }
        if begin.has_begun() && !had_begun {
            self.stdin.open(Gate::Command);
            self.guard.command_begins();
        }
    }

    /// Ends the search for the beginning, if it was not found, and logs what was skipped.
    fn finish_begins(&mut self) {
        let sentinel = &mut self.sentinel;
        if let Some(ready) = &mut self.ready {
            ready.finish(&mut |skipped| sentinel.push(skipped, &mut |_| {}));
        }
        for (place, (stream, begin)) in STREAMS.iter().zip(&mut self.begins).enumerate() {
            let has_sentinel = place == self.sentinel_place;
            begin.finish(&mut |skipped| {
                if has_sentinel {
                    sentinel.push(skipped, &mut |_| {});
                }
            });
            if let (bytes @ 1.., first) = begin.skipped() {
                let first = words::shown(first);
                tracing::debug!(target: "rt_krun", ?stream, bytes, first, "skipped what start-up files print");
            }
        }
    }

    /// Passes the bytes that were held back to the outputs. Returns whether the caller's side has
    /// taken everything.
    fn has_handed_on_all(&mut self) -> bool {
        let place = self.sentinel_place;
        let output = &mut self.outputs[place];
        if self.begins[place].has_begun() {
            self.sentinel.finish(&mut |bytes| output.take(bytes));
        }
        output.flush();
        self.outputs.iter().all(Output::has_room)
    }

    /// Ends the job of a command that was never asked for, or that the guest refuses.
    fn refuse(&self, error: Error) {
        self.guard.end(JobEnd::NotStarted(NotStarted::Refused(error)));
    }

    fn look_for_status(&mut self) {
        if self.outcome.is_none() {
            self.outcome = outcome(&self.channel);
        }
    }

    fn end(&mut self, output_end: StreamEnd) {
        self.finish_begins();
        let has_begun = self.begins.iter().any(BeginFilter::has_begun);
        let output = &mut self.outputs[self.sentinel_place];
        self.sentinel.finish(&mut |bytes| {
            if has_begun {
                output.take(bytes);
            }
        });
        let [stdout, stderr] = &mut self.outputs;
        let captured = [stdout.finish(output_end), stderr.finish(output_end)];
        self.guard.end(JobEnd::Ran(Ran {
            outcome: self.outcome.take().unwrap_or(ExitOutcome::Lost),
            has_begun,
            failure: self.sentinel.found(),
            captured,
            output_end,
            stdin_bytes: self.stdin.bytes,
            stdin_ended: self.stdin.is_ended,
        }));
        self.stdin.close();
    }
}

/// Returns the error of a guest that gives its commands no terminal.
fn no_terminal() -> Error {
    Error::new(ErrorKind::Unsupported, "exec in", "the guest's sshd gives no terminal").with_hint(
        "see PermitTTY in its configuration, `no-pty` and `restrict` in the authorized keys, and whether the guest has \
         /dev/pts",
    )
}

/// Returns how the command of a channel has ended; `None` if that has not arrived.
pub(crate) fn outcome(channel: &Channel) -> Option<ExitOutcome> {
    // The signal first: if there is one, libssh2's status is 0.
    match channel.exit_signal() {
        Some(name) => Some(ExitOutcome::Signal(signal_name(&name))),
        None => channel.exit_status().map(ExitOutcome::Code),
    }
}

/// The length of the longest accepted signal name, in bytes. OpenSSH's longest is
/// `SIG@openssh.com`.
const LONGEST_SIGNAL: usize = 64;

/// OpenSSH's name for every signal without a name in RFC 4254: `SIG@openssh.com`. It does not say
/// which one it was.
const NAMELESS: &[u8] = b"SIG";

/// Returns the name without the suffix of a vendor (RFC 4254, section 6.10). A name that the guest
/// made up is not shown unchanged.
fn signal_name(name: &[u8]) -> String {
    let name = name.split(|byte| *byte == b'@').next().unwrap_or_default();
    let is_name = !name.is_empty()
        && name != NAMELESS
        && name.len() <= LONGEST_SIGNAL
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-'));
    if is_name { String::from_utf8_lossy(name).into_owned() } else { String::from("unknown") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_signal_is_a_word() {
        assert_eq!(signal_name(b"KILL"), "KILL");
        assert_eq!(signal_name(b"XCPU@openssh.com"), "XCPU");
        for made_up in [&b""[..], b"SIG@openssh.com", b"\x1b[31m", b"A B", &[b'A'; 100], b"@x"] {
            assert_eq!(signal_name(made_up), "unknown");
        }
    }

    #[test]
    fn an_output_waits_for_a_reader_and_drops_what_none_will_read() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut output = Output::piped(writer.into());
        output.take(&vec![7; 200_000]);
        assert!(!output.flush() && !output.has_room() && output.waits_for().is_some());
        drop(reader);
        assert!(!output.flush() && output.has_room() && output.waits_for().is_none());
    }
}
