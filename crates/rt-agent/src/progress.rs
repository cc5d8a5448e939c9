//! What is known about a command from its supervisor's reports. No descriptor, no clock.

use std::io;

use rt_process::ExitStatus;

use crate::Stage;
use crate::wire_format::{FRAME, Report};

/// How a command ended.
#[derive(Debug)]
pub enum CommandEnd {
    /// It has certainly not run.
    NeverStarted,
    /// It has certainly not run, for this reason.
    Failed(StartFailure),
    /// It ran and ended with this status.
    Exited(ExitStatus),
    /// It was about to start, and no later report came. It may have run completely, partly or not
    /// at all.
    Lost,
}

/// Why a command did not start.
#[derive(Debug)]
#[non_exhaustive]
pub struct StartFailure {
    /// The step that failed.
    pub stage: Stage,
    /// The kernel's error; no error if the kernel was not asked.
    pub error: io::Error,
}

/// The fate of the command and all its descendants, as reported by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descendants {
    /// None is left. This many were reaped while it was ended.
    Gone(u32),
    /// The command has exited by itself, and some of its descendants still run.
    RunOn,
    /// This many were left after some seconds of KILL.
    Left(u32),
}

/// What is known about a command.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each was said by itself")]
pub struct Progress {
    /// An incomplete frame.
    partial: Vec<u8>,
    is_begun: bool,
    failure: Option<(Stage, u32)>,
    pid: Option<u32>,
    status: Option<ExitStatus>,
    descendants: Option<Descendants>,
    /// The final report on the descendants has come.
    is_settled: bool,
    has_ended: bool,
    is_broken: bool,
}

impl Progress {
    /// Reads the next bytes from the supervisor. An invalid report ends the command's progress.
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

    /// Records that the supervisor sends no more.
    pub(crate) fn end(&mut self) {
        self.is_broken |= !self.partial.is_empty();
        self.has_ended = true;
    }

    /// Records that it may have begun, because nothing tells whether it has.
    pub(crate) fn assume_begun(&mut self) {
        self.is_begun = true;
    }

    /// Records a report. Returns whether it is valid after the earlier ones.
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

    /// Returns whether any part of the command can have run. While false, it has certainly not run.
    pub fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Returns whether the supervisor has reported that the command begins, or why not.
    pub(crate) fn has_answer(&self) -> bool {
        self.is_begun || self.command_end().is_some()
    }

    /// Returns whether the final report has come for a command that is being ended.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled || self.has_ended
    }

    /// Returns whether its supervisor sends no more.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns its process id in the container's pid namespace, once it has started.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Returns how it ended; `None` while a report can still come.
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

    /// Returns the fate of its descendants, if it was reported.
    pub fn descendants(&self) -> Option<Descendants> {
        self.descendants
    }
}

/// Decodes a status of wait(2); `None` if it is not the status of an ended process.
fn exit_status(status: u32) -> Option<ExitStatus> {
    let [low, high, 0, 0] = status.to_le_bytes() else { return None };
    match low & 0x7f {
        0 if low == 0 => Some(ExitStatus::Code(high.into())),
        0 | 0x7f => None,
        signal if high == 0 => Some(ExitStatus::Signal(signal.into())),
        _ => None,
    }
}
