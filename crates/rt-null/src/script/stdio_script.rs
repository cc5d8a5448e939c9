//! Scripts of bridged commands: what is read and written, step by step. Their streams are in
//! `streams/peer`.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use rt_protocol::{ExitOutcome, OutputStream, Signal, TerminalSize};

use crate::streams::peer::StdioPeer;

/// What a bridged command reads and writes, in this order.
///
/// stdin must match the script byte for byte; how the bytes are split into chunks does not matter.
/// A mismatch ends the call with [`BackendFailed`](rt_protocol::ErrorKind::BackendFailed). Its text
/// shows both sides, escaped and shortened to 60 bytes each, so keep real secrets out of scripted
/// stdin.
///
/// A read step waits for its bytes as long as the call's `Until` allows. stdin after the last step
/// is not read.
///
/// ```
/// use rt_null::{NullRuntime, StdioScript};
/// use rt_protocol::{
///     ContainerName, ContainerRuntime, ContainerState, ExecRequest, ExecStdio, Sink, Source,
///     Until,
/// };
///
/// let runtime = NullRuntime::new();
/// runtime.set_state("agent", ContainerState::Running)?;
/// let script = StdioScript::new().read("ping\n").write("pong\n").read_end().exit(7);
/// runtime.set_stdio("agent", ["serve"], script)?;
///
/// let agent = runtime.container(&ContainerName::new("agent")?);
/// let mut answer = Vec::new();
/// let stdio = ExecStdio::new(Source::bytes("ping\n"), Sink::borrowed(&mut answer));
/// let result = agent.exec_stdio(&ExecRequest::new(["serve"])?, stdio, &Until::forever())?;
/// assert_eq!(result.outcome.code(), Some(7));
/// assert_eq!((result.stdin.bytes, result.stdout.bytes), (5, 5));
/// assert_eq!(answer, b"pong\n");
///
/// let stdio = ExecStdio::new(Source::bytes("pong\n"), Sink::discard());
/// let request = ExecRequest::new(["serve"])?;
/// let error = agent.exec_stdio(&request, stdio, &Until::forever()).unwrap_err();
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
    Signal(Signal),
    Resize(TerminalSize),
}

impl StdioScript {
    /// Creates a script that reads and writes nothing, and exits with 0.
    pub fn new() -> Self {
        Self { steps: Vec::new(), outcome: ExitOutcome::Code(0) }
    }

    /// Expects these bytes next on stdin.
    #[must_use]
    pub fn read(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Read(bytes.into()))
    }

    /// Expects the end of stdin.
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

    /// Does nothing for this long, by the [clock](crate::NullClock).
    #[must_use]
    pub fn pause(self, duration: Duration) -> Self {
        self.step(Step::Pause(duration))
    }

    /// Waits for this signal, which a test sends by
    /// [`RunningCommand::signal`](rt_protocol::RunningCommand::signal). The command handles it from
    /// its beginning. Other signals end it.
    #[must_use]
    pub fn wait_for_signal(self, signal: Signal) -> Self {
        self.step(Step::Signal(signal))
    }

    /// Waits until the command's terminal has this size, which a test sets by
    /// [`RunningCommand::resize`](rt_protocol::RunningCommand::resize). Null's terminal is only a
    /// size: it echoes and changes nothing.
    ///
    /// ```
    /// use std::io::Read;
    /// use std::time::Duration;
    ///
    /// use rt_null::{NullRuntime, StdioScript};
    /// use rt_protocol::{
    ///     ContainerExt, ContainerRuntimeExt, ExecRequest, LaunchSpec, SpawnStdio, TerminalSize,
    /// };
    ///
    /// let (runtime, limit) = (NullRuntime::new(), Duration::from_secs(60));
    /// let job = runtime.launch(&LaunchSpec::builder("job", "image").build()?, limit)?;
    /// let wide = TerminalSize::new(24, 132)?;
    /// let script = StdioScript::new().wait_for_resize(wide).write("wider").exit(0);
    /// runtime.set_stdio("job", ["top"], script)?;
    ///
    /// let request = ExecRequest::builder(["top"]).terminal(TerminalSize::default()).build()?;
    /// let mut top = job.spawn_command(&request, SpawnStdio::new().piped_stdin(), limit)?;
    /// top.resize(wide)?;
    /// let mut screen = String::new();
    /// top.stdout.take().unwrap().read_to_string(&mut screen).unwrap();
    /// assert_eq!(screen, "wider");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    #[must_use]
    pub fn wait_for_resize(self, size: TerminalSize) -> Self {
        self.step(Step::Resize(size))
    }

    /// Exits with this code after the last step; the default is 0.
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

    /// Returns the signals that the command handles.
    pub(crate) fn signals(&self) -> impl Iterator<Item = Signal> {
        self.steps.iter().filter_map(|step| match step {
            Step::Signal(signal) => Some(*signal),
            _ => None,
        })
    }

    /// Plays the script. Fails on a mismatch, or with the peer's error if the call has ended.
    pub(crate) fn play(&self, peer: &mut StdioPeer<'_>) -> io::Result<ExitOutcome> {
        for (place, step) in self.steps.iter().enumerate() {
            let mismatch = |expected: &dyn fmt::Display, got: &dyn fmt::Display| {
                let place = place + 1;
                io::Error::other(format!(
                    "the call does not follow the script: step {place} expected {expected}, got {got}"
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
                Step::Resize(expected) => {
                    if peer.terminal().is_none() {
                        return Err(mismatch(&"a terminal", &"none"));
                    }
                    while peer.wait_for_resize()? != *expected {}
                }
                Step::Signal(expected) => {
                    let got = peer.wait_for_signal()?;
                    if got != *expected {
                        return Err(mismatch(&expected, &got));
                    }
                }
            }
        }
        Ok(self.outcome.clone())
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// Same as [`StdioScript::new`].
impl Default for StdioScript {
    fn default() -> Self {
        Self::new()
    }
}

/// What was read from a command's stdin: see [`StdioPeer::read_expected`]. `Display` is for
/// messages: escaped and shortened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StdioRead {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether the end was reached.
    pub ended: bool,
}

impl StdioRead {
    /// Combines these bytes with whether the end was reached.
    pub fn new(bytes: impl Into<Vec<u8>>, ended: bool) -> Self {
        Self { bytes: bytes.into(), ended }
    }
}

impl StdioPeer<'_> {
    /// Reads stdin until it has as many bytes as expected, until one differs, or until the end. If
    /// no bytes are expected, it makes one read that should find the end. It never reads more than
    /// expected, so what follows stays in the source.
    ///
    /// # Errors
    /// If the call has ended.
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

/// The most bytes that a message shows.
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
