//! The streams of a command that runs while the caller does other things.

use std::io::{self, PipeReader, PipeWriter};

use crate::{CommandStreams, ExecStdio, Sink, Source};

/// The three streams of [`ContainerExt::spawn_command`](crate::ContainerExt::spawn_command).
///
/// By default the command has no stdin, and both outputs are pipes that the caller reads. A stream
/// can also be a [`Source`] or [`Sink`] that outlives the call. Those need a thread on every
/// backend, except for [`Source::empty`] and [`Sink::discard`].
///
/// ```
/// use rt_protocol::{Sink, SpawnStdio};
///
/// // A conversation: the caller writes stdin and reads stdout. stderr is not wanted.
/// let stdio = SpawnStdio::new().piped_stdin().stderr(Sink::discard());
/// # drop(stdio);
/// ```
#[derive(Debug)]
#[must_use = "pass it to `spawn_command`"]
pub struct SpawnStdio {
    /// `None`: a pipe. Alike below.
    stdin: Option<Source<'static>>,
    stdout: Option<Sink<'static>>,
    stderr: Option<Sink<'static>>,
}

impl SpawnStdio {
    /// Returns streams without stdin, and with pipes for both outputs.
    pub fn new() -> Self {
        Self { stdin: Some(Source::empty()), stdout: None, stderr: None }
    }

    /// Makes stdin a pipe, [`RunningCommand::stdin`](crate::RunningCommand::stdin).
    pub fn piped_stdin(mut self) -> Self {
        self.stdin = None;
        self
    }

    /// Takes stdin from a source.
    pub fn stdin(mut self, source: Source<'static>) -> Self {
        self.stdin = Some(source);
        self
    }

    /// Passes stdout to a sink.
    pub fn stdout(mut self, sink: Sink<'static>) -> Self {
        self.stdout = Some(sink);
        self
    }

    /// Passes stderr to a sink.
    pub fn stderr(mut self, sink: Sink<'static>) -> Self {
        self.stderr = Some(sink);
        self
    }

    /// Makes the pipes.
    pub(crate) fn connect(self) -> io::Result<ConnectedStdio> {
        let is_direct = self.stdin.as_ref().is_none_or(Source::is_empty)
            && [&self.stdout, &self.stderr]
                .into_iter()
                .all(|sink| sink.as_ref().is_none_or(Sink::is_discard));
        let (stdin, input) = if let Some(source) = self.stdin {
            (source, None)
        } else {
            let (reader, writer) = io::pipe()?;
            (Source::descriptor(reader), Some(writer))
        };
        let (stdout, output) = piped_unless(self.stdout)?;
        let (stderr, errors) = piped_unless(self.stderr)?;
        let streams = ExecStdio::new(stdin, stdout).stderr(stderr);
        let far = if is_direct { CommandStreams::direct(streams) } else { CommandStreams::new(streams) };
        Ok(ConnectedStdio { stdin: input, stdout: output, stderr: errors, far })
    }
}

impl Default for SpawnStdio {
    fn default() -> Self {
        Self::new()
    }
}

fn piped_unless(sink: Option<Sink<'static>>) -> io::Result<(Sink<'static>, Option<PipeReader>)> {
    if let Some(sink) = sink {
        return Ok((sink, None));
    }
    let (reader, writer) = io::pipe()?;
    Ok((Sink::descriptor(writer), Some(reader)))
}

/// The caller's ends of the pipes, and what is at the command's ends.
#[derive(Debug)]
pub(crate) struct ConnectedStdio {
    pub(crate) stdin: Option<PipeWriter>,
    pub(crate) stdout: Option<PipeReader>,
    pub(crate) stderr: Option<PipeReader>,
    pub(crate) far: CommandStreams,
}
