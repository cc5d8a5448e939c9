//! One command on one channel: its request, its streams, its end. It never waits; the loop calls it
//! again.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::task::Poll;
use std::time::Instant;

use rt_protocol::{Capture, Env, Error, ErrorKind, ExitOutcome, OutputStream, StreamEnd};
use rustix::event::PollFlags;

use super::begin_filter::BeginFilter;
use super::drain::Drain;
use super::job::{Job, JobEnd, JobGuard, JobOutput, NotStarted, Ran};
use super::output::Output;
use super::pipe::CHUNK;
use super::stdin::Stdin;
use crate::ssh::raw::libssh2::{Channel, Refusal};
use crate::ssh::shell::remote_command::RemoteText;
use crate::ssh::shell::remote_failure::SentinelFilter;
use crate::ssh::shell::words;

/// In the order of [`Command`]'s outputs.
const STREAMS: [OutputStream; 2] = [OutputStream::Stdout, OutputStream::Stderr];

/// A command, and the channel that it owns.
#[derive(Debug)]
pub(crate) struct Command {
    channel: Channel,
    guard: JobGuard,
    text: Vec<u8>,
    is_running: bool,
    stdin: Stdin,
    outputs: [Output; 2],
    /// Of stdout and stderr.
    begins: [BeginFilter; 2],
    sentinel: SentinelFilter,
    signals: Vec<&'static str>,
    outcome: Option<ExitOutcome>,
    /// The time since the exit status.
    drain: Option<Drain>,
    /// How often keys had been renewed at the last check.
    renewals: u64,
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
    /// request.
    pub(crate) fn new(job: Job, channel: Channel, env: &Env) -> Self {
        let Job { command, sentinel, stdin, output, guard } = job;
        let RemoteText { text, preamble } = command.text(env);
        let preamble = preamble.map(|lines| lines.expose().as_bytes().to_vec()).unwrap_or_default();
        let outputs = match output {
            JobOutput::Captured(limits) => limits.map(|limit| Output::Captured(Capture::new(limit))),
            JobOutput::Piped(pipes) => pipes.map(Output::piped),
        };
        Self {
            channel,
            guard,
            text,
            is_running: false,
            stdin: Stdin::new(preamble, stdin),
            outputs,
            begins: std::array::from_fn(|_| BeginFilter::new(sentinel.begin_line())),
            sentinel: SentinelFilter::new(sentinel),
            signals: Vec::new(),
            outcome: None,
            drain: None,
            renewals: 0,
        }
    }

    /// Returns what to wait for, apart from the socket.
    pub(crate) fn interests<'p>(&'p self, add: &mut dyn FnMut(&'p OwnedFd, PollFlags)) {
        if !self.is_running {
            return;
        }
        if let Some(pipe) = self.stdin.waits_for(&self.channel) {
            add(pipe, PollFlags::IN);
        }
        for output in &self.outputs {
            if let Some(pipe) = output.waits_for() {
                add(pipe, PollFlags::OUT);
            }
        }
    }

    /// Returns whether reading its channel also reads the socket.
    pub(crate) fn can_read(&self) -> bool {
        !self.is_running || self.outputs.iter().any(Output::has_room)
    }

    /// Returns when the next step is due, even if nothing happens.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        // A sink that takes nothing has unlimited time, since its bytes are the command's own.
        if self.outputs.iter().all(Output::has_room) { self.drain.as_ref()?.wake_at() } else { None }
    }

    /// Does what can be done now.
    pub(crate) fn advance(&mut self, now: Instant, scratch: &mut [u8]) -> Progress {
        if self.guard.is_left() {
            self.look_for_status();
            self.end(StreamEnd::Stopped);
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

    /// Ends the job of a command whose guest does not answer a request of its channel.
    pub(crate) fn give_up(&mut self) {
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
                self.guard.end(JobEnd::NotStarted(NotStarted::Refused(error)));
                Progress::Over
            }
            Poll::Ready(Err(refusal)) => Progress::Dead(refusal),
        }
    }

    /// A guest may close the channel instead of answering. libssh2 would wait for the answer
    /// forever.
    fn look_for_close(&mut self, scratch: &mut [u8]) -> Result<Progress, Refusal> {
        let read = match self.read(scratch) {
            Err(refusal) if refusal.is_of_channel() => 0,
            read => read?,
        };
        if !self.channel.is_eof() || self.channel.wait_closed().is_pending() || !self.has_handed_on_all() {
            return Ok(if read > 0 { Progress::Some } else { Progress::None });
        }
        if self.channel.is_asked() {
            // The request was sent, so the command may have run.
            self.look_for_status();
            self.end(if self.outcome.is_some() { StreamEnd::Eof } else { StreamEnd::Stopped });
        } else {
            self.guard.end(JobEnd::NotStarted(NotStarted::ConnectionDied));
        }
        Ok(Progress::Over)
    }

    fn try_advance(&mut self, now: Instant, scratch: &mut [u8]) -> Result<Progress, Refusal> {
        let mut moved = self.send_signals()?;
        match self.stdin.advance(&mut self.channel) {
            // A guest that takes no more stdin may still send much output.
            Err(refusal) if refusal.is_of_channel() => self.stdin.close(),
            advanced => moved |= advanced?,
        }
        let read = self.read(scratch)?;
        moved |= read > 0;
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
            if read > 0 {
                drain.heard(read, now);
            }
            let is_held = !self.outputs.iter().all(Output::has_room) || self.channel.queued() > 0;
            if is_held
                || self.channel.raw_session.renewals()
                    != std::mem::replace(&mut self.renewals, self.channel.raw_session.renewals())
            {
                drain.disturbed(now);
            }
            if !eof
                && drain.asks(now)
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

    /// Reads both outputs and returns how many bytes arrived. Both are always read: unread bytes of
    /// one fill the window that they share.
    fn read(&mut self, scratch: &mut [u8]) -> Result<usize, Refusal> {
        let mut moved = 0;
        for (place, stream) in STREAMS.into_iter().enumerate() {
            self.outputs[place].flush();
            while self.outputs[place].has_room() {
                let count = match self.channel.read(stream, &mut scratch[..CHUNK]) {
                    Poll::Pending | Poll::Ready(Ok(0)) => break,
                    Poll::Ready(read) => read?,
                };
                moved += count;
                self.take(place, &scratch[..count]);
                self.outputs[place].flush();
            }
        }
        Ok(moved)
    }

    /// Passes on the bytes of the command itself.
    fn take(&mut self, place: usize, bytes: &[u8]) {
        let (begin, output, sentinel) =
            (&mut self.begins[place], &mut self.outputs[place], &mut self.sentinel);
        match STREAMS[place] {
            OutputStream::Stdout => output.take(begin.split(bytes, &mut |_| {})),
            OutputStream::Stderr => {
                let was_begun = begin.has_begun();
                let own = begin.split(bytes, &mut |skipped| sentinel.push(skipped, &mut |_| {}));
                if begin.has_begun() && !was_begun {
                    sentinel.begin_line(&mut |_| {});
                }
                sentinel.push(own, &mut |bytes| output.take(bytes));
            }
        }
    }

    /// Ends the search for the beginning, if it was not found, and logs what was skipped.
    fn finish_begins(&mut self) {
        for (stream, begin) in STREAMS.iter().zip(&mut self.begins) {
            let sentinel = &mut self.sentinel;
            let is_stderr = *stream == OutputStream::Stderr;
            begin.finish(&mut |skipped| {
                if is_stderr {
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
        let [stdout, stderr] = &mut self.outputs;
        if self.begins[1].has_begun() {
            self.sentinel.finish(&mut |bytes| stderr.take(bytes));
        }
        stderr.flush();
        stdout.has_room() && stderr.has_room()
    }

    fn look_for_status(&mut self) {
        if self.outcome.is_none() {
            // The signal first: if there is one, libssh2's status is 0.
            self.outcome = match self.channel.exit_signal() {
                Some(name) => Some(ExitOutcome::Signal(signal_name(&name))),
                None => self.channel.exit_status().map(ExitOutcome::Code),
            };
        }
    }

    fn end(&mut self, output_end: StreamEnd) {
        self.finish_begins();
        let [stdout, stderr] = &mut self.outputs;
        let has_begun = self.begins.iter().any(BeginFilter::has_begun);
        self.sentinel.finish(&mut |bytes| {
            if has_begun {
                stderr.take(bytes);
            }
        });
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

/// The length of the longest accepted signal name, in bytes. OpenSSH's longest is
/// `SIG@openssh.com`.
const LONGEST_SIGNAL: usize = 64;

/// OpenSSH's name for every signal without a name in RFC 4254: `SIG@openssh.com`. It does not say
/// which one it was.
const NAMELESS: &[u8] = b"SIG";

/// Returns the name without the suffix of a vendor (RFC 4254, section 6.10). A name that the guest
/// made up is not shown unchanged.
pub(crate) fn signal_name(name: &[u8]) -> String {
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
