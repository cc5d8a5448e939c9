//! Events in the lives of containers, by `podman events`. `events/line` decodes one line.

mod known_lines;
pub(crate) mod line;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rt_process::{ExitStatus, LineStream};
use rt_protocol::{
    Error, ErrorKind, Event, EventOptions, NamePrefix, OutputStream, Pull, PullStream, Result, Until,
};

use crate::cli::answer;
use crate::cli::engine::{Engine, process_error};
use crate::cli::failure;
use known_lines::{Known, KnownLines};
use line::EventLine;

const OPERATION: &str = "watch events";

/// The longest line: an event contains all labels of its container.
const LONGEST_LINE: usize = 16 << 20;

/// How much of podman's stderr is kept for the error, in bytes.
const COMPLAINTS: usize = 64 << 10;

/// How many irrelevant lines a pull still skips after its limit, if they come without waiting.
const DROPPED_AFTER_THE_END: usize = 1000;

/// How often in a row podman may end its stream without a new line before that is an error.
const MOST_FRUITLESS: u32 = 5;

/// How far before the requested time podman's log is read if it is a journal of months. If a clock
/// was set back by up to this much, no event is lost.
const SLACK: Duration = Duration::from_secs(25 * 3600);

/// Events from a running `podman events`.
///
/// No clock decides what is new, because clocks are set, and podman may be on another machine. When
/// the stream is opened, podman's log is read to its end. Later lines are returned whatever their
/// time. Of earlier ones, the stream returns those since the requested time, and those that follow
/// an event of exactly that time. So if a caller resumes at the time of the last event, it gets
/// that event again and misses none.
///
/// A log in a file is read from its beginning. A log in a journal is read from 25 hours before the
/// requested time: events that podman writes after its clock was set back by more than that are not
/// returned.
///
/// podman 4.3 ends its stream with exit code 0 when its log file is rotated, and for filters that
/// it cannot parse. The stream then continues here: podman is started again, and known lines are
/// skipped. These are errors: a new line before the last known one (the log was cut too far), an
/// end with a reason or by a signal, and an end that happens again and again.
///
/// podman 5 continues by itself, and may then repeat the younger half of its log; each line is one
/// event. With 5.4.2, an event that is written while a log file is rotated can be missing, as the
/// live suite shows; why is not known yet. With `events_logger = "none"` the stream cannot be
/// opened.
#[derive(Debug)]
pub struct PodmanEventStream {
    engine: Engine,
    lines: LineStream,
    prefix: Option<NamePrefix>,
    since: Option<SystemTime>,
    /// The value of podman's `--since`.
    back_to: String,
    known: KnownLines,
    /// The line before all new lines of this reading.
    unread: Option<u64>,
    /// The last line from podman.
    last: Option<u64>,
    /// Whether an event of exactly the requested time has come.
    is_at_since: bool,
    /// How often podman has ended its stream since its last new line.
    fruitless: u32,
    complaints: Complaints,
    ended: bool,
}

impl PodmanEventStream {
    pub(crate) fn open(
        engine: &Engine,
        logger: Option<&str>,
        options: &EventOptions,
        until: &Until,
    ) -> Result<Self> {
        until.check().map_err(|stop| Error::stopped(stop, OPERATION))?;
        let now = SystemTime::now();
        let begin = options.since.map_or(now, |since| since.min(now)).checked_sub(SLACK);
        let begin =
            begin.filter(|_| logger != Some("file")).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let back_to = begin.map_or(1, |begin| begin.as_secs().max(1)).to_string();
        let known = read(engine, &back_to, until)?;
        let last = known.last();
        Ok(Self {
            engine: engine.clone(),
            lines: subscribe(engine, &back_to, true)?,
            prefix: options.prefix.clone(),
            since: options.since,
            back_to,
            known,
            unread: last,
            last,
            is_at_since: false,
            fruitless: 0,
            complaints: Complaints::default(),
            ended: false,
        })
    }

    /// Continues after podman has ended its stream without a reason.
    fn resume(&mut self) -> Result<()> {
        let status = self.lines.status();
        if !self.complaints.are_none()
            || !status.is_some_and(ExitStatus::success)
            || self.fruitless == MOST_FRUITLESS
        {
            return Err(self.complaints.verdict(status));
        }
        self.fruitless += 1;
        self.unread = self.last;
        self.lines = subscribe(&self.engine, &self.back_to, true)?;
        Ok(())
    }

    /// Returns the event of a line, if it was requested and not returned before.
    fn wanted(&mut self, line: &[u8]) -> Result<Option<Event>> {
        let (digest, was) = self.known.meet(line);
        if self.unread == Some(digest) {
            self.unread = None;
        }
        match was {
            Known::Told => return Ok(None),
            Known::Before if self.since.is_none() => return Ok(None),
            Known::Before => {}
            Known::New if self.unread.is_some() => {
                let message = "podman's log of events was cut before all of it was read";
                return Err(Error::new(ErrorKind::Incomplete, OPERATION, message)
                    .with_hint("look at what is there now, and subscribe again"));
            }
            Known::New => {
                self.fruitless = 0;
                self.last = Some(digest);
            }
        }
        let (event, latest) = match EventLine::decode(line) {
            EventLine::Told { event, latest } => (event, latest),
            EventLine::Other => return Ok(None),
            EventLine::Malformed => {
                // The line may contain labels, which are the caller's; only its length is logged.
                tracing::debug!(operation = OPERATION, bytes = line.len(), "an odd line is dropped");
                return Ok(None);
            }
        };
        self.is_at_since |= was == Known::Before && self.since == Some(event.time);
        let is_asked =
            was == Known::New || self.is_at_since || self.since.is_some_and(|since| latest >= since);
        Ok(Some(event).filter(|event| {
            is_asked && self.prefix.as_ref().is_none_or(|prefix| prefix.matches(&event.name))
        }))
    }

    fn advance(&mut self, until: &Until) -> Result<Pull<Event>> {
        let mut left = DROPPED_AFTER_THE_END;
        loop {
            match self.lines.pull(until).map_err(|error| process_error(OPERATION, error))? {
                Pull::Item(line) => {
                    if line.stream == OutputStream::Stderr {
                        self.complaints.add(&line.bytes);
                    } else if let Some(event) = self.wanted(&line.bytes)? {
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
                    // Events that happen meanwhile are in podman's log.
                    if until.check().is_err() {
                        return Ok(Pull::Pending);
                    }
                }
            }
        }
    }
}

/// podman's stderr beside the events.
#[derive(Debug, Default)]
struct Complaints {
    text: String,
    /// Whether a signal made podman exit, which 4.3 does with exit code 0.
    was_made_to_leave: bool,
}

impl Complaints {
    fn add(&mut self, bytes: &[u8]) {
        let line = String::from_utf8_lossy(bytes);
        if answer::is_farewell(&line) {
            self.was_made_to_leave = true;
        } else if answer::is_information(&line) {
            return;
        }
        if self.text.len() + bytes.len() < COMPLAINTS {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    fn are_none(&self) -> bool {
        !self.was_made_to_leave && self.text.trim().is_empty()
    }

    /// Builds the error for a stream that ended by itself.
    fn verdict(&self, status: Option<ExitStatus>) -> Error {
        if let Some(failure) = failure::classify(&self.text) {
            return failure.error(OPERATION, &self.text);
        }
        let status = status.map_or_else(|| String::from("an unknown status"), |status| status.to_string());
        let said = if self.text.trim().is_empty() {
            String::from("without a word")
        } else {
            format!("and said: {}", failure::shown(&self.text))
        };
        Error::new(
            ErrorKind::BackendFailed,
            OPERATION,
            format!("podman ended its events with {status} {said}"),
        )
        .with_hint("subscribe again, since the time of the last event that was told")
    }
}

/// Reads podman's log to its end.
fn read(engine: &Engine, back_to: &str, until: &Until) -> Result<KnownLines> {
    let mut known = KnownLines::default();
    let mut complaints = Complaints::default();
    let mut lines = subscribe(engine, back_to, false)?;
    let bounded = until.clone().or_default(engine.limits.info);
    loop {
        match lines.pull(&bounded).map_err(|error| process_error(OPERATION, error))? {
            Pull::Item(line) if line.stream == OutputStream::Stderr => complaints.add(&line.bytes),
            Pull::Item(line) => known.add(&line.bytes),
            Pull::Pending => {
                until.check().map_err(|stop| Error::stopped(stop, OPERATION))?;
                let limit = engine.limits.info.as_secs_f32();
                let message = format!("podman did not give its log of events within {limit} s");
                return Err(Error::new(ErrorKind::BackendUnresponsive, OPERATION, message));
            }
            Pull::End => break,
        }
    }
    if complaints.was_made_to_leave || !lines.status().is_some_and(ExitStatus::success) {
        return Err(complaints.verdict(lines.status()));
    }
    Ok(known)
}

impl PullStream<Event> for PodmanEventStream {
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

/// Starts `podman events` from the beginning of its log: to its end, or following it.
fn subscribe(engine: &Engine, back_to: &str, streams: bool) -> Result<LineStream> {
    let args = [
        String::from("events"),
        String::from("--format=json"),
        String::from("--filter=type=container"),
        format!("--since={back_to}"),
        format!("--stream={streams}"),
    ];
    LineStream::spawn(&engine.call(args).spec, LONGEST_LINE).map_err(|error| process_error(OPERATION, error))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use rt_protocol::{CancelToken, EventAction, RuntimeId, TimeLimits};

    use super::*;

    /// A stream over a shell that imitates podman with `script`.
    fn opened(script: &str, options: &EventOptions) -> Result<PodmanEventStream> {
        let args = vec!["-c".into(), script.into(), "podman".into()];
        let id = RuntimeId::new("test");
        let engine = Engine::new(id, OsStr::new("sh"), args, Vec::new(), TimeLimits::DEFAULT).unwrap();
        PodmanEventStream::open(&engine, Some("file"), options, &Until::forever())
    }

    /// A stream that finds `before` in the log when it is opened; podman then runs `script`.
    fn played_after(before: &str, script: &str, options: &EventOptions) -> PodmanEventStream {
        let script = format!("case $* in *=false) printf '{before}'; exit ;; esac; {script}");
        opened(&script, options).unwrap()
    }

    fn played(script: &str, options: &EventOptions) -> PodmanEventStream {
        played_after("", script, options)
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
        let mut stream = opened(LIFE, &since()).unwrap();
        let first = event(&mut stream);
        assert_eq!((first.name.as_str(), first.action), ("a-2", EventAction::Started));
        let second = event(&mut stream);
        assert_eq!((second.action, second.exit_code), (EventAction::Died, Some(0)));
        let error = stream.pull(&soon()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendFailed);
        assert!(error.to_string().contains("exit code 0 without a word"), "{error}");
        assert_eq!(stream.pull(&soon()).unwrap(), Pull::End);
    }

    /// Imitates a log that is rotated: the first call prints `first`, the second one `second`, and
    /// continues.
    fn rotated(first: &str, second: &str) -> (PodmanEventStream, tempfile::TempDir) {
        let place = tempfile::tempdir().unwrap();
        let script = format!(
            "cd '{}'; if mkdir once 2>/dev/null; then printf '{first}'; else printf '{second}'; exec sleep 1000; fi",
            place.path().display()
        );
        (played(&script, &EventOptions::new()), place)
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
        // Nothing was there before, and the older half is gone.
        let (mut stream, _place) = rotated("", &line("d", 2));
        assert_eq!(event(&mut stream).name.as_str(), "d");
        let (mut stream, _place) = rotated(&lines, &[line("c", 2), line("d", 9)].concat());
        let names: Vec<_> = (0..4).map(|_| event(&mut stream).name.to_string()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
    }

    #[test]
    fn what_podman_tells_twice_is_told_once() {
        // As podman 5.4 does: everything, then the younger half of the rotated log again, then new
        // events, with a clock that was set back in between.
        let all: String = [("a", 10), ("b", 20), ("c", 30)].map(|(name, second)| line(name, second)).concat();
        let half = [line("b", 20), line("c", 30)].concat();
        let script = format!("printf '{all}{half}{}{half}{}'; exec sleep 1000", line("d", 5), line("e", 40));
        let mut stream = played(&script, &EventOptions::new());
        let names: Vec<_> = (0..5).map(|_| event(&mut stream).name.to_string()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        assert_eq!(stream.pull(&Until::after(Duration::from_millis(50))).unwrap(), Pull::Pending);
    }

    #[test]
    fn no_clock_decides_what_is_new() {
        let before = [line("a", 30), line("b", 40), line("c", 20)].concat();
        let script = |new: &str| format!("printf '{before}{new}'; exec sleep 1000");
        let new = [line("d", 1), line("e", 59), line("f", 2)].concat();
        let time = |second: u64| UNIX_EPOCH + Duration::from_secs(1_795_293_540 + second);
        for (since, names) in [
            (None, &["d", "e", "f"][..]),
            (Some(time(100)), &["d", "e", "f"]),
            // The clock was set back after this event.
            (Some(time(40)), &["b", "c", "d", "e", "f"]),
            (Some(time(29)), &["a", "b", "d", "e", "f"]),
        ] {
            let options = since.map_or(EventOptions::new(), |since| EventOptions::new().since(since));
            let mut stream = played_after(&before, &script(&new), &options);
            let told: Vec<_> = names.iter().map(|_| event(&mut stream).name.to_string()).collect();
            assert_eq!(told, names);
            assert_eq!(stream.pull(&Until::after(Duration::from_millis(50))).unwrap(), Pull::Pending);
        }
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
        let pulled = played(script, &EventOptions::new()).pull(&soon()).unwrap_err();
        for error in [opened(script, &EventOptions::new()).unwrap_err(), pulled] {
            assert!(error.to_string().contains("cannot read events with the"), "{error}");
        }
        let error = played("kill -9 $$", &EventOptions::new()).pull(&soon()).unwrap_err();
        assert!(error.to_string().contains("killed by signal 9"), "{error}");
    }

    #[test]
    fn a_journal_is_read_from_a_day_before() {
        let back_to = |logger: Option<&str>, options: &EventOptions| {
            let args = vec!["-c".into(), r#"echo "Error: $*" >&2; exit 1"#.into(), "podman".into()];
            let id = RuntimeId::new("test");
            let engine = Engine::new(id, OsStr::new("sh"), args, Vec::new(), TimeLimits::DEFAULT).unwrap();
            let error = PodmanEventStream::open(&engine, logger, options, &Until::forever()).unwrap_err();
            let words = "events --log-level=info --format=json --filter=type=container --since=";
            let (time, rest) = error.message().strip_prefix(words).unwrap().split_once(' ').unwrap();
            assert_eq!(rest, "--stream=false");
            time.parse::<u64>().unwrap()
        };
        assert_eq!(back_to(Some("file"), &since()), 1);
        assert_eq!(back_to(Some("journald"), &since()), 1_795_293_591 - 25 * 3600);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(back_to(None, &EventOptions::new()).abs_diff(now - 25 * 3600) < 60);
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
