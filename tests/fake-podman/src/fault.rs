//! What goes wrong on purpose: `FAKE_PODMAN_FAULT`, a list of faults with commas between, each for
//! every verb or for one (`exec:hang`, `container inspect:half-json`). A comma within a fault is
//! written `\,`.
//!
//! | fault | what happens |
//! | --- | --- |
//! | `hang` | no answer, ever; TERM ends it |
//! | `hang-deaf` | no answer, ever; only KILL ends it |
//! | `term-exits-0` | as `hang`, but TERM ends it with 0; an exec runs, and its client ends on TERM with 0 |
//! | `flood-stderr` | 32 MiB of warnings, then the usual answer |
//! | `half-json` | the first half of the answer, and 0 |
//! | `non-utf8` | a byte that is no UTF-8 before the answer |
//! | `huge-output` | 1 GiB on stdout, and 0 |
//! | `die-by-signal` | KILL, at once |
//! | `die-by-signal=MS` | KILL, this many milliseconds later, in the midst of the work |
//! | `slow=MS` | the usual answer, later |
//! | `slow-conmon=MS` | a command is started later, and what starts its monitor leaves after half of that |
//! | `stop-stuck` | `stop` leaves the state at `stopping` and never returns |
//! | `wait-says-minus-one` | `wait` answers -1, as podman before 5.4.1 does when the container is removed meanwhile |
//! | `fail=CODE:TEXT` | these words on stderr, this code |
//! | `exit-without-a-word=CODE` | this code |
//! | `told-to-leave=CODE` | TERM has come before the work: this code, and what podman says of it at its log level `info` |
//! | `told-to-leave-after=CODE` | the same, in the midst of the answer |
//! | `print=TEXT` | this answer, and 0 |

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::answer::Answer;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Hang,
    HangDeaf,
    TermExitsZero,
    FloodStderr,
    HalfJson,
    NonUtf8,
    HugeOutput,
    Die(Option<Duration>),
    Slow(Duration),
    SlowConmon(Duration),
    StopStuck,
    WaitSaysMinusOne,
    Fail(u8, String),
    Silent(u8),
    ToldToLeave(u8),
    ToldToLeaveAfter(u8),
    Print(String),
}

/// What goes wrong in one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// The faults of the environment that are meant for this verb.
    pub(crate) fn from_environment(verb: &str) -> Result<Self, Answer> {
        let text = std::env::var("FAKE_PODMAN_FAULT").unwrap_or_default();
        Self::read(&text, verb).map_err(|fault| Answer::own(format!("there is no fault {fault:?}")))
    }

    fn read(text: &str, verb: &str) -> Result<Self, String> {
        let mut faults = Vec::new();
        for entry in split(text) {
            let fault = match entry.split_once(':') {
                // The text of a failure has colons, too; a fault of one verb begins with a verb.
                Some((meant, fault)) if !meant.contains('=') => {
                    if meant != verb {
                        continue;
                    }
                    fault
                }
                _ => &entry,
            };
            faults.push(one(fault).ok_or_else(|| fault.to_owned())?);
        }
        Ok(Self(faults))
    }

    pub(crate) fn has(&self, fault: &Fault) -> bool {
        self.0.contains(fault)
    }

    /// How much later a command is started.
    pub(crate) fn slow_conmon(&self) -> Duration {
        let slow = self.0.iter().find_map(|fault| match fault {
            Fault::SlowConmon(time) => Some(*time),
            _ => None,
        });
        slow.unwrap_or_default()
    }

    /// What goes wrong before the work; an answer ends the call.
    pub(crate) fn before(&self, verb: &str, line: &[String]) -> io::Result<Option<Answer>> {
        for fault in &self.0 {
            match fault {
                Fault::Hang => hang(),
                Fault::HangDeaf => {
                    // A handler that does nothing.
                    signal_hook::flag::register(TERM, Arc::default())?;
                    hang();
                }
                Fault::TermExitsZero if verb != "exec" => {
                    end_on(TERM, 0)?;
                    hang();
                }
                Fault::FloodStderr => flood()?,
                Fault::HugeOutput => {
                    huge_output()?;
                    return Ok(Some(Answer::silent()));
                }
                Fault::Die(None) => kill_process(getpid(), Signal::KILL)?,
                Fault::Die(Some(time)) => {
                    let time = *time;
                    std::thread::spawn(move || {
                        std::thread::sleep(time);
                        kill_process(getpid(), Signal::KILL)
                    });
                }
                Fault::Slow(time) => std::thread::sleep(*time),
                Fault::Fail(code, text) => return Ok(Some(Answer::refused(*code, text.clone()))),
                Fault::Silent(code) => return Ok(Some(Answer::code(*code))),
                Fault::ToldToLeave(code) => return Ok(Some(leave(line, *code, Answer::silent()))),
                Fault::Print(text) => return Ok(Some(Answer::out(format!("{text}\n")))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// What goes wrong with the answer.
    pub(crate) fn after(&self, mut answer: Answer, line: &[String]) -> Answer {
        if self.has(&Fault::HalfJson) {
            answer.stdout.truncate(answer.stdout.len() / 2);
            answer.code = 0;
        }
        if self.has(&Fault::NonUtf8) {
            answer.stdout.insert(0, 0xff);
        }
        for fault in &self.0 {
            if let Fault::ToldToLeaveAfter(code) = fault {
                answer = leave(line, *code, answer);
            }
        }
        answer
    }
}

/// What a call leaves with that TERM has come to. As podman does, it tells so at its log level
/// `info` alone.
fn leave(line: &[String], code: u8, mut answer: Answer) -> Answer {
    let mut levels = line.iter().filter_map(|word| word.strip_prefix("--log-level="));
    let mut apart = line.windows(2).filter(|words| words[0] == "--log-level").map(|words| words[1].as_str());
    let level = levels.next_back().or_else(|| apart.next_back()).unwrap_or("warn");
    if ["info", "debug", "trace"].iter().any(|known| level.eq_ignore_ascii_case(known)) {
        answer.stderr.insert_str(
            0,
            "time=\"2026-11-28T19:20:47Z\" level=info msg=\"Received shutdown signal \\\"terminated\\\", terminating!\" \
             PID=7682\ntime=\"2026-11-28T19:20:47Z\" level=info msg=\"Invoking shutdown handler \\\"libpod\\\"\" \
             PID=7682\n",
        );
    }
    answer.code = code;
    answer
}

/// The signals that podman's client takes.
pub(crate) const TERM: i32 = Signal::TERM.as_raw();
pub(crate) const INT: i32 = Signal::INT.as_raw();

/// Ends this process with `code` when `signal` comes.
pub(crate) fn end_on(signal: i32, code: u8) -> io::Result<()> {
    let always = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(signal, code.into(), always)?;
    Ok(())
}

/// Sleeps for ever.
pub(crate) fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

fn flood() -> io::Result<()> {
    const LINE: &[u8] = b"time=\"2026-11-21T20:38:42Z\" level=warning msg=\"a flood of warnings\"\n";
    let piece = LINE.repeat((64 << 10) / LINE.len());
    let mut stderr = io::stderr().lock();
    for _ in 0..(32 << 20) / piece.len() {
        stderr.write_all(&piece)?;
    }
    Ok(())
}

fn huge_output() -> io::Result<()> {
    let piece = vec![b'x'; 1 << 20];
    let mut stdout = io::stdout().lock();
    for _ in 0..1024 {
        stdout.write_all(&piece)?;
    }
    stdout.flush()
}

fn split(text: &str) -> Vec<String> {
    let mut entries = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&',') => {
                characters.next();
                if let Some(last) = entries.last_mut() {
                    last.push(',');
                }
            }
            ',' => entries.push(String::new()),
            _ => {
                if let Some(last) = entries.last_mut() {
                    last.push(character);
                }
            }
        }
    }
    entries.retain(|entry| !entry.is_empty());
    entries
}

fn one(text: &str) -> Option<Fault> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let milliseconds = || value?.parse().ok().map(Duration::from_millis);
    Some(match name {
        "hang" => Fault::Hang,
        "hang-deaf" => Fault::HangDeaf,
        "term-exits-0" => Fault::TermExitsZero,
        "flood-stderr" => Fault::FloodStderr,
        "half-json" => Fault::HalfJson,
        "non-utf8" => Fault::NonUtf8,
        "huge-output" => Fault::HugeOutput,
        "die-by-signal" if value.is_none() => Fault::Die(None),
        "die-by-signal" => Fault::Die(Some(milliseconds()?)),
        "slow" => Fault::Slow(milliseconds()?),
        "slow-conmon" => Fault::SlowConmon(milliseconds()?),
        "stop-stuck" => Fault::StopStuck,
        "wait-says-minus-one" => Fault::WaitSaysMinusOne,
        "fail" => {
            let (code, text) = value?.split_once(':')?;
            Fault::Fail(code.parse().ok()?, text.to_owned())
        }
        "exit-without-a-word" => Fault::Silent(value?.parse().ok()?),
        "told-to-leave" => Fault::ToldToLeave(value?.parse().ok()?),
        "told-to-leave-after" => Fault::ToldToLeaveAfter(value?.parse().ok()?),
        "print" => Fault::Print(value?.to_owned()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_for_every_verb_or_for_one() {
        let text = r"exec:hang,slow=5,container inspect:fail=125:Error: a\, b: c,wait:exit-without-a-word=3";
        let of = |verb| Faults::read(text, verb).unwrap().0;
        let slow = Fault::Slow(Duration::from_millis(5));
        assert_eq!(of("exec"), [Fault::Hang, slow.clone()]);
        let fail = Fault::Fail(125, String::from("Error: a, b: c"));
        assert_eq!(of("container inspect"), [slow.clone(), fail]);
        assert_eq!(of("wait"), [slow, Fault::Silent(3)]);
        assert_eq!(Faults::read("fail=1:a:b", "ps").unwrap().0, [Fault::Fail(1, String::from("a:b"))]);
        assert!(Faults::read("bogus", "ps").is_err());
    }
}
