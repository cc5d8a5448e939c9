//! The error for a container that is not running: with its exit code and the end of its log.

use std::time::Duration;

use crate::{ContainerInfo, ContainerName, Error, LogLine, LogOptions, Pull, PullStream, Result, Until};

/// How many of the last lines of a log are quoted, and how many characters of each.
const LAST_LINES: u64 = 5;
const MAX_LINE_CHARS: usize = 200;
/// The time limit for reading the log of a container that has ended.
const LOG_TIME_LIMIT: Duration = Duration::from_secs(2);

/// # A container that has ended, for backends
impl Error {
    /// Returns the error of [`in_state`](Self::in_state) for the container `name` with this `info`.
    ///
    /// If the container has ended, the error also quotes its exit code and the last lines of its
    /// log. `open_log` opens the log; it is read for at most two seconds.
    pub fn not_serving(
        name: &ContainerName,
        info: &ContainerInfo,
        operation: &'static str,
        open_log: impl FnOnce(&LogOptions, &Until) -> Result<Box<dyn PullStream<LogLine>>>,
    ) -> Self {
        let error = Self::in_state(&info.state, operation);
        if !info.state.has_exited() {
            return error.in_container(name);
        }
        let code = info.exit_code.map_or_else(String::new, |code| format!(" with exit code {code}"));
        let lines = last_lines(open_log);
        let log = if lines.is_empty() {
            String::new()
        } else {
            format!("; its log ends with {}", lines.join(", "))
        };
        Self::new(error.kind(), operation, format!("{}{code}{log}", error.message()))
            .in_container(name)
            .with_hint("start it first, or see why it has ended")
    }
}

/// Returns the last lines of the log in quotation marks; none if they cannot be read in time.
fn last_lines(
    open_log: impl FnOnce(&LogOptions, &Until) -> Result<Box<dyn PullStream<LogLine>>>,
) -> Vec<String> {
    let until = Until::after(LOG_TIME_LIMIT);
    let Ok(mut log) = open_log(&LogOptions::new().tail(LAST_LINES), &until) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    while let Ok(Pull::Item(line)) = log.pull(&until) {
        let text: String = String::from_utf8_lossy(&line.bytes).chars().take(MAX_LINE_CHARS).collect();
        lines.push(format!("{:?}", text.trim_end()));
    }
    lines
}
