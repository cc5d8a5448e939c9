//! The log of one container. The stream of its lines is in the crate's `log`.

use std::time::{Duration, SystemTime};

use rt_protocol::{LogLine, LogOptions};

use crate::clock::NullClock;
use crate::script::log_script::LogScript;

/// The log of one container.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) entries: Vec<LogEntry>,
}

#[derive(Debug)]
pub(crate) struct LogEntry {
    pub(crate) line: LogLine,
    /// Measured from the start of the container or the setting of the script.
    offset: Duration,
    /// On the clock's elapsed time.
    pub(crate) due: Duration,
}

impl Log {
    pub(crate) fn new(script: LogScript, elapsed: Duration) -> Self {
        let entries = script.lines.into_iter().map(|(offset, line)| {
            let due = elapsed.saturating_add(offset);
            LogEntry { line, offset, due }
        });
        Self { entries: entries.collect() }
    }

    pub(crate) fn push(&mut self, line: LogLine, elapsed: Duration) {
        self.entries.push(LogEntry { line, offset: Duration::ZERO, due: elapsed });
    }

    /// Restarts the delays of lines that are still to come.
    pub(crate) fn restart(&mut self, elapsed: Duration) {
        for entry in self.entries.iter_mut().filter(|entry| entry.due > elapsed) {
            entry.due = elapsed.saturating_add(entry.offset);
        }
    }
}

impl LogEntry {
    /// Returns the time at which it was written, by the clock.
    pub(crate) fn written_at(&self, clock: &NullClock) -> SystemTime {
        self.line.timestamp.unwrap_or_else(|| clock.at(self.due))
    }

    /// Returns whether it was written at or after the time in the options.
    pub(crate) fn is_recent(&self, options: &LogOptions, clock: &NullClock) -> bool {
        options.since.is_none_or(|since| self.written_at(clock) >= since)
    }
}
