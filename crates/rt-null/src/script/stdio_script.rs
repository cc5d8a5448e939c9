//! Scripts of bridged commands: what is read and written, step by step. The streams they run on stand in `peer`.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use rt_protocol::{ExitOutcome, OutputStream};

use crate::streams::peer::StdioPeer;

/// What a bridged command reads and writes, in this order.
///
/// What it is sent must be what it expects, byte for byte; how the bytes are cut into chunks does not matter. Anything
/// else ends the call with an error of kind [`BackendFailed`](rt_protocol::ErrorKind::BackendFailed) that shows both
/// sides, escaped and shortened to 60 bytes each (so keep real secrets out of scripted stdin). A step that reads waits for its bytes as long as the call's `Until`
/// allows. stdin that is left over after the last step is left alone.
///
/// ```
/// use rt_null::{NullRuntime, StdioScript};
/// use rt_protocol::{
///     ContainerName, ContainerRuntime, ContainerState, ExecRequest, ExecStdio, Sink, Source, Until,
/// };
///
/// let runtime = NullRuntime::new();
/// runtime.set_state("agent", ContainerState::Running)?;
/// runtime.set_stdio("agent", ["serve"], StdioScript::new().read("ping\n").write("pong\n").read_end().exit(7))?;
///
/// let agent = runtime.container(&ContainerName::new("agent")?);
/// let mut answer = Vec::new();
/// let stdio = ExecStdio::new(Source::bytes("ping\n"), Sink::borrowed(&mut answer));
/// let result = agent.exec_stdio(&ExecRequest::new(["serve"])?, stdio, &Until::forever())?;
/// assert_eq!((result.outcome.code(), result.stdin.bytes, result.stdout.bytes), (Some(7), 5, 5));
/// assert_eq!(answer, b"pong\n");
///
/// let stdio = ExecStdio::new(Source::bytes("pong\n"), Sink::discard());
/// let error = agent.exec_stdio(&ExecRequest::new(["serve"])?, stdio, &Until::forever()).unwrap_err();
/// assert!(error.message().contains(r#"expected "ping\n", got "po"#), "{error}");
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StdioScript {
    steps: Vec<Step>,
    outcome: ExitOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Read(Vec<u8>),
    ReadEnd,
    Write(OutputStream, Vec<u8>),
    Pause(Duration),
}

impl StdioScript {
    /// Reads and writes nothing, and exits with 0.
    pub fn new() -> Self {
        Self { steps: Vec::new(), outcome: ExitOutcome::Code(0) }
    }

    /// The next bytes of stdin must be these.
    #[must_use]
    pub fn read(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Read(bytes.into()))
    }

    /// stdin must end here.
    #[must_use]
    pub fn read_end(self) -> Self {
        self.step(Step::ReadEnd)
    }

    /// Writes to stdout.
    #[must_use]
    pub fn write(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Write(OutputStream::Stdout, bytes.into()))
    }

    /// Writes to stderr.
    #[must_use]
    pub fn write_stderr(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Write(OutputStream::Stderr, bytes.into()))
    }

    /// Does nothing for so long, by the [clock](crate::NullClock).
    #[must_use]
    pub fn pause(self, duration: Duration) -> Self {
        self.step(Step::Pause(duration))
    }

    /// Exits with this code after the last step; 0 unless said.
    #[must_use]
    pub fn exit(self, code: i32) -> Self {
        self.outcome(ExitOutcome::Code(code))
    }

    /// Ends with this outcome after the last step.
    #[must_use]
    pub fn outcome(mut self, outcome: ExitOutcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Plays the script. An error is a mismatch, or what the peer answered when the call ended.
    pub(crate) fn play(&self, peer: &mut StdioPeer<'_>) -> io::Result<ExitOutcome> {
        for (place, step) in self.steps.iter().enumerate() {
            let mismatch = |expected: &dyn fmt::Display, got: &dyn fmt::Display| {
                let place = place + 1;
                io::Error::other(format!(
                    "stdin does not follow the script: step {place} expected {expected}, got {got}"
                ))
            };
            match step {
                Step::Read(expected) => {
                    let got = peer.read_expected(expected)?;
                    if got.bytes != *expected {
                        return Err(mismatch(&StdioRead::new(expected.as_slice(), false), &got));
                    }
                }
                Step::ReadEnd => {
                    let got = peer.read_expected(b"")?;
                    if !got.ended {
                        return Err(mismatch(&"the end", &got));
                    }
                }
                Step::Write(OutputStream::Stdout, bytes) => peer.write_stdout(bytes)?,
                Step::Write(OutputStream::Stderr, bytes) => peer.write_stderr(bytes)?,
                Step::Pause(duration) => peer.pause(*duration)?,
            }
        }
        Ok(self.outcome.clone())
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// As [`StdioScript::new`].
impl Default for StdioScript {
    fn default() -> Self {
        Self::new()
    }
}

/// What was read of a command's stdin: see [`StdioPeer::read_expected`]. `Display` is for messages: escaped, and shortened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StdioRead {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether the end was found.
    pub ended: bool,
}

impl StdioRead {
    /// These bytes, and perhaps the end.
    pub fn new(bytes: impl Into<Vec<u8>>, ended: bool) -> Self {
        Self { bytes: bytes.into(), ended }
    }
}

impl StdioPeer<'_> {
    /// Reads stdin until it has as many bytes as expected, until one differs, or until the end; for no bytes at all, makes one
    /// read that should find the end. Never reads more than expected, so that what follows stays in the source.
    ///
    /// # Errors
    /// When the call has ended.
    pub fn read_expected(&mut self, expected: &[u8]) -> io::Result<StdioRead> {
        let mut got = StdioRead::default();
        loop {
            let wanted = expected.len() - got.bytes.len();
            if wanted == 0 && !expected.is_empty() {
                return Ok(got);
            }
            let mut chunk = vec![0; wanted.clamp(1, 64 * 1024)];
            let count = self.read(&mut chunk)?;
            let follows = expected[got.bytes.len()..].starts_with(&chunk[..count]);
            got.ended = count == 0;
            got.bytes.extend_from_slice(&chunk[..count]);
            if got.ended || !follows || expected.is_empty() {
                return Ok(got);
            }
        }
    }
}

/// As many bytes as a message shows.
const SHOWN_BYTES: usize = 60;

impl fmt::Display for StdioRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.bytes[..self.bytes.len().min(SHOWN_BYTES)];
        match (self.bytes.is_empty(), self.ended) {
            (true, true) => return f.write_str("the end"),
            _ => write!(f, "\"{}\"", shown.escape_ascii())?,
        }
        if shown.len() < self.bytes.len() {
            write!(f, "… ({} bytes)", self.bytes.len())?;
        }
        if self.ended { f.write_str(" and the end") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_odd_bytes_are_shortened_and_escaped() {
        let shown = |bytes: &[u8], ended| StdioRead::new(bytes, ended).to_string();
        assert_eq!(shown(b"a\"\n\xff", false), r#""a\"\n\xff""#);
        assert_eq!(shown(b"", true), "the end");
        assert_eq!(shown(b"a", true), "\"a\" and the end");
        assert!(shown(&[b'x'; 100], false).ends_with("x\"… (100 bytes)"));
    }
}
