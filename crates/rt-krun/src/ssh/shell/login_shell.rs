//! Checks whether the login shell runs its input, once for each connection, before the first
//! command.
//!
//! sshd passes a command to the user's login shell, and reports the end of that shell. If the shell
//! is `/usr/sbin/nologin` or `/bin/true`, if sshd's `ForceCommand` takes its place, or if a
//! start-up file ends it, there is an exit status but no command ran. For a command without output,
//! the answer looks the same. So the first channel of a connection asks the shell to assemble a
//! random number and to print it on both of its outputs.

use std::task::Poll;
use std::time::Instant;

use rt_process::ExecMarker;
use rt_protocol::{Error, ErrorKind, ExitOutcome, OutputStream, Result};
use rustix::event::PollFlags;

use super::words;
use crate::SshUser;
use crate::ssh::channel::command;
use crate::ssh::channel::drain::Drain;
use crate::ssh::raw::libssh2::{Channel, PollResult, Refusal};
use crate::ssh::session::connect::Connection;
use crate::ssh::session::tcp::{Watch, unreachable};

/// The most that is read of the output of start-up files and the shell, in bytes.
const MOST_BYTES: usize = 64 << 10;

/// The most that a guest may send until then, including the key exchange and the login, in bytes.
/// libssh2 keeps everything that was not asked for.
const MOST_TRAFFIC: u64 = 1 << 20;

const WHAT: &str = "its login shell";

impl Connection {
    /// Checks the login shell. Output of start-up files before the answer is skipped.
    ///
    /// # Errors
    /// `BackendFailed` if the shell does something else; `Unreachable` and `Cancelled` as for every
    /// step of a connection.
    pub(crate) fn try_login_shell(&self, user: &SshUser, watch: &Watch<'_>) -> Result<()> {
        let probe = ShellProbe::fresh();
        let text = probe.text();
        let mut channel = self.step(watch, || Channel::open(&self.raw_session))?.map_err(|refusal| {
            told(format!("the guest's sshd refuses a channel: {refusal}"))
                .with_hint("see MaxSessions in its configuration")
        })?;
        self.step(watch, || channel.exec(text.as_bytes()))?.map_err(|refusal| {
            told("the guest's sshd refuses to run commands")
                .with_hint("see its ForceCommand, and the user's shell")
                .with_source(refusal)
        })?;
        // A program that reads its stdin should not wait for more. A channel that was closed
        // already needs no end.
        let _: std::result::Result<(), Refusal> = self.step(watch, || channel.send_eof())?;
        let mut answer = Answer::default();
        'turns: loop {
            self.raw_session.inbox().begin_turn();
            loop {
                let now = Instant::now();
                let moved = answer.hear(&mut channel, now).map_err(lost)?;
                if probe.is_answered_by(&answer) {
                    break 'turns;
                }
                if answer.is_over {
                    return Err(answer.into_error(user));
                }
                if !moved && !answer.ask(&mut channel, now).map_err(lost)? {
                    break;
                }
            }
            self.wait(watch, answer.drain.as_ref().and_then(Drain::wake_at))?;
        }
        // A guest may accept only one channel, so this one is closed first.
        let mut closing = Some(channel);
        self.step(watch, || {
            closing = closing.take().and_then(|channel| channel.free().err());
            if closing.is_some() { Poll::Pending } else { Poll::Ready(Ok(())) }
        })?
        .map_err(lost)
    }

    /// Repeats an attempt until it is done. If it fails, only this attempt was refused: the
    /// connection is good.
    fn step<T>(
        &self,
        watch: &Watch<'_>,
        mut attempt: impl FnMut() -> PollResult<T>,
    ) -> Result<std::result::Result<T, Refusal>> {
        loop {
            self.raw_session.inbox().begin_turn();
            match attempt() {
                Poll::Ready(Err(refusal)) if !refusal.is_of_channel() => return Err(lost(refusal)),
                Poll::Ready(done) => return Ok(done),
                Poll::Pending => self.wait(watch, None)?,
            }
        }
    }

    fn wait(&self, watch: &Watch<'_>, wake_at: Option<Instant>) -> Result<()> {
        if self.raw_session.inbox().count() > MOST_TRAFFIC {
            return Err(unreachable("its sshd sends what nobody asked for"));
        }
        let outbox = self.raw_session.outbox();
        outbox
            .flush()
            .map_err(|cause| unreachable(format!("{WHAT} was not heard out")).with_source(cause))?;
        let flags = if outbox.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        watch.wait_at_most(&*self.socket, flags, WHAT, wake_at).map_err(|error| match error.kind() {
            ErrorKind::Unreachable => error.with_hint(
                "see whether the guest is overloaded, and what the user's start-up files and sshd's ForceCommand wait for",
            ),
            _ => error,
        })
    }
}

fn told(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BackendFailed, "log in to", message)
}

fn lost(refusal: Refusal) -> Error {
    unreachable(format!("the connection ended before {WHAT} had answered")).with_source(refusal)
}

/// The question to a login shell. It does not contain the number as a whole, so echoing it is not
/// an answer.
#[derive(Debug)]
struct ShellProbe(ExecMarker);

impl ShellProbe {
    fn fresh() -> Self {
        Self(ExecMarker::fresh())
    }

    /// Uses only what a command needs of a shell: variables, `&&`, `echo` and a redirection. It
    /// also ensures that no trap of a start-up file remains, and that the shell does not trace its
    /// commands. csh would read `>&2` as a file, but fails at the assignment.
    fn text(&self) -> String {
        let (one, other) = self.0.value().split_at(16);
        format!(
            "rt_line={one} && {{ set +xv; }} 2>/dev/null && ${{BASH_VERSION:+trap - DEBUG}} && trap - EXIT && echo \"${{rt_line}}{other}\" && echo \"${{rt_line}}{other}\" >&2"
        )
    }

    /// Returns whether both outputs end with the number, and the shell with 0.
    fn is_answered_by(&self, answer: &Answer) -> bool {
        let line = format!("{}\n", self.0.value());
        answer.outcome == Some(ExitOutcome::Code(0))
            && answer.outputs.iter().all(|output| output.ends_with(line.as_bytes()))
    }
}

/// The answer of a login shell.
#[derive(Debug, Default)]
struct Answer {
    /// Its stdout and stderr, up to [`MOST_BYTES`] in total.
    outputs: [Vec<u8>; 2],
    outcome: Option<ExitOutcome>,
    /// The exit status may arrive before the last output.
    drain: Option<Drain>,
    /// No more output arrives, or is read.
    is_over: bool,
}

impl Answer {
    /// Reads what has arrived. Returns whether anything has.
    fn hear(&mut self, channel: &mut Channel, now: Instant) -> std::result::Result<bool, Refusal> {
        let mut moved = false;
        let mut bytes = 0;
        let mut chunk = [0; 4096];
        for (output, stream) in self.outputs.iter_mut().zip([OutputStream::Stdout, OutputStream::Stderr]) {
            loop {
                match channel.read(stream, &mut chunk) {
                    Poll::Ready(Ok(count)) if count > 0 => {
                        output.extend_from_slice(&chunk[..count]);
                        bytes += count;
                    }
                    Poll::Ready(Err(refusal)) if !refusal.is_of_channel() => return Err(refusal),
                    _ => break,
                }
                moved = true;
                if output.len() > MOST_BYTES {
                    self.is_over = true;
                    return Ok(moved);
                }
            }
        }
        moved |= self.look_for_status(channel);
        if self.outcome.is_some() {
            let drain = self.drain.get_or_insert_with(|| Drain::new(now));
            drain.looked(bytes, false, channel.raw_session.renewals(), now);
            self.is_over |= drain.is_over(now);
        }
        if channel.is_eof() {
            if self.outcome.is_some() {
                self.is_over = true;
            } else if channel.wait_closed().is_ready() {
                // The status may have arrived with the close.
                self.look_for_status(channel);
                self.is_over = true;
            }
        }
        Ok(moved)
    }

    fn look_for_status(&mut self, channel: &Channel) -> bool {
        if self.outcome.is_none() {
            self.outcome = command::outcome(channel);
            return self.outcome.is_some();
        }
        false
    }

    /// After the shell has ended, asks sshd for output that is still in transit. A process that a
    /// start-up file left behind may hold the outputs open forever. Returns whether sshd has
    /// answered.
    fn ask(&mut self, channel: &mut Channel, now: Instant) -> std::result::Result<bool, Refusal> {
        let Some(drain) = &mut self.drain else { return Ok(false) };
        if !drain.asks(false, now) {
            return Ok(false);
        }
        let Poll::Ready(answer) = channel.ask() else { return Ok(false) };
        answer?;
        drain.answered(now);
        Ok(true)
    }

    /// Returns the error for a shell that did something else.
    fn into_error(self, user: &SshUser) -> Error {
        let [stdout, stderr] = self.outputs.each_ref().map(|output| output.trim_ascii());
        let heard = if stderr.is_empty() { stdout } else { stderr };
        let said = if heard.is_empty() {
            String::from("nothing")
        } else {
            // Quoted and escaped, since the guest chose these words.
            format!("\"{}\"", words::shown(heard))
        };
        let end = match self.outcome {
            Some(ExitOutcome::Code(code)) => format!("it ended with exit code {code} and said {said}"),
            Some(ExitOutcome::Signal(name)) => format!("signal {name} ended it, and it said {said}"),
            _ if self.outputs.iter().any(|output| output.len() > MOST_BYTES) => {
                format!("it said more than {} KiB, first {said}", MOST_BYTES >> 10)
            }
            _ => format!("it ended without an exit status and said {said}"),
        };
        told(format!("the login shell of user `{user}` does not run commands: {end}")).with_hint(
            "the login shell must be a POSIX shell, and neither nologin, sshd's ForceCommand nor a start-up file that exits \
             may take its place",
        )
    }
}

#[cfg(test)]
mod tests {
    use rt_process::{ExitStatus, ProcessSpec, Program, capture};
    use rt_protocol::{OutputLimit, Source, Until};

    use super::*;

    /// Returns the answer of a program that sshd would start as a login shell: `SHELL -c TEXT`.
    /// `None` if there is no such program.
    fn answer_of(shell: &[&str], text: &str) -> Option<Answer> {
        let spec = ProcessSpec::new(&Program::find(shell[0]).ok()?).args(&shell[1..]).args(["-c", text]);
        let limit = OutputLimit::UNLIMITED;
        let done = capture(&spec, Source::empty(), limit, limit, &Until::forever()).unwrap();
        let outcome = match done.status {
            Some(ExitStatus::Code(code)) => Some(ExitOutcome::Code(code)),
            _ => None,
        };
        let outputs = [done.stdout_capture.into_bytes(), done.stderr_capture.into_bytes()];
        Some(Answer { outputs, outcome, ..Answer::default() })
    }

    #[test]
    fn posix_shells_answer_and_nothing_else_does() {
        let probe = ShellProbe::fresh();
        for shell in [&["sh"][..], &["dash"], &["bash"], &["busybox", "sh"], &["ksh"], &["zsh"]] {
            let Some(answer) = answer_of(shell, &probe.text()) else { continue };
            assert!(probe.is_answered_by(&answer), "{shell:?}: {answer:?}");
        }
        for other in ["true", "false", "echo", "cat", "python3", "perl", "fish", "csh", "/usr/sbin/nologin"] {
            let Some(answer) = answer_of(&[other], &probe.text()) else { continue };
            assert!(!probe.is_answered_by(&answer), "{other}: {answer:?}");
        }
        // A shell that only echoes its input, on both outputs.
        let answer = answer_of(&["sh", "-c", "echo \"$2\"; echo \"$2\" >&2", "sh"], &probe.text()).unwrap();
        assert!(answer.outputs[1].len() > 100 && !probe.is_answered_by(&answer), "{answer:?}");
    }

    #[test]
    fn noise_before_the_answer_is_passed_over_and_after_it_is_not() {
        let probe = ShellProbe::fresh();
        let check = |text: &str, expected| {
            let answer = answer_of(&["sh"], text).unwrap();
            assert_eq!(probe.is_answered_by(&answer), expected, "{text}: {answer:?}");
        };
        let text = probe.text();
        check(&format!("printf noise; echo noise >&2; {text}"), true);
        check(&format!("trap 'echo bye' EXIT; {text}"), true);
        check(&format!("set -xv; {text}"), true);
        check(&format!("{text}; echo bye"), false);
        check(&format!("{text}; exit 3"), false);
        check(&format!("exit 0; {text}"), false);
        check(&format!("exec 2>&1; {text}"), false);
    }

    #[test]
    fn an_error_says_what_the_shell_did_in_few_words() {
        let user = SshUser::default();
        let error = |outcome, stdout: &[u8], stderr: &[u8]| {
            Answer { outputs: [stdout.to_vec(), stderr.to_vec()], outcome, ..Answer::default() }
                .into_error(&user)
                .to_string()
        };
        let nologin = error(Some(ExitOutcome::Code(1)), b"This account\n is\x1b[2J locked.\n", b"");
        let expected = "user `dev` does not run commands: it ended with exit code 1 and said \"This account\\n is\\u{1b}[2J";
        assert!(nologin.contains(expected), "{nologin}");
        assert!(error(Some(ExitOutcome::Code(0)), b"", b"").contains("exit code 0 and said nothing"));
        assert!(
            error(Some(ExitOutcome::Signal("KILL".into())), b"a", b"b")
                .contains("KILL ended it, and it said \"b\"")
        );
        assert!(error(None, b"", b"").contains("without an exit status"));
        let endless = error(None, b"", &vec![b'x'; MOST_BYTES + 1]);
        assert!(endless.contains("more than 64 KiB") && endless.len() < 500, "{endless}");
    }
}
