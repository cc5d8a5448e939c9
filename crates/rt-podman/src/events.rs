//! Events in the lives of containers, by `podman events`; what one line tells stands in `event_line`.

pub(crate) mod line;

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rt_process::{ExitStatus, Line, LineStream};
use rt_protocol::{
    Error, ErrorKind, Event, EventOptions, EventStream, NamePrefix, OutputStream, Pull, Result, Until,
};

use crate::cli::answer;
use crate::cli::engine::{Engine, process_error};
use crate::cli::failure;
use line::EventLine;

const OPERATION: &str = "watch events";

/// The longest line: an event carries all labels of its container.
const LONGEST_LINE: usize = 16 << 20;

/// How much of podman's complaints is kept for the error, in bytes.
const COMPLAINTS: usize = 64 << 10;

/// How many lines that are nobody's business a pull whose limit is over still drops while they come without waiting.
const DROPPED_AFTER_THE_END: usize = 1000;

/// How far the times of lines may be out of order: each process of podman's takes the time before it waits for the log.
const CLOSE: Duration = Duration::from_secs(1);

/// How often in a row podman may end its stream without a new line before that is an error.
const MOST_FRUITLESS: u32 = 5;

/// How many lines are known again when podman tells them twice. Its log has a megabyte unless somebody wants more, and no
/// line is shorter than a hundred bytes.
const REMEMBERED: usize = 64 << 10;

/// Events from a `podman events` that is running.
///
/// The subscription stands from the moment it is made: podman is always given a time to begin at (`--since`), so it
/// reads its log from there and then goes on, and what happens while it is starting is not missed. Its log decides by
/// its own clock; a podman on another machine whose clock is behind this one's tells nothing of the difference.
///
/// podman's `--since` is inclusive or not by version and event log, so it is asked for a second more, and what is older
/// than asked for is dropped here. An event of exactly the asked-for time is told: resuming at the time of the last event
/// tells that event again and misses none.
///
/// podman 4.3 ends its stream with exit code 0 when the file of its log is rotated, and for filters that it cannot read.
/// The stream then goes on here: podman is asked again, since the last line, and what comes up to
/// that line was told before. A line from after it that comes before it says that the log was cut too far; that, an end
/// with a reason or by a signal, and one that comes again and again, is an error. podman 5 goes on by itself, and may then
/// tell the younger half of its log twice; each line is an event once. With `events_logger = "none"` the error says so.
#[derive(Debug)]
pub struct PodmanEventStream {
    engine: Engine,
    lines: LineStream,
    prefix: Option<NamePrefix>,
    since: SystemTime,
    /// The last line of podman's that has a time, and that time.
    last: Option<(Vec<u8>, SystemTime)>,
    told: Told,
    /// Whether lines are read again, up to the last one.
    resumes: bool,
    /// How often podman has ended its stream since it last gave a new line.
    fruitless: u32,
    complaints: String,
    /// Whether a signal made podman leave, which 4.3 does with exit code 0.
    was_made_to_leave: bool,
    ended: bool,
}

impl PodmanEventStream {
    pub(crate) fn open(engine: &Engine, options: &EventOptions) -> Result<Self> {
        let since = options.since.unwrap_or_else(SystemTime::now);
        Ok(Self {
            engine: engine.clone(),
            lines: subscribe(engine, since)?,
            prefix: options.prefix.clone(),
            since,
            last: None,
            told: Told::default(),
            resumes: false,
            fruitless: 0,
            complaints: String::new(),
            was_made_to_leave: false,
            ended: false,
        })
    }

    /// Whether a line was told before: podman was asked again, or has read a log that was rotated again.
    fn is_known(&mut self, line: &[u8]) -> Result<bool> {
        let Some(time) = serde_json::from_slice(line).ok().and_then(|line| line::time(&line)) else {
            return Ok(self.resumes);
        };
        if self.resumes
            && let Some((last, last_time)) = &self.last
        {
            if last == line {
                self.resumes = false;
            } else if time.0 > *last_time + CLOSE {
                let message = "podman's log of events was cut before all of it was read";
                return Err(Error::new(ErrorKind::Incomplete, OPERATION, message)
                    .with_hint("look at what is there now, and subscribe again"));
            }
            return Ok(true);
        }
        if !self.told.insert(line) {
            return Ok(true);
        }
        self.fruitless = 0;
        self.last = Some((line.to_vec(), time.0));
        Ok(false)
    }

    /// Goes on after podman has ended its stream without a reason.
    fn resume(&mut self) -> Result<()> {
        let succeeded = self.lines.status().is_some_and(ExitStatus::success);
        if !succeeded
            || self.was_made_to_leave
            || !self.complaints.trim().is_empty()
            || self.fruitless == MOST_FRUITLESS
        {
            return Err(self.verdict());
        }
        self.fruitless += 1;
        self.resumes = self.last.is_some();
        let since = self.last.as_ref().map_or(self.since, |(_, time)| *time);
        self.lines = subscribe(&self.engine, since)?;
        Ok(())
    }

    /// The event that a line tells, if it is one that was asked for.
    fn wanted(&mut self, line: &Line) -> Option<Event> {
        if line.stream == OutputStream::Stderr {
            self.complain(&line.bytes);
            return None;
        }
        match EventLine::decode(&line.bytes) {
            EventLine::Told { event, latest } => (latest >= self.since
                && self.prefix.as_ref().is_none_or(|prefix| prefix.matches(&event.name)))
            .then_some(event),
            EventLine::Other => None,
            EventLine::Malformed => {
                // The line may hold labels, which are the caller's; only its length is told.
                tracing::debug!(operation = OPERATION, bytes = line.bytes.len(), "an odd line is dropped");
                None
            }
        }
    }

    fn advance(&mut self, until: &Until) -> Result<Pull<Event>> {
        let mut left = DROPPED_AFTER_THE_END;
        loop {
            match self.lines.pull(until).map_err(|error| process_error(OPERATION, error))? {
                Pull::Item(line) => {
                    let is_event = line.stream == OutputStream::Stdout;
                    let is_known = is_event && self.is_known(&line.bytes)?;
                    if !is_known && let Some(event) = self.wanted(&line) {
                        return Ok(Pull::Item(event));
                    }
                    if until.check().is_err() {
                        left -= 1;
                        if left == 0 {
                            return Ok(Pull::Pending);
                        }
                    }
                }
                Pull::Pending => return Ok(Pull::Pending),
                Pull::End => {
                    self.resume()?;
                    // What happens meanwhile is in podman's log.
                    if until.check().is_err() {
                        return Ok(Pull::Pending);
                    }
                }
            }
        }
    }

    fn complain(&mut self, bytes: &[u8]) {
        let line = String::from_utf8_lossy(bytes);
        if answer::is_farewell(&line) {
            self.was_made_to_leave = true;
        } else if answer::is_information(&line) {
            return;
        }
        if self.complaints.len() + bytes.len() < COMPLAINTS {
            self.complaints.push_str(&String::from_utf8_lossy(bytes));
            self.complaints.push('\n');
        }
    }

    /// What a stream that ended by itself is.
    fn verdict(&self) -> Error {
        let status = self
            .lines
            .status()
            .map_or_else(|| String::from("an unknown status"), |status| status.to_string());
        if let Some(failure) = failure::classify(&self.complaints) {
            return failure.error(OPERATION, &self.complaints);
        }
        let said = if self.complaints.trim().is_empty() {
            String::from("without a word")
        } else {
            format!("and said: {}", failure::shown(&self.complaints))
        };
        Error::new(
            ErrorKind::BackendFailed,
            OPERATION,
            format!("podman ended its events with {status} {said}"),
        )
        .with_hint("subscribe again, since the time of the last event that was told")
    }
}

/// The lines that were told last, by their digests. Lines have nanoseconds and an id, so that no two events are told by the
/// same line; the order of their times decides nothing, for clocks are set back.
#[derive(Debug, Default)]
struct Told {
    lines: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Told {
    /// Whether the line is new.
    fn insert(&mut self, line: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        let digest = hasher.finish();
        if !self.lines.insert(digest) {
            return false;
        }
        self.order.push_back(digest);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.lines.remove(&oldest);
        }
        true
    }
}

impl EventStream for PodmanEventStream {
    fn pull(&mut self, until: &Until) -> Result<Pull<Event>> {
        if self.ended {
            return Ok(Pull::End);
        }
        let answer = self.advance(until);
        if answer.is_err() {
            self.close()?;
        }
        answer
    }

    fn close(&mut self) -> Result<()> {
        self.ended = true;
        self.lines.close();
        Ok(())
    }
}

fn subscribe(engine: &Engine, since: SystemTime) -> Result<LineStream> {
    let seconds = since.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let args = [
        String::from("events"),
        String::from("--format=json"),
        String::from("--filter=type=container"),
        format!("--since={}", seconds.saturating_sub(1)),
    ];
    LineStream::spawn(&engine.call(args).spec, LONGEST_LINE).map_err(|error| process_error(OPERATION, error))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use rt_protocol::{CancelToken, EventAction, RuntimeId, TimeLimits};

    use super::*;

    /// A stream over a shell that plays podman; `script` is what it does.
    fn played(script: &str, options: &EventOptions) -> PodmanEventStream {
        let args = vec!["-c".into(), script.into(), "podman".into()];
        let id = RuntimeId::new("test");
        let engine = Engine::new(id, OsStr::new("sh"), args, Vec::new(), TimeLimits::DEFAULT).unwrap();
        PodmanEventStream::open(&engine, options).unwrap()
    }

    const LIFE: &str = r#"cat <<'.'
{"Name":"a-1","Status":"start","Time":"2026-11-21T20:39:50.9Z","Type":"container"}
{"Name":"a-1","Status":"exec","Time":"2026-11-21T20:39:51.5Z","Type":"container"}
not JSON
{"Name":"a-2","Status":"start","Time":"2026-11-21T20:39:52Z","Type":"container"}
{"Name":"a2-2","Status":"start","Time":"2026-11-21T20:39:52Z","Type":"container"}
{"Name":"a-2","Status":"died","Time":"2026-11-21T20:39:53Z","Type":"container"}
.
"#;

    /// 2026-11-21T20:39:51Z
    fn since() -> EventOptions {
        EventOptions::new()
            .prefix(NamePrefix::new("a").unwrap())
            .since(UNIX_EPOCH + Duration::from_secs(1_795_293_591))
    }

    fn soon() -> Until {
        Until::after(Duration::from_secs(20))
    }

    fn event(stream: &mut PodmanEventStream) -> Event {
        match stream.pull(&soon()).unwrap() {
            Pull::Item(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_was_asked_for_is_told_and_a_silent_end_is_an_error() {
        let mut stream = played(LIFE, &since());
        let first = event(&mut stream);
        assert_eq!((first.name.as_str(), first.action), ("a-2", EventAction::Started));
        let second = event(&mut stream);
        assert_eq!((second.action, second.exit_code), (EventAction::Died, Some(0)));
        let error = stream.pull(&soon()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendFailed);
        assert!(error.to_string().contains("exit code 0 without a word"), "{error}");
        assert_eq!(stream.pull(&soon()).unwrap(), Pull::End);
    }

    /// Plays a log that is rotated: the first call prints `first`, the second one `second` and goes on.
    fn rotated(first: &str, second: &str) -> (PodmanEventStream, tempfile::TempDir) {
        let place = tempfile::tempdir().unwrap();
        let script = format!(
            "cd '{}'; if mkdir once 2>/dev/null; then printf '{first}'; else printf '{second}'; exec sleep 1000; fi",
            place.path().display()
        );
        (played(&script, &EventOptions::new().since(UNIX_EPOCH)), place)
    }

    fn line(name: &str, second: u32) -> String {
        format!(
            r#"{{"Name":"{name}","Status":"start","Time":"2026-11-21T20:39:{second:02}Z","Type":"container"}}\n"#
        )
    }

    #[test]
    fn a_stream_goes_on_after_podman_has_ended_its_own() {
        let lines: String = [("a", 1), ("b", 2), ("c", 2)].map(|(name, second)| line(name, second)).concat();
        let (mut stream, _place) = rotated(&lines, &format!("{lines}{}", line("d", 2)));
        let names: Vec<_> = (0..4).map(|_| event(&mut stream).name.to_string()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert_eq!(stream.pull(&Until::after(Duration::from_millis(50))).unwrap(), Pull::Pending);
        // Nothing was there before; and the older half is gone.
        let (mut stream, _place) = rotated("", &line("d", 2));
        assert_eq!(event(&mut stream).name.as_str(), "d");
        let (mut stream, _place) = rotated(&lines, &[line("c", 2), line("d", 9)].concat());
        let names: Vec<_> = (0..4).map(|_| event(&mut stream).name.to_string()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
    }

    #[test]
    fn what_podman_tells_twice_is_told_once() {
        // As podman 5.4 does: all, then the younger half of the rotated log again, then what is new, with a clock that
        // was set back between.
        let all: String = [("a", 10), ("b", 20), ("c", 30)].map(|(name, second)| line(name, second)).concat();
        let half = [line("b", 20), line("c", 30)].concat();
        let script = format!("printf '{all}{half}{}{half}{}'; exec sleep 1000", line("d", 5), line("e", 40));
        let mut stream = played(&script, &EventOptions::new().since(UNIX_EPOCH));
        let names: Vec<_> = (0..5).map(|_| event(&mut stream).name.to_string()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        assert_eq!(stream.pull(&Until::after(Duration::from_millis(50))).unwrap(), Pull::Pending);
    }

    #[test]
    fn the_oldest_lines_are_forgotten_first() {
        let mut told = Told::default();
        let number = |number: usize| number.to_string().into_bytes();
        assert!((0..=REMEMBERED).all(|one| told.insert(&number(one))));
        assert_eq!((told.lines.len(), told.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!told.insert(&number(1)) && !told.insert(&number(REMEMBERED)));
        assert!(told.insert(&number(0)));
    }

    #[test]
    fn a_log_that_was_cut_too_far_is_an_error() {
        let (mut stream, _place) = rotated(&line("a", 1), &line("d", 9));
        assert_eq!(event(&mut stream).name.as_str(), "a");
        assert_eq!(stream.pull(&soon()).unwrap_err().kind(), ErrorKind::Incomplete);
        assert_eq!(stream.pull(&soon()).unwrap(), Pull::End);
    }

    #[test]
    fn podmans_own_words_are_in_the_error() {
        let script = r#"echo 'time="x" level=warning' >&2; echo 'Error: cannot read events with the "none" backend' >&2; exit 125"#;
        let error = played(script, &EventOptions::new()).pull(&soon()).unwrap_err();
        assert!(error.to_string().contains("cannot read events with the"), "{error}");
        let error = played("kill -9 $$", &EventOptions::new()).pull(&soon()).unwrap_err();
        assert!(error.to_string().contains("killed by signal 9"), "{error}");
    }

    #[test]
    fn podman_is_asked_for_a_second_more_and_for_containers_alone() {
        let script = r#"echo "Error: $*" >&2; exit 1"#;
        let error = played(script, &since()).pull(&soon()).unwrap_err();
        assert_eq!(
            error.message(),
            "events --log-level=info --format=json --filter=type=container --since=1795293590"
        );
    }

    #[test]
    fn a_pull_ends_in_a_flood_of_lines_that_are_nobodys_business() {
        let script =
            r#"yes '{"Name":"a-1","Status":"exec","Time":"2026-11-21T20:39:51.5Z","Type":"container"}'"#;
        let mut stream = played(script, &since());
        assert_eq!(stream.pull(&Until::after(Duration::from_millis(50))).unwrap(), Pull::Pending);
        assert_eq!(stream.pull(&Until::after(Duration::ZERO)).unwrap(), Pull::Pending);
        stream.close().unwrap();
        stream.close().unwrap();
        assert_eq!(stream.pull(&soon()).unwrap(), Pull::End);
    }

    #[test]
    fn another_thread_ends_a_pull_by_its_token() {
        let mut stream = played("sleep 1000", &EventOptions::new());
        let token = CancelToken::new();
        let until = Until::cancelled(&token);
        let pulled = std::thread::scope(|scope| {
            let puller = scope.spawn(|| stream.pull(&until));
            token.cancel();
            puller.join().unwrap()
        });
        assert_eq!(pulled.unwrap(), Pull::Pending);
    }
}
