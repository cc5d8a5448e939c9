//! The log of a container: which way it is read, so that no line of it is lost in silence.
//!
//! `podman logs` is whole without `--follow`. With it, it stops shortly after the container, whatever is unread, and drops
//! lines on the way there (of 60,000 between 10,897 and 53,705 were left, on 4.3.1 and 5.4.2). So the log is read from its
//! file. Where there is none at hand, a container that does not run is not followed, and of one that runs, what podman's
//! own follower said is compared with a second reading.

pub(crate) mod file;
pub(crate) mod own_line;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod timestamp;
pub(crate) mod timestamps;

use std::hash::{DefaultHasher, Hash, Hasher};

use rt_protocol::{
    ContainerState, Error, ErrorKind, LogLine, LogOptions, OutputStream, Pull, PullStream, Result, Until,
};

use crate::state::target::Target;
use file::{LogFile, incomplete};
use own_line::OPERATION;
use reader::LogReader;

/// Lines of a container's log.
#[derive(Debug)]
pub struct PodmanLogStream {
    container: Target,
    /// The container as podman is told it.
    target: String,
    is_terminal: bool,
    /// Whether podman knew of no such container when the log was opened.
    is_absent: bool,
    options: LogOptions,
    reading: Reading,
}

#[derive(Debug)]
enum Reading {
    /// One reading that is whole.
    Once(Box<LogReader>),
    File(Box<LogFile>),
    /// podman's own follower, and what it has said so far.
    Followed(Box<LogReader>, Tally),
    /// The reading after it: what that has said again, of what the follower had said.
    Again {
        reader: Box<LogReader>,
        again: Tally,
        said: Tally,
    },
    Ended,
}

/// How many lines came of stdout and of stderr, and a digest of what they said.
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
            // The log itself may be read all the same.
            Err(error) if matches!(error.kind(), ErrorKind::BackendFailed | ErrorKind::InvalidResponse) => {
                tracing::debug!(operation = OPERATION, %error, "it is not known how the container logs");
                (None, false)
            }
            Err(error) => return Err(error),
        };
        let target = container.id_or_name(until)?;
        let is_absent = is_known && found.is_none();
        let is_terminal = found.as_ref().is_some_and(|found| found.is_terminal);
        let file = found.as_ref().and_then(|found| {
            // Of one that has just ended conmon may still write the last lines.
            let followed = if options.follow { LogFile::follow(found, options) } else { None };
            let is_whole = !options.follow || !may_write(&found.info.state);
            followed.or_else(|| if is_whole { LogFile::read(found, options) } else { None })
        });
        let still_running = found.map_or(!is_known, |found| may_write(&found.info.state));
        let container = container.clone();
        let mut stream = Self {
            container,
            target,
            is_terminal,
            is_absent,
            options: options.clone(),
            reading: Reading::Ended,
        };
        stream.reading = match file {
            Some(file) => Reading::File(Box::new(file)),
            None if options.follow && still_running => {
                Reading::Followed(stream.reader(options)?, Tally::default())
            }
            None => {
                stream.options.follow = false;
                Reading::Once(stream.reader(&stream.options)?)
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
                Reading::Once(reader) | Reading::Followed(reader, _) | Reading::Again { reader, .. } => {
                    reader.pull(until)?
                }
                Reading::File(file) => file.pull(until)?,
                Reading::Ended => Pull::End,
            };
            match (&mut self.reading, pulled) {
                (Reading::Followed(_, said), Pull::Item(line)) => {
                    said.add(&line);
                    return Ok(Pull::Item(line));
                }
                (Reading::Followed(_, said), Pull::End) => {
                    let (said, mut options) = (said.clone(), self.options.clone());
                    options.follow = false;
                    // Where the tail began is not known any more, so the last lines are compared, as many as there were.
                    options.tail = options.tail.map(|_| (said.counts[0] + said.counts[1]).max(1));
                    self.reading =
                        Reading::Again { reader: self.reader(&options)?, again: Tally::default(), said };
                }
                (Reading::Again { again, said, .. }, Pull::Item(line)) => {
                    if !again.has_all_of(said, &line) {
                        again.add(&line);
                        if again.has_all_of(said, &line) && !again.agrees_with(said, &line) {
                            return Err(incomplete());
                        }
                    } else if self.options.tail.is_none() {
                        return Ok(Pull::Item(line));
                    } else {
                        return Err(incomplete());
                    }
                }
                (Reading::Again { again, said, .. }, Pull::End) if again != said => return Err(incomplete()),
                (_, other) => return Ok(other),
            }
        }
    }
}

impl PullStream<LogLine> for PodmanLogStream {
    fn pull(&mut self, until: &Until) -> Result<Pull<LogLine>> {
        let answer = self.advance(until);
        if !matches!(answer, Ok(Pull::Item(_) | Pull::Pending)) {
            self.close()?;
        }
        answer.map_err(|error: Error| match error.kind() {
            // A remote podman (4.3) has other words for it than that.
            ErrorKind::BackendFailed if self.is_absent => self.container.no_such(OPERATION),
            _ => error.in_container(self.container.name()),
        })
    }

    fn close(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.reading, Reading::Ended) {
            Reading::Once(mut reader)
            | Reading::Followed(mut reader, _)
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
        let output = index(line);
        let mut hasher = DefaultHasher::new();
        (self.digests[output], &line.bytes, line.omitted).hash(&mut hasher);
        self.digests[output] = hasher.finish();
        self.counts[output] += 1;
    }

    /// Of the output that the line came from.
    fn has_all_of(&self, other: &Self, line: &LogLine) -> bool {
        self.counts[index(line)] == other.counts[index(line)]
    }

    fn agrees_with(&self, other: &Self, line: &LogLine) -> bool {
        self.digests[index(line)] == other.digests[index(line)]
    }
}

fn may_write(state: &ContainerState) -> bool {
    use ContainerState::{Created, Exited, Initialized, Stopped};
    !matches!(state, Created | Initialized | Stopped | Exited)
}

fn index(line: &LogLine) -> usize {
    usize::from(line.stream == OutputStream::Stderr)
}
