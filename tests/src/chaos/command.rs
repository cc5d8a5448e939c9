//! A command whose answer can be checked to the byte. A seed decides what it writes and how it
//! ends. It leaves notes when it begins and when it ends. This file does not know what is done to
//! the command meanwhile.

use std::fs;
use std::path::Path;

use fastrand::Rng;
use rt_protocol::{
    Error, ErrorKind, ExecRequest, ExecResult, ExitOutcome, KillOutcome, StdioResult, StreamEnd,
};

/// Codes that podman, shells and ssh have a meaning of their own for, among others.
const CODES: [i32; 14] = [0, 0, 0, 0, 1, 2, 7, 125, 126, 127, 130, 137, 143, 255];

/// Nine digits each: ten bytes a line.
const FIRST: u64 = 100_000_000;

/// A command.
#[derive(Clone, Debug)]
pub(super) struct Command {
    /// A word of its own, in its argv and in its notes.
    pub(super) id: String,
    output: Numbers,
    errors: Numbers,
    code: i32,
    /// Whether it copies its stdin to stdout, instead of counting by itself.
    pub(super) copies: bool,
    lingers: bool,
}

/// Numbers in a row, one on a line.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    first: u64,
    count: u64,
}

/// What came of a command, whichever way it was run.
#[derive(Debug)]
pub(super) struct CommandResult {
    outcome: ExitOutcome,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Whether both are said to be whole.
    is_whole: bool,
}

/// What its notes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Notes {
    began: usize,
    ended: usize,
}

impl Command {
    /// Some command, which writes at most two to the power of `bits` lines.
    pub(super) fn random(rng: &mut Rng, id: String, bits: u32) -> Self {
        let mut numbers = |bits: u32| Numbers {
            first: FIRST + rng.u64(0..8 * FIRST),
            count: super::random::number(rng, 0..=bits),
        };
        let (output, errors) = (numbers(bits), numbers(6));
        Self {
            id,
            output,
            errors,
            code: CODES[rng.usize(..CODES.len())],
            copies: rng.u8(..4) == 0,
            lingers: rng.u8(..4) == 0,
        }
    }

    /// The request; the notes go into this directory of the container.
    pub(super) fn request(&self, notes: &str) -> rt_protocol::Result<ExecRequest> {
        let Self { id, output, errors, code, .. } = self;
        let output = if self.copies { "cat".into() } else { output.script() };
        let linger = if self.lingers { "sleep 0.3; " } else { "" };
        let script = format!(
            "echo {id} >>{notes}/began; {output}; {} >&2; {linger}echo {id} >>{notes}/ended; exit {code}",
            errors.script()
        );
        ExecRequest::new(["sh", "-c", &script])
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, "exec", error.to_string()))
    }

    /// The part of it that counts, as a shell takes it.
    pub(super) fn counting(&self) -> String {
        self.output.script()
    }

    /// Returns what the command should write to stdout. If the command copies stdin, this is also
    /// its stdin.
    pub(super) fn stdout(&self) -> Vec<u8> {
        self.output.text()
    }

    /// Returns the notes that the command has left in the directory.
    pub(super) fn notes(&self, directory: &Path) -> Notes {
        let count = |name: &str| {
            let text = fs::read_to_string(directory.join(name)).unwrap_or_default();
            text.lines().filter(|line| *line == self.id).count()
        };
        Notes { began: count("began"), ended: count("ended") }
    }

    /// Judges what came of it. `codes` are those that it may have been given from outside; a word
    /// for a right answer, or what is wrong.
    pub(super) fn judge(&self, ran: &CommandResult, notes: Notes, codes: &[i32]) -> Result<String, String> {
        let CommandResult { outcome, stdout, stderr, is_whole } = ran;
        if notes.began > 1 {
            return Err(format!("it ran {} times: {outcome:?}", notes.began));
        }
        let (expected, expected_errors) = (self.output.text(), self.errors.text());
        if !expected.starts_with(stdout) {
            return Err(format!("{outcome:?} with {} bytes of stdout that are no prefix", stdout.len()));
        }
        let Some(code) = outcome.shell_code() else { return Ok("lost".into()) };
        let ended = code == self.code && notes.ended == 1;
        if !ended {
            return if codes.contains(&code) {
                Ok("ended from outside".into())
            } else {
                Err(format!("{outcome:?}, and it never ended so; {notes:?}, its code is {}", self.code))
            };
        }
        if *stdout == expected && *stderr == expected_errors {
            Ok("whole".into())
        } else if *is_whole {
            Err(format!(
                "{outcome:?} with {} of {} and {} of {} bytes, which are said to be whole",
                stdout.len(),
                expected.len(),
                stderr.len(),
                expected_errors.len()
            ))
        } else {
            Ok("cut, and said so".into())
        }
    }

    /// Judges an error by what it says of the command; whether its kind is right is the caller's.
    pub(super) fn judge_error(&self, error: &Error, notes: Notes) -> Result<String, String> {
        if notes.began > 1 {
            return Err(format!("it ran {} times: {error:?}", notes.began));
        }
        if error.never_started() && notes.began > 0 {
            return Err(format!("it ran, and is said never to have started: {error:?}"));
        }
        if let Some(rt_protocol::PartialOutput::Output { stdout, .. }) = error.partial()
            && !self.output.text().starts_with(stdout.as_bytes())
        {
            return Err(format!("{} bytes of partial output are no prefix: {error}", stdout.total()));
        }
        let outcome = match error.kill_report().map(|report| &report.outcome) {
            None => "",
            Some(KillOutcome::NeverStarted) => ", never started",
            Some(KillOutcome::Gone) => ", gone",
            Some(KillOutcome::Alive) => ", alive",
            Some(_) => ", unknown",
        };
        Ok(format!("{:?}{outcome}", error.kind()))
    }

    /// Whether this command line is the command's.
    pub(super) fn is_in(&self, cmdline: &[u8]) -> bool {
        let words = [self.id.clone(), self.output.first.to_string(), self.errors.first.to_string()];
        let line = String::from_utf8_lossy(cmdline);
        words.iter().any(|word| line.contains(word.as_str()))
    }
}

impl Numbers {
    fn script(self) -> String {
        if self.count == 0 {
            return "true".into();
        }
        format!("seq {} {}", self.first, self.first + self.count - 1)
    }

    fn text(self) -> Vec<u8> {
        (self.first..self.first + self.count).flat_map(|number| format!("{number}\n").into_bytes()).collect()
    }
}

impl CommandResult {
    /// With captured output.
    pub(super) fn captured(result: ExecResult) -> Self {
        Self {
            outcome: result.outcome,
            is_whole: result.stdout.end() == StreamEnd::Eof && result.stderr.end() == StreamEnd::Eof,
            stdout: result.stdout.into_bytes(),
            stderr: result.stderr.into_bytes(),
        }
    }

    /// With bridged streams, which brought this.
    pub(super) fn bridged(result: &StdioResult, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Self {
            outcome: result.outcome.clone(),
            stdout,
            stderr,
            is_whole: result.stdout.end == StreamEnd::Eof && result.stderr.end == StreamEnd::Eof,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let numbers = |first, count| Numbers { first, count };
        Command {
            id: "c-1".into(),
            output: numbers(300_000_001, 3),
            errors: numbers(400_000_001, 0),
            code: 7,
            copies: false,
            lingers: false,
        }
    }

    fn ran(code: i32, stdout: &str, is_whole: bool) -> CommandResult {
        CommandResult {
            outcome: ExitOutcome::Code(code),
            stdout: stdout.into(),
            stderr: Vec::new(),
            is_whole,
        }
    }

    const ENDED: Notes = Notes { began: 1, ended: 1 };
    const BEGUN: Notes = Notes { began: 1, ended: 0 };
    const WHOLE: &str = "300000001\n300000002\n300000003\n";

    #[test]
    fn whole_answers_and_honest_prefixes_are_right() {
        let command = command();
        assert_eq!(command.judge(&ran(7, WHOLE, true), ENDED, &[]), Ok("whole".into()));
        assert_eq!(command.judge(&ran(7, "3000", false), ENDED, &[]), Ok("cut, and said so".into()));
        assert_eq!(command.judge(&ran(137, "3000", true), BEGUN, &[137]), Ok("ended from outside".into()));
        let lost = CommandResult { outcome: ExitOutcome::Lost, ..ran(0, "300", true) };
        assert_eq!(command.judge(&lost, BEGUN, &[]), Ok("lost".into()));
    }

    #[test]
    fn wrong_codes_and_wrong_outputs_are_faults() {
        let command = command();
        for (ran, notes) in [
            (ran(7, WHOLE, true), BEGUN),
            (ran(0, WHOLE, true), ENDED),
            (ran(7, "300000001\n", true), ENDED),
            (ran(7, "300000001\n300000001\n", false), ENDED),
            (ran(7, WHOLE, true), Notes { began: 2, ended: 2 }),
        ] {
            assert!(command.judge(&ran, notes, &[]).is_err(), "{ran:?} {notes:?}");
        }
    }
}
