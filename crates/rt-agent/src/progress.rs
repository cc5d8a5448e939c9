//! What is known of a command from what its supervisor has said. No descriptor, no clock.

use std::io;

use rt_process::ExitStatus;

use crate::Stage;
use crate::wire_format::{FRAME, Report};

/// How a command ended.
#[derive(Debug)]
pub enum CommandEnd {
    /// It certainly never ran.
    NeverStarted,
    /// It certainly never ran, for this reason.
    Failed(StartFailure),
    /// It ran to this end.
    Exited(ExitStatus),
    /// It was about to start, and nothing more was heard. All, some or none of its work may be done.
    Lost,
}

/// Why a command did not start.
#[derive(Debug)]
#[non_exhaustive]
pub struct StartFailure {
    /// What failed.
    pub stage: Stage,
    /// What the kernel said to it; no error where it was not asked.
    pub error: io::Error,
}

/// What became of the command and all its descendants, by the kernel's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descendants {
    /// None is left. While it was ended, so many were reaped.
    Gone(u32),
    /// The command has exited by itself, and some run on, as it meant them to.
    RunOn,
    /// After some seconds of KILL so many were left.
    Left(u32),
}

/// What is known of a command.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each was said by itself")]
pub struct Progress {
    /// The start of a frame.
    partial: Vec<u8>,
    is_begun: bool,
    failure: Option<(Stage, u32)>,
    pid: Option<u32>,
    status: Option<ExitStatus>,
    descendants: Option<Descendants>,
    /// The last word on the descendants was said.
    is_settled: bool,
    has_ended: bool,
    is_broken: bool,
}

impl Progress {
    /// Takes what the supervisor said next. What no supervisor says ends it.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let (frames, rest) = self.partial.as_chunks::<FRAME>();
        let (reports, rest): (Vec<_>, _) =
            (frames.iter().map(|frame| Report::from_bytes(*frame)).collect(), rest.to_vec());
        self.partial = rest;
        for report in reports {
            let is_known = !self.is_broken && report.is_some_and(|report| self.take_report(report));
            if !is_known {
                self.is_broken = true;
                self.has_ended = true;
            }
        }
    }

    /// The supervisor says no more.
    pub(crate) fn end(&mut self) {
        self.is_broken |= !self.partial.is_empty();
        self.has_ended = true;
    }

    /// Whether it can follow on what was said before.
    fn take_report(&mut self, report: Report) -> bool {
        let has_failed = self.failure.is_some();
        match report {
            Report::AboutToStart if !self.is_begun && !has_failed => self.is_begun = true,
            Report::Failed(stage, errno) if self.pid.is_none() && !has_failed => {
                let is_early = matches!(stage, Stage::Request | Stage::Unsupported | Stage::Outdated);
                if stage != Stage::Fork && is_early == self.is_begun {
                    return false;
                }
                self.failure = Some((stage, errno));
            }
            Report::Started(pid) if self.is_begun && !has_failed && self.pid.is_none() => {
                self.pid = Some(pid);
            }
            Report::Exited { status, is_alone }
                if self.pid.is_some() && self.status.is_none() && self.descendants.is_none() =>
            {
                let Some(status) = exit_status(status) else { return false };
                self.status = Some(status);
                self.descendants = Some(if is_alone { Descendants::Gone(1) } else { Descendants::RunOn });
            }
            Report::Gone(count) if self.status.is_some() && !self.is_settled => {
                (self.descendants, self.is_settled) = (Some(Descendants::Gone(count)), true);
            }
            Report::Left(count) if self.pid.is_some() && !self.is_settled => {
                (self.descendants, self.is_settled) = (Some(Descendants::Left(count)), true);
            }
            _ => return false,
        }
        true
    }

    /// Whether anything of it can have run. Until it is, the command certainly has not.
    pub fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Whether the last word was said on a command that is being ended.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled || self.has_ended
    }

    /// Whether its supervisor says no more.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Its number in the container's own namespace, once it has started.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// How it ended; `None` while that can still be heard.
    pub fn command_end(&self) -> Option<CommandEnd> {
        if let Some(status) = self.status {
            return Some(CommandEnd::Exited(status));
        }
        if let Some((stage, errno)) = self.failure {
            let error = io::Error::from_raw_os_error(errno.try_into().unwrap_or(0));
            return Some(CommandEnd::Failed(StartFailure { stage, error }));
        }
        let lost = self.is_begun || self.is_broken;
        self.has_ended.then_some(if lost { CommandEnd::Lost } else { CommandEnd::NeverStarted })
    }

    /// What became of its descendants, as far as it was said.
    pub fn descendants(&self) -> Option<Descendants> {
        self.descendants
    }
}

/// A status of wait(2); `None` for one that is none of an ended process.
fn exit_status(status: u32) -> Option<ExitStatus> {
    let [low, high, 0, 0] = status.to_le_bytes() else { return None };
    match low & 0x7f {
        0 if low == 0 => Some(ExitStatus::Code(high.into())),
        0 | 0x7f => None,
        signal if high == 0 => Some(ExitStatus::Signal(signal.into())),
        _ => None,
    }
}
