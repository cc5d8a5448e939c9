//! The scripted lines of a log.

use std::time::Duration;

use rt_protocol::{LogLine, OutputStream};

/// The lines of a container's log, in order, with delays between them.
///
/// Delays pass on the [clock](crate::NullClock), from the start of the container, or from the
/// setting of the script if it already runs. A line that is not yet due is not in the log. A
/// follower that waits for it advances the clock to it at once, if the `Until` of the pull allows
/// that.
///
/// ```
/// use std::time::Duration;
/// use rt_null::{LogScript, NullRuntime};
/// use rt_protocol::{ContainerRuntime, ContainerRuntimeExt, LaunchSpec, Readiness, Until};
///
/// let runtime = NullRuntime::new();
/// let script = LogScript::new().line("booting").delay(Duration::from_secs(30));
/// let script = script.error_line("ready");
/// runtime.set_logs("web", script)?;
/// let spec = LaunchSpec::builder("web", "nginx").build()?;
/// let web = runtime.launch(&spec, &Until::forever())?;
///
/// let mut echo = Vec::new();
/// let short = Until::after(Duration::from_secs(10));
/// let readiness = web.stream_initial_logs(&mut |line| line == "ready", &mut echo, &short)?;
/// assert_eq!(readiness, Readiness::TimedOut);
/// let long = Until::after(Duration::from_secs(60));
/// let seen = web.stream_initial_logs(&mut |line| line == "ready", &mut echo, &long)?;
/// assert_eq!(seen, Readiness::Ready("ready".to_owned()));
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogScript {
    pub(crate) lines: Vec<(Duration, LogLine)>,
    delay: Duration,
}

impl LogScript {
    /// Creates a script without lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line on stdout, given without its newline.
    #[must_use]
    pub fn line(self, line: impl Into<Vec<u8>>) -> Self {
        self.log_line(LogLine::new(OutputStream::Stdout, line))
    }

    /// Adds a line on stderr, given without its newline.
    #[must_use]
    pub fn error_line(self, line: impl Into<Vec<u8>>) -> Self {
        self.log_line(LogLine::new(OutputStream::Stderr, line))
    }

    /// Adds a line. Its timestamp is when it was written; without one, that is when it is due.
    #[must_use]
    pub fn log_line(mut self, line: LogLine) -> Self {
        self.lines.push((self.delay, line));
        self
    }

    /// Lets this much time pass before the next line.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = self.delay.saturating_add(delay);
        self
    }
}

/// Collects lines on stdout, given without newlines.
impl<S: Into<Vec<u8>>> FromIterator<S> for LogScript {
    fn from_iter<I: IntoIterator<Item = S>>(lines: I) -> Self {
        lines.into_iter().fold(Self::new(), Self::line)
    }
}
