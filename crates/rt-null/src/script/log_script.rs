//! The lines of a log as a test scripts them.

use std::time::Duration;

use rt_protocol::{LogLine, OutputStream};

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
    pub(crate) lines: Vec<(Duration, LogLine)>,
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
