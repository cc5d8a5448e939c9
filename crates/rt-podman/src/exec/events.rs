//! What podman's event log says about execs: the proof that a command was started, whatever it
//! prints. This is the last resort, if the host cannot see podman's records.

use std::time::{Duration, Instant, SystemTime};

use rt_protocol::Until;
use serde_json::Value;

use crate::cli::engine::Engine;
use crate::cli::json;

/// Where podman's log of a container's execs ended before one of them. Later lines belong to the
/// call, whatever any clock shows.
#[derive(Debug)]
pub(crate) struct LogEnd {
    id: String,
    began: (SystemTime, Instant),
    last_line: LastLine,
}

/// The last line about an exec of the container.
#[derive(Debug)]
enum LastLine {
    /// This line; `None` if there was none yet.
    Known(Option<String>),
    /// Not read: the times of the lines decide.
    Unasked,
    /// podman keeps no log.
    NoLog,
}

impl LogEnd {
    /// Does not read the log, for a call that will hardly need it.
    pub(crate) fn unasked(id: &str) -> Self {
        let began = (SystemTime::now(), Instant::now());
        Self { id: id.to_owned(), began, last_line: LastLine::Unasked }
    }

    /// Reads the log before an exec whose records this host cannot see. A log in a file is short.
    /// One in a journal goes back for months, and without a time podman reads it from its
    /// beginning.
    pub(crate) fn read(engine: &Engine, logger: Option<&str>, id: &str, until: &Until) -> Self {
        let last_line = match logger {
            Some("file") => match lines(engine, id, None, until) {
                Some(log) => LastLine::Known(log.lines().last().map(str::to_owned)),
                None => LastLine::Unasked,
            },
            Some("none") => LastLine::NoLog,
            _ => LastLine::Unasked,
        };
        Self { last_line, ..Self::unasked(id) }
    }

    /// Returns the new entries of the log. `None` if this podman keeps no log or does not answer,
    /// or if only times could decide and the clock was set.
    pub(crate) fn since(&self, engine: &Engine) -> Option<ExecEvents> {
        let until = Until::forever();
        let log = match &self.last_line {
            LastLine::NoLog => return None,
            LastLine::Known(_) => lines(engine, &self.id, None, &until)?,
            LastLine::Unasked if self.clock_was_set() => return None,
            // podman subtracts from its own clock, which also writes the log, so this process's
            // clock may differ.
            LastLine::Unasked => lines(engine, &self.id, Some(self.began.1.elapsed() + SLACK), &until)?,
        };
        let known = match &self.last_line {
            LastLine::Known(Some(last)) => {
                log.lines().collect::<Vec<_>>().iter().rposition(|line| line == last)
            }
            _ => None,
        };
        // A rotated log has lost its older half.
        let news: Vec<_> = log.lines().skip(known.map_or(0, |place| place + 1)).collect();
        Some(ExecEvents::decode(&news.join("\n"), &self.id))
    }

    /// Returns whether only times could decide, and this machine's clock has moved differently from
    /// its elapsed time: it was set, or the machine has slept.
    pub(crate) fn clock_was_set(&self) -> bool {
        let (clock, time) = self.began;
        let (gone, elapsed) = (clock.elapsed(), time.elapsed());
        matches!(self.last_line, LastLine::Unasked)
            && gone.map_or(true, |gone| gone.abs_diff(elapsed) > SLACK)
    }
}

/// podman writes some times in whole seconds.
const SLACK: Duration = Duration::from_secs(1);

/// Returns podman's log of the container's execs, complete or for a time back from now.
fn lines(engine: &Engine, id: &str, back_to: Option<Duration>, until: &Until) -> Option<String> {
    let mut args = vec![
        String::from("events"),
        String::from("--stream=false"),
        format!("--filter=container={id}"),
        String::from("--filter=event=exec"),
        String::from("--filter=event=exec_died"),
        String::from("--format=json"),
    ];
    args.extend(back_to.map(|time| format!("--since={}ms", time.as_millis())));
    let answer = engine.ask_within("read the events of", engine.limits.info, until, args).ok()?;
    // Without events podman prints nothing.
    answer.told().ok()?.ok()
}

/// Execs of one container during a call.
///
/// podman logs `exec` and `exec_died` only for commands that were really started (seen on 4.3.1 and
/// 5.4.2). So a command that prints podman's own text and returns 127 can be distinguished from one
/// that was not found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExecEvents {
    /// How many commands were started.
    pub(crate) started: usize,
    /// The exit codes of those that have ended, if podman reports them. Some are there twice:
    /// podman's client and its clean-up process may both write the event.
    pub(crate) ended: Vec<Option<i32>>,
}

impl ExecEvents {
    pub(crate) fn decode(stdout: &str, id: &str) -> Self {
        let mut events = Self::default();
        for line in stdout.lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            if json::text(&event, &["ID"]).as_deref() != Some(id) {
                continue;
            }
            match json::text(&event, &["Status"]).as_deref() {
                Some("exec") => events.started += 1,
                Some("exec_died") => {
                    let code = json::integer(&event, &["ContainerExitCode"]);
                    // 4.x omits code 0, and 5.x always writes a code: `timeNano` came with 5.0.
                    let zero = json::field(&event, &["timeNano"]).is_none().then_some(0);
                    events.ended.push(code.map_or(zero, |code| i32::try_from(code).ok()));
                }
                _ => {}
            }
        }
        events
    }

    /// Returns whether a command has ended with `code`.
    pub(crate) fn ended_with(&self, code: i32) -> bool {
        self.ended.contains(&Some(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read_and_others_left_out() {
        let log = concat!(
            r#"{"ID":"t","Name":"x","Status":"exec","Time":"2026-11-21T20:41:40.1Z"}"#,
            "\n",
            r#"{"ContainerExitCode":127,"ID":"t","Name":"x","Status":"exec_died","Time":"2026-11-21T20:41:41Z"}"#,
            "\n",
            r#"{"ContainerExitCode":5,"ID":"t","Status":"exec_died","time":1795293700,"timeNano":1795293700500000000}"#,
            "\n",
            r#"{"ID":"t","Name":"x","Status":"exec_died","Time":"2026-11-21T20:41:41Z"}"#,
            "\n",
            r#"{"ID":"t","Status":"exec_died","time":1795293700,"timeNano":1795293700500000000}"#,
            "\nbroken\n",
            r#"{"ContainerExitCode":9,"ID":"other","Name":"x","Status":"exec_died","time":1795293701}"#,
            "\n",
        );
        let events = ExecEvents::decode(log, "t");
        assert_eq!(events, ExecEvents { started: 1, ended: vec![Some(127), Some(5), Some(0), None] });
        assert!(events.ended_with(5) && !events.ended_with(9));
    }
}
