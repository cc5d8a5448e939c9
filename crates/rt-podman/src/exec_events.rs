//! What podman's event log says of execs: the proof that a command was started, whatever its output claims.

use std::time::{SystemTime, UNIX_EPOCH};

use rt_protocol::ContainerName;
use serde_json::Value;

use crate::engine::Engine;
use crate::{event_line, json};

/// Execs of one container since a point in time.
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
    /// Reads the log; `None` where this podman keeps none or does not answer.
    pub(crate) fn since(engine: &Engine, name: &ContainerName, since: SystemTime) -> Option<Self> {
        let seconds = since.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let args = [
            String::from("events"),
            String::from("--stream=false"),
            format!("--since={seconds}"),
            format!("--filter=container={name}"),
            String::from("--format=json"),
        ];
        let answer = engine.ask("read the events of", engine.limits.info, args).ok()?;
        answer.ok().then(|| Self::decode(&answer.stdout, name, since))
    }

    pub(crate) fn decode(stdout: &str, name: &ContainerName, since: SystemTime) -> Self {
        let mut events = Self::default();
        for line in stdout.lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let is_ours = json::text(&event, &["Name"]).as_deref() == Some(name.as_str());
            if !is_ours || event_line::time(&event).is_some_and(|(_, latest)| latest < since) {
                continue;
            }
            match json::text(&event, &["Status"]).as_deref() {
                Some("exec") => events.started += 1,
                Some("exec_died") => {
                    let code = json::integer(&event, &["ContainerExitCode"]);
                    events.ended.push(code.and_then(|code| i32::try_from(code).ok()));
                }
                _ => {}
            }
        }
        events
    }

    /// Whether a command has ended with `code`, which is not 0: 4.3.1 leaves that one out.
    pub(crate) fn ended_with(&self, code: i32) -> bool {
        self.ended.contains(&Some(code))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_versions_are_read_and_others_left_out() {
        let name = ContainerName::new("t").unwrap();
        let since = UNIX_EPOCH + Duration::from_secs(1_795_293_700);
        let log = concat!(
            r#"{"Name":"t","Status":"exec","Time":"2026-11-21T20:41:39.9Z"}"#,
            "\n",
            r#"{"Name":"t","Status":"exec","Time":"2026-11-21T20:41:40.1Z"}"#,
            "\n",
            r#"{"ContainerExitCode":127,"Name":"t","Status":"exec_died","Time":"2026-11-21T20:41:41Z"}"#,
            "\n",
            r#"{"ContainerExitCode":5,"Name":"t","Status":"exec_died","time":1795293700,"timeNano":1795293700500000000}"#,
            "\nbroken\n",
            r#"{"ContainerExitCode":9,"Name":"other","Status":"exec_died","time":1795293701}"#,
            "\n",
        );
        let events = ExecEvents::decode(log, &name, since);
        assert_eq!(events, ExecEvents { started: 1, ended: vec![Some(127), Some(5)] });
        assert!(events.ended_with(5) && !events.ended_with(9));
    }
}
