//! The log of a container, read in the way that loses no line silently.
//!
//! `podman logs` is complete without `--follow`. With it, podman stops shortly after the container,
//! even with unread lines, and drops lines on the way (of 60,000 lines, 10,897 to 53,705 were left
//! on 4.3.1 and 5.4.2). So the log is read from its file. Without a readable file, a container that
//! does not run is not followed. For a running one, the output of podman's own follower is compared
//! with a second reading. So is every reading by podman 4, which exits with 0 on TERM, whatever it
//! has read.

pub(crate) mod driver;
pub(crate) mod file;
pub(crate) mod own_line;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod timestamp;
pub(crate) mod timestamps;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::SystemTime;

use rt_protocol::{ContainerState, Error, ErrorKind, LogLine, LogOptions, Pull, PullStream, Result, Until};

use crate::cli::answer;
use crate::state::inspect::Inspected;
use crate::state::main_process::MainProcess;
use crate::state::target::Target;
use driver::LogDriver;
use file::LogFile;
use own_line::OPERATION;
use reader::LogReader;

/// Lines of a container's log.
#[derive(Debug)]
pub struct PodmanLogStream {
    container: Target,
    /// The container, in podman's words.
    target: String,
    is_terminal: bool,
    /// Whether podman did not know the container when the log was opened.
    is_absent: bool,
    options: LogOptions,
    /// The run that is followed: its conmon and its start.
    run: Option<Run>,
    /// Whether that run went on when podman's follower ended.
    was_cut: bool,
    /// The main process of a run whose log file is followed: if conmon is killed, the log ends
    /// before it.
    main: Option<MainProcess>,
    /// What explains a log without a line.
    driver: LogDriver,
    reading: Reading,
}

type Run = (Option<u32>, Option<SystemTime>);

#[derive(Debug)]
enum Reading {
    /// One complete reading, or an error.
    Once(Box<LogReader>),
    File(Box<LogFile>),
    /// podman's own follower, or a reader that may end too early, and a tally of its lines so far.
    Compared(Box<LogReader>, Tally),
    /// The reading after it, compared with its lines.
    Again {
        reader: Box<LogReader>,
        again: Tally,
        said: Tally,
    },
    Ended,
}

/// The number of lines of stdout and of stderr, and a digest of their content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    counts: [u64; 2],
    digests: [u64; 2],
}

impl PodmanLogStream {
    pub(crate) fn open(container: &Target, options: &LogOptions, until: &Until) -> Result<Self> {
        let limit = container.engine().limits.read;
        let (found, is_known) = match container.inspect_as(OPERATION, limit, false, until) {
            Ok(found) => (found, true),
            // The log itself may be readable all the same.
            Err(error) if matches!(error.kind(), ErrorKind::BackendFailed | ErrorKind::InvalidResponse) => {
                tracing::debug!(operation = OPERATION, %error, "it is not known how the container logs");
                (None, false)
            }
            Err(error) => return Err(error),
        };
        let driver = found.as_ref().map(LogDriver::of).unwrap_or_default();
        driver.refuse()?;
        let target = container.id_or_name(until)?;
        let is_absent = is_known && found.is_none();
        let is_terminal = found.as_ref().is_some_and(|found| found.is_terminal);
        let main = found.as_ref().filter(|_| options.follow).and_then(main_process);
        let file = found.as_ref().and_then(|found| {
            // After a container has just ended, conmon may still write the last lines.
            let followed = if options.follow { LogFile::follow(found, options) } else { None };
            let has_no_writer = main.is_some() && found.has_lost_conmon();
            let is_whole = !options.follow || !may_write(&found.info.state) || has_no_writer;
            followed.or_else(|| if is_whole { LogFile::read(found, options) } else { None })
        });
        let still_running = found.as_ref().map_or(!is_known, |found| may_write(&found.info.state));
        let container = container.clone();
        let mut stream = Self {
            container,
            target,
            is_terminal,
            is_absent,
            options: options.clone(),
            run: found.as_ref().and_then(run),
            was_cut: false,
            main,
            driver,
            reading: Reading::Ended,
        };
        stream.reading = match file {
            Some(file) => Reading::File(Box::new(file)),
            None if options.follow && still_running => {
                Reading::Compared(stream.reader(options)?, Tally::default())
            }
            None => {
                stream.options.follow = false;
                let reader = stream.reader(&stream.options)?;
                // The end of a log that grows is not the same twice.
                let can_compare = options.tail.is_none() || !still_running;
                let tells = || {
                    let profile = stream.container.state().profile(until);
                    profile.is_ok_and(|profile| profile.version.major >= 5)
                };
                if can_compare && !tells() {
                    Reading::Compared(reader, Tally::default())
                } else {
                    Reading::Once(reader)
                }
            }
        };
        Ok(stream)
    }

    fn reader(&self, options: &LogOptions) -> Result<Box<LogReader>> {
        Ok(Box::new(LogReader::open(&self.container, &self.target, options, self.is_terminal)?))
    }

    fn advance(&mut self, until: &Until) -> Result<Pull<LogLine>> {
        loop {
            let pulled = match &mut self.reading {
                Reading::Once(reader) | Reading::Compared(reader, _) | Reading::Again { reader, .. } => {
                    reader.pull(until)?
                }
                Reading::File(file) => file.pull(until)?,
                Reading::Ended => Pull::End,
            };
            match (&mut self.reading, pulled) {
                (Reading::Compared(_, said), Pull::Item(line)) => {
                    said.add(&line);
                    return Ok(Pull::Item(line));
                }
                (Reading::Compared(_, said), Pull::End) => {
                    let (said, mut options) = (said.clone(), self.options.clone());
                    if options.follow && self.run.is_some() {
                        let limit = self.container.engine().limits.read;
                        let found = self.container.inspect_as(OPERATION, limit, false, &Until::forever())?;
                        self.was_cut = found.as_ref().and_then(run) == self.run;
                    }
                    options.follow = false;
                    // It is not known any more where the tail began, so the last lines are
                    // compared, as many as there were.
                    options.tail = options.tail.map(|_| (said.counts[0] + said.counts[1]).max(1));
                    self.reading =
                        Reading::Again { reader: self.reader(&options)?, again: Tally::default(), said };
                }
                (Reading::Again { again, said, .. }, Pull::Item(line)) => {
                    if !again.has_all_of(said, &line) {
                        again.add(&line);
                        if again.has_all_of(said, &line) && !again.agrees_with(said, &line) {
                            return Err(differs());
                        }
                    } else if self.options.tail.is_none() {
                        return Ok(Pull::Item(line));
                    } else {
                        return Err(differs());
                    }
                }
                (Reading::Again { again, said, .. }, Pull::End) if again != said => return Err(differs()),
                (Reading::Again { .. }, Pull::End) if self.was_cut => {
                    let message = "podman's follower has ended, and the container runs";
                    return Err(answer::interrupted(OPERATION, message));
                }
                (Reading::File(_), Pull::End) if self.main.as_ref().is_some_and(|main| !main.is_over()) => {
                    let message = "conmon, which writes it, has ended, and the container runs";
                    return Err(answer::interrupted(OPERATION, message));
                }
                (_, other) => return Ok(other),
            }
        }
    }
}

impl PullStream<LogLine> for PodmanLogStream {
    fn pull(&mut self, until: &Until) -> Result<Pull<LogLine>> {
        let has_ended = matches!(self.reading, Reading::Ended);
        let answer = match self.advance(until) {
            Ok(Pull::End) if !has_ended => self.driver.explain_empty().map(|()| Pull::End),
            answer => answer,
        };
        if let Ok(Pull::Item(_)) = answer {
            self.driver = LogDriver::Readable;
        }
        if !matches!(answer, Ok(Pull::Item(_) | Pull::Pending)) {
            self.close()?;
        }
        answer.map_err(|error: Error| match error.kind() {
            // A remote podman (4.3) has other words for it.
            ErrorKind::BackendFailed if self.is_absent => self.container.no_such(OPERATION),
            _ => error.in_container(self.container.name()),
        })
    }

    fn close(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.reading, Reading::Ended) {
            Reading::Once(mut reader)
            | Reading::Compared(mut reader, _)
            | Reading::Again { mut reader, .. } => {
                reader.close();
            }
            Reading::File(_) | Reading::Ended => {}
        }
        Ok(())
    }
}

impl Tally {
    fn add(&mut self, line: &LogLine) {
        let output = line.stream as usize;
        let mut hasher = DefaultHasher::new();
        (self.digests[output], &line.bytes, line.omitted).hash(&mut hasher);
        self.digests[output] = hasher.finish();
        self.counts[output] += 1;
    }

    /// Compares the output that the line came from.
    fn has_all_of(&self, other: &Self, line: &LogLine) -> bool {
        self.counts[line.stream as usize] == other.counts[line.stream as usize]
    }

    fn agrees_with(&self, other: &Self, line: &LogLine) -> bool {
        self.digests[line.stream as usize] == other.digests[line.stream as usize]
    }
}

/// Builds the error for two readings by podman that are not the same.
fn differs() -> Error {
    let message = "lines may be missing: podman's second reading has other lines than the first";
    Error::new(ErrorKind::Incomplete, OPERATION, message)
        .with_hint("when the container has ended, read the log again, without `follow` and `tail`")
}

/// The run that goes on.
fn run(found: &Inspected) -> Option<Run> {
    let goes_on = matches!(found.info.state, ContainerState::Running | ContainerState::Paused);
    goes_on.then_some((found.conmon_pid, found.info.started_at))
}

/// The main process that writes to the log.
fn main_process(found: &Inspected) -> Option<MainProcess> {
    run(found).and_then(|_| MainProcess::find(found.info.id.as_str(), found.pid?))
}

fn may_write(state: &ContainerState) -> bool {
    use ContainerState::{Created, Exited, Initialized, Stopped};
    !matches!(state, Created | Initialized | Stopped | Exited)
}
