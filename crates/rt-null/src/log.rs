//! The stream of log lines that a caller pulls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rt_protocol::{ContainerName, LogLine, LogOptions, Pull, PullStream, Result, Until, UntilError};

use crate::clock::NullClock;
use crate::exec::pending_operation::PendingOperation;
use crate::state::log::LogEntry;
use crate::state::refusal::no_such_container;
use crate::state::world::{Shared, World};
use crate::streams::waiter::Waiter;

/// The stream behind [`Container::logs`](rt_protocol::Container::logs). It holds only a position in
/// the log.
pub(crate) struct NullLogStream {
    shared: Arc<Shared>,
    name: ContainerName,
    serial: u64,
    options: LogOptions,
    next: usize,
    /// The number of lines when the stream was opened. A follower gets later lines whatever the
    /// clock says.
    written: usize,
    /// Where a stream ends that does not follow.
    last: Option<usize>,
    ended: bool,
}

/// The result of one look at the log.
enum Found {
    Line(LogLine),
    /// A line that is due after this time.
    Later(Duration),
    End,
}

impl NullLogStream {
    /// Opens the log of the container that exists now.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        operation: &PendingOperation<'_>,
        name: &ContainerName,
        options: &LogOptions,
    ) -> Result<Self> {
        let elapsed = shared.clock.elapsed();
        let place = shared.read(|world| {
            let record = world.containers.get(name)?;
            let log = world.scripts.get(name).and_then(|scripts| scripts.log.as_ref());
            let entries = log.map_or(&[][..], |log| &log.entries);
            let written = entries.iter().take_while(|entry| entry.due <= elapsed).count();
            let wanted: Vec<usize> =
                (0..written).filter(|index| entries[*index].is_recent(options, &shared.clock)).collect();
            let tail = options.tail.map_or(usize::MAX, |tail| usize::try_from(tail).unwrap_or(usize::MAX));
            let next = match wanted.len().checked_sub(tail) {
                Some(skipped) => wanted.get(skipped).copied().unwrap_or(written),
                None => 0,
            };
            Some((record.serial, next, written))
        });
        let Some((serial, next, written)) = place else {
            return Err(operation.refusal_error(no_such_container()));
        };
        let last = (!options.follow).then_some(written);
        let (shared, name, options) = (Arc::clone(shared), name.clone(), options.clone());
        Ok(Self { shared, name, serial, options, next, written, last, ended: false })
    }

    /// Returns the next line, after spending its delay; `None` at the end.
    pub(crate) fn next_line(&mut self, waiter: &Waiter) -> std::result::Result<Option<LogLine>, UntilError> {
        let shared = Arc::clone(&self.shared);
        while !self.ended {
            let found = waiter.wait_for(|| {
                let elapsed = shared.clock.elapsed();
                shared.read(|world| self.look(world, elapsed))
            })?;
            match found {
                Found::Line(line) => return Ok(Some(line)),
                Found::Later(delay) => waiter.spend(delay)?,
                Found::End => self.ended = true,
            }
        }
        Ok(None)
    }

    /// Looks for the next line; `None` if nothing is known yet.
    fn look(&mut self, world: &World, elapsed: Duration) -> Option<Found> {
        let Some(record) = world.containers.get(&self.name).filter(|record| record.serial == self.serial)
        else {
            return Some(Found::End);
        };
        let log = world.scripts.get(&self.name).and_then(|scripts| scripts.log.as_ref());
        while let Some(entry) = log.and_then(|log| log.entries.get(self.next)) {
            if self.last.is_some_and(|last| self.next >= last) {
                return Some(Found::End);
            }
            if entry.due > elapsed {
                // A container that has exited writes no more.
                let ended = record.info.state.has_exited();
                return Some(if ended {
                    Found::End
                } else {
                    Found::Later(entry.due.saturating_sub(elapsed))
                });
            }
            let is_recent = self.next >= self.written || entry.is_recent(&self.options, &self.shared.clock);
            self.next += 1;
            // `tail` counts a line of the unselected output too; such a line is skipped only here.
            if is_recent && self.options.wants(entry.line.stream) {
                return Some(Found::Line(shown(entry, &self.options, &self.shared.clock)));
            }
        }
        (self.last.is_some() || record.info.state.has_exited()).then_some(Found::End)
    }
}

impl PullStream<LogLine> for NullLogStream {
    fn pull(&mut self, until: &Until) -> Result<Pull<LogLine>> {
        let waiter = self.shared.waiter(until.clone());
        Ok(match self.next_line(&waiter) {
            Ok(Some(line)) => Pull::Item(line),
            Ok(None) => Pull::End,
            Err(_) => Pull::Pending,
        })
    }

    fn close(&mut self) -> Result<()> {
        self.ended = true;
        Ok(())
    }
}

impl fmt::Debug for NullLogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NullLogStream").field("name", &self.name.as_str()).finish_non_exhaustive()
    }
}

/// Returns the line with the parts that the options select.
fn shown(entry: &LogEntry, options: &LogOptions, clock: &NullClock) -> LogLine {
    let mut line = entry.line.clone();
    if line.bytes.len() > options.max_line_bytes {
        line.omitted += (line.bytes.len() - options.max_line_bytes) as u64;
        line.bytes.truncate(options.max_line_bytes);
    }
    line.timestamp = options.timestamps.then(|| entry.written_at(clock));
    line
}
