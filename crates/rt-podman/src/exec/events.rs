//! What podman's event log says of execs: the proof that a command was started, whatever its output claims. The last
//! resort, where the host cannot see podman's records.

use std::time::Duration;

use serde_json::Value;

use crate::cli::engine::Engine;
use crate::cli::json;

/// Execs of one container during a call.
///
/// podman logs `exec` and `exec_died` only for commands that were really started (seen on 4.3.1 and 5.4.2), so a
/// command that prints podman's own words and returns 127 can be told from one that was not found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExecEvents {
    /// How many commands were started.
    pub(crate) started: usize,
    /// The exit codes of those that have ended, where podman gives them. Some stand twice: podman's client and its
    /// clean-up process may both write the event.
    pub(crate) ended: Vec<Option<i32>>,
}

impl ExecEvents {
    /// Reads the log of the time from the beginning of the call, which took `elapsed`, until now; `None` where this podman
    /// keeps none or does not answer.
    ///
    /// podman counts that time back by the clock that it writes into the log, so the clock of this process may be another.
    pub(crate) fn during(engine: &Engine, id: &str, elapsed: Duration) -> Option<Self> {
        // podman writes the events of 4.3 to the second.
        const SLACK: Duration = Duration::from_secs(1);
        let args = [
            String::from("events"),
            String::from("--stream=false"),
            format!("--since={}ms", (elapsed + SLACK).as_millis()),
            format!("--filter=container={id}"),
            String::from("--format=json"),
        ];
        let answer = engine.ask("read the events of", engine.limits.info, args).ok()?;
        // Without events podman prints nothing.
        answer.told().ok()?.ok().map(|events| Self::decode(&events, id))
    }

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
                    // 4.x leaves code 0 out, and 5.x always writes a code: `timeNano` came with 5.0.
                    let zero = json::field(&event, &["timeNano"]).is_none().then_some(0);
                    events.ended.push(code.map_or(zero, |code| i32::try_from(code).ok()));
                }
                _ => {}
            }
        }
        events
    }

    /// Whether a command has ended with `code`.
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
