//! Logs of containers: what a test scripts, and the stream that a caller pulls.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rt_protocol::{ContainerName, LogLine, LogOptions, LogStream, OutputStream, Pull, Result, Stop, Until};

use crate::clock::NullClock;
use crate::exec::attempt::Attempt;
use crate::state::world::{Shared, World};
use crate::streams::waiter::Waiter;

/// The lines of a container's log, in order, with delays between them.
///
/// Delays pass on the [clock](crate::NullClock), from the start of the container or, when it runs already, from the
/// setting of the script. A line that is not yet due is not in the log; a follower who waits for it moves the clock to
/// it, at once, when the `Until` of the pull allows.
///
/// ```
/// use std::time::Duration;
/// use rt_null::{LogScript, NullRuntime};
/// use rt_protocol::{ContainerRuntime, ContainerRuntimeExt, LaunchSpec, Readiness, Until};
///
/// let runtime = NullRuntime::new();
/// let script = LogScript::new().line("booting").delay(Duration::from_secs(30)).error_line("ready");
/// runtime.set_logs("web", script)?;
/// let web = runtime.launch(&LaunchSpec::builder("web", "nginx").build()?, &Until::forever())?;
///
/// let mut echo = Vec::new();
/// let short = Until::after(Duration::from_secs(10));
/// assert_eq!(web.stream_initial_logs(&mut |line| line == "ready", &mut echo, &short)?, Readiness::TimedOut);
/// let long = Until::after(Duration::from_secs(60));
/// let seen = web.stream_initial_logs(&mut |line| line == "ready", &mut echo, &long)?;
/// assert_eq!(seen, Readiness::Ready("ready".to_owned()));
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogScript {
    lines: Vec<(Duration, LogLine)>,
    delay: Duration,
}

impl LogScript {
    /// No lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more line on stdout, without its newline.
    #[must_use]
    pub fn line(self, line: impl Into<Vec<u8>>) -> Self {
        self.log_line(LogLine::new(OutputStream::Stdout, line))
    }

    /// One more line on stderr, without its newline.
    #[must_use]
    pub fn error_line(self, line: impl Into<Vec<u8>>) -> Self {
        self.log_line(LogLine::new(OutputStream::Stderr, line))
    }

    /// One more line. A timestamp that it has is the time at which it was written; otherwise that is when it is due.
    #[must_use]
    pub fn log_line(mut self, line: LogLine) -> Self {
        self.lines.push((self.delay, line));
        self
    }

    /// Lets so much time pass before the next line.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = self.delay.saturating_add(delay);
        self
    }
}

/// Lines on stdout, without newlines.
impl<S: Into<Vec<u8>>> FromIterator<S> for LogScript {
    fn from_iter<I: IntoIterator<Item = S>>(lines: I) -> Self {
        lines.into_iter().fold(Self::new(), Self::line)
    }
}

/// The log of one container.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    line: LogLine,
    /// From the start of the container or the setting of the script.
    offset: Duration,
    /// On the clock's own time.
    due: Duration,
}

impl Log {
    pub(crate) fn new(script: LogScript, elapsed: Duration) -> Self {
        let entries = script.lines.into_iter().map(|(offset, line)| {
            let due = elapsed.saturating_add(offset);
            Entry { line, offset, due }
        });
        Self { entries: entries.collect() }
    }

    pub(crate) fn push(&mut self, line: LogLine, elapsed: Duration) {
        self.entries.push(Entry { line, offset: Duration::ZERO, due: elapsed });
    }

    /// Lets the delays of lines that are still to come begin now.
    pub(crate) fn restart(&mut self, elapsed: Duration) {
        for entry in self.entries.iter_mut().filter(|entry| entry.due > elapsed) {
            entry.due = elapsed.saturating_add(entry.offset);
        }
    }
}

/// The stream behind [`Container::logs`](rt_protocol::Container::logs). Holds nothing but a place in the log.
pub(crate) struct NullLogStream {
    shared: Arc<Shared>,
    name: ContainerName,
    serial: u64,
    options: LogOptions,
    next: usize,
    /// Where a stream that does not follow ends.
    last: Option<usize>,
    ended: bool,
}

/// What one look at the log finds.
enum Found {
    Line(LogLine),
    /// A line that is due so much later.
    Later(Duration),
    End,
}

impl NullLogStream {
    /// Opens the log of the container that there is now.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        attempt: &Attempt<'_>,
        name: &ContainerName,
        options: &LogOptions,
    ) -> Result<Self> {
        let elapsed = shared.clock.elapsed();
        let place = shared.look(|world| {
            let record = world.containers.get(name)?;
            let log = world.scripts.get(name).and_then(|scripts| scripts.log.as_ref());
            let entries = log.map_or(&[][..], |log| &log.entries);
            let written = entries.iter().take_while(|entry| entry.due <= elapsed).count();
            let wanted: Vec<usize> =
                (0..written).filter(|index| is_wanted(&entries[*index], options, &shared.clock)).collect();
            let tail = options.tail.map_or(usize::MAX, |tail| usize::try_from(tail).unwrap_or(usize::MAX));
            let next = match wanted.len().checked_sub(tail) {
                Some(skipped) => wanted.get(skipped).copied().unwrap_or(written),
                None => 0,
            };
            Some((record.serial, next, (!options.follow).then_some(written)))
        });
        let Some((serial, next, last)) = place else {
            return Err(attempt.refused(crate::state::lifecycle::absent()));
        };
        let (shared, name, options) = (Arc::clone(shared), name.clone(), options.clone());
        Ok(Self { shared, name, serial, options, next, last, ended: false })
    }

    /// The next line, paid for by the waiter; `None` at the end.
    pub(crate) fn next_line(&mut self, waiter: &Waiter) -> std::result::Result<Option<LogLine>, Stop> {
        let shared = Arc::clone(&self.shared);
        while !self.ended {
            let found = waiter.wait_for(|| {
                let elapsed = shared.clock.elapsed();
                shared.look(|world| self.look(world, elapsed))
            })?;
            match found {
                Found::Line(line) => return Ok(Some(line)),
                Found::Later(delay) => waiter.spend(delay)?,
                Found::End => self.ended = true,
            }
        }
        Ok(None)
    }

    /// The next line, if anything can be said of it yet.
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
                // Who has stopped writes no more.
                let ended = record.info.state.has_exited();
                return Some(if ended {
                    Found::End
                } else {
                    Found::Later(entry.due.saturating_sub(elapsed))
                });
            }
            self.next += 1;
            // What is left out for its output alone was counted by `tail` before.
            if is_wanted(entry, &self.options, &self.shared.clock) && self.options.wants(entry.line.stream) {
                return Some(Found::Line(shown(entry, &self.options, &self.shared.clock)));
            }
        }
        (self.last.is_some() || record.info.state.has_exited()).then_some(Found::End)
    }
}

impl LogStream for NullLogStream {
    fn pull(&mut self, until: &Until) -> Result<Pull<LogLine>> {
        let waiter = self.shared.waiter(until.clone());
        Ok(match self.next_line(&waiter) {
            Ok(Some(line)) => Pull::Item(line),
            Ok(None) => Pull::End,
            Err(_) => Pull::Idle,
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

fn written_at(entry: &Entry, clock: &NullClock) -> SystemTime {
    entry.line.timestamp.unwrap_or_else(|| clock.at(entry.due))
}

fn is_wanted(entry: &Entry, options: &LogOptions, clock: &NullClock) -> bool {
    options.since.is_none_or(|since| written_at(entry, clock) >= since)
}

/// The line as the options want it.
fn shown(entry: &Entry, options: &LogOptions, clock: &NullClock) -> LogLine {
    let mut line = entry.line.clone();
    if line.bytes.len() > options.max_line_bytes {
        line.omitted += (line.bytes.len() - options.max_line_bytes) as u64;
        line.bytes.truncate(options.max_line_bytes);
    }
    line.timestamp = options.timestamps.then(|| written_at(entry, clock));
    line
}
