//! Decodes one line of `podman events --format json`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rt_protocol::{ContainerId, ContainerName, Event, EventAction};
use serde_json::Value;

use crate::cli::json;

/// The content of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EventLine {
    /// An event of the contract.
    Told {
        /// The event.
        event: Event,
        /// The latest moment at which it may have happened: its time, or the end of its second if
        /// podman gave no finer time.
        latest: SystemTime,
    },
    /// Events that are internal to podman: images, volumes, execs, mounts, clean-up.
    Other,
    /// Not a JSON object, or one without a name or a time.
    Malformed,
}

impl EventLine {
    /// Decodes a line. It never fails, because one odd line of podman's log must not end the
    /// stream.
    pub(crate) fn decode(line: &[u8]) -> Self {
        let Ok(line) = serde_json::from_slice::<Value>(line) else {
            return Self::Malformed;
        };
        if !line.is_object() {
            return Self::Malformed;
        }
        let kind = json::text(&line, &["Type"]);
        if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("container")) {
            return Self::Other;
        }
        let Some(action) = json::text(&line, &["Status", "Action"]).as_deref().and_then(action) else {
            return Self::Other;
        };
        let name = json::text(&line, &["Name"]).and_then(|name| ContainerName::of_existing(name).ok());
        let (Some(name), Some((time, latest))) = (name, time(&line)) else {
            return Self::Malformed;
        };
        let mut event = Event::new(name, action, time);
        event.id = json::text(&line, &["ID"]).and_then(|id| ContainerId::new(id).ok());
        if action == EventAction::Died {
            event.exit_code = exit_code(&line);
        }
        Self::Told { event, latest }
    }
}

/// Returns the action for podman's word. The recorded words are the short ones. The others are
/// docker's and the contract's, in case a later podman uses them.
fn action(word: &str) -> Option<EventAction> {
    Some(match word.to_ascii_lowercase().as_str() {
        "create" | "created" => EventAction::Created,
        "init" | "initialized" => EventAction::Initialized,
        "start" | "started" => EventAction::Started,
        "died" | "die" => EventAction::Died,
        "stop" | "stopped" => EventAction::Stopped,
        "kill" | "killed" => EventAction::Killed,
        "remove" | "removed" => EventAction::Removed,
        "pause" | "paused" => EventAction::Paused,
        "unpause" | "unpaused" => EventAction::Unpaused,
        _ => return None,
    })
}

/// Returns when it happened, and the latest moment at which it may have happened. 4.x has `Time` as
/// text; from 5.0 on there are whole seconds in `time` and nanoseconds in `timeNano`. The line
/// itself shows which podman wrote it.
fn time(line: &Value) -> Option<(SystemTime, SystemTime)> {
    if let Some(nanoseconds) = json::unsigned(line, &["timeNano"]).filter(|nanoseconds| *nanoseconds > 0) {
        let time = UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds))?;
        return Some((time, time));
    }
    let time = json::time(line, &["Time"])?;
    let whole_seconds = json::integer(line, &["Time"]).is_some();
    let rest = if whole_seconds { Duration::from_nanos(999_999_999) } else { Duration::ZERO };
    Some((time, time.checked_add(rest)?))
}

/// Returns the exit code of a death. 4.x omits code 0 (`omitempty`; recorded on 4.3.1). 5.x writes
/// 0, so a missing code is one that podman does not know. The line itself shows which podman wrote
/// it: `timeNano` came with 5.0.
fn exit_code(line: &Value) -> Option<i32> {
    match json::field(line, &["ContainerExitCode"]) {
        Some(code) => json::as_integer(code).and_then(|code| i32::try_from(code).ok()),
        None if json::field(line, &["timeNano"]).is_none() => Some(0),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(line: &str) -> Event {
        match EventLine::decode(line.as_bytes()) {
            EventLine::Told { event, .. } => event,
            other => panic!("{other:?} from {line}"),
        }
    }

    /// A line as podman 4.3.1 writes it.
    fn old(status: &str, rest: &str) -> String {
        format!(
            r#"{{{rest}"ID":"a9c7","Image":"localhost/bb","Name":"x-ev","Status":"{status}","Time":"2026-11-21T20:39:51.195265309Z","Type":"container","Attributes":{{"a":"b"}}}}"#
        )
    }

    /// A line as podman 5.4.2 writes it.
    fn new(status: &str, rest: &str) -> String {
        format!(
            r#"{{{rest}"ID":"a9c7","Name":"x-ev","Status":"{status}","time":1795293700,"timeNano":1795293700384327544,"Type":"container"}}"#
        )
    }

    #[test]
    fn both_versions_are_read() {
        let event = told(&old("died", r#""ContainerExitCode":3,"#));
        assert_eq!((event.name.as_str(), event.id.as_ref().map(AsRef::as_ref)), ("x-ev", Some("a9c7")));
        assert_eq!((event.action, event.exit_code), (EventAction::Died, Some(3)));
        assert_eq!(event.time, UNIX_EPOCH + Duration::new(1_795_293_591, 195_265_309));
        let event = told(&new("died", r#""ContainerExitCode":3,"#));
        assert_eq!((event.action, event.exit_code), (EventAction::Died, Some(3)));
        assert_eq!(event.time, UNIX_EPOCH + Duration::new(1_795_293_700, 384_327_544));
    }

    #[test]
    fn a_missing_code_is_zero_on_4_and_unknown_on_5() {
        assert_eq!(told(&old("died", "")).exit_code, Some(0));
        assert_eq!(told(&new("died", "")).exit_code, None);
        assert_eq!(told(&new("died", r#""ContainerExitCode":0,"#)).exit_code, Some(0));
        assert_eq!(told(&old("died", r#""ContainerExitCode":"137","#)).exit_code, Some(137));
    }

    #[test]
    fn a_code_belongs_to_a_death_alone() {
        // 5.4.2 repeats the code when the container is removed.
        assert_eq!(told(&new("remove", r#""ContainerExitCode":3,"#)).exit_code, None);
        assert_eq!(told(&old("start", "")).exit_code, None);
    }

    #[test]
    fn every_word_of_a_life_is_known_whatever_its_case() {
        use EventAction as A;
        for (word, action) in [
            ("create", A::Created),
            ("init", A::Initialized),
            ("START", A::Started),
            ("start", A::Started),
            ("died", A::Died),
            ("stop", A::Stopped),
            ("kill", A::Killed),
            ("remove", A::Removed),
            ("pause", A::Paused),
            ("unpause", A::Unpaused),
        ] {
            assert_eq!(told(&old(word, "")).action, action, "{word}");
        }
    }

    #[test]
    fn execs_images_and_podmans_own_business_are_dropped() {
        for word in ["exec", "exec_died", "cleanup", "attach", "mount", "rename", "health_status", ""] {
            assert_eq!(EventLine::decode(old(word, "").as_bytes()), EventLine::Other, "{word}");
        }
        let image = r#"{"ID":"a8","Name":"localhost/bb:latest","Status":"remove","Time":"2026-11-21T20:38:03Z","Type":"image","Attributes":null}"#;
        assert_eq!(EventLine::decode(image.as_bytes()), EventLine::Other);
        let system =
            r#"{"Status":"refresh","Time":"2026-11-21T20:38:02Z","Type":"system","Attributes":null}"#;
        assert_eq!(EventLine::decode(system.as_bytes()), EventLine::Other);
    }

    #[test]
    fn what_is_no_event_is_malformed() {
        for line in [
            "",
            "broken",
            "[]",
            "7",
            "\"start\"",
            "{\"Status\":\"start\",\"Type\":\"container\"}",
            "{\"Name\":\"-x\",\"Status\":\"start\",\"Time\":\"2026-11-21T20:38:02Z\"}",
            "{\"Name\":\"x\",\"Status\":\"start\",\"Time\":\"0001-01-01T00:00:00Z\"}",
            "{\"Name\":\"x\",\"Status\":\"start\",\"Time\":\"2026",
        ] {
            assert_eq!(EventLine::decode(line.as_bytes()), EventLine::Malformed, "{line}");
        }
        assert_eq!(EventLine::decode(b"{\"Name\":\"\xff\"}"), EventLine::Malformed);
    }

    #[test]
    fn whole_seconds_may_mean_any_moment_of_the_second() {
        let line = br#"{"Name":"x","Status":"start","Type":"container","time":"1795293700"}"#;
        let EventLine::Told { event, latest } = EventLine::decode(line) else { panic!("an event") };
        assert_eq!(event.time, UNIX_EPOCH + Duration::from_secs(1_795_293_700));
        assert!(latest > event.time && latest < event.time + Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = EventLine::decode(&bytes);
        }

        #[test]
        fn no_value_makes_the_reader_panic(name in "\\PC{0,20}", time in any::<u64>(), code in any::<i64>()) {
            let line = serde_json::json!({
                "Name": name, "Status": "died", "timeNano": time, "time": code, "ContainerExitCode": code,
            });
            let _ = EventLine::decode(line.to_string().as_bytes());
        }
    }
}
