//! The handle on a recorded container.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rt_protocol::{
    Argv, Container, ContainerInfo, ContainerKey, ContainerPath, ContainerStats, CopyOptions, DirEntry,
    Error, ErrorKind, ExecRequest, ExecResult, ExecStdio, ExitOutcome, FileInfo, FileOptions, Image, LogLine,
    LogOptions, PullStream, Readiness, Result, Signal, StdioResult, Until, file_operation,
};
use serde_json::Value;

use super::playback::{Playback, unreadable};
use super::player;
use super::replayed_image::ReplayedImage;
use super::replayed_stream::ReplayedStream;
use crate::format::entry::Entry;
use crate::format::invocation::Invocation;
use crate::format::json::{self, JsonCodec, field};
use crate::format::listed_image::ListedImage;
use crate::format::step::{self, Step};
use crate::format::tree;

/// A handle that returns what was recorded.
pub(crate) struct ReplayedContainer {
    key: ContainerKey,
    playback: Arc<Playback>,
}

impl ReplayedContainer {
    pub(crate) fn new(key: ContainerKey, playback: &Arc<Playback>) -> Self {
        Self { key, playback: Arc::clone(playback) }
    }

    fn plain(&self, op: &'static str, verb: &'static str) -> Invocation<'_> {
        Invocation::container(&self.key.name, op, verb)
    }

    fn replay<T: JsonCodec>(&self, op: &'static str, verb: &'static str) -> Result<T> {
        self.playback.replay(&self.plain(op, verb))
    }

    /// Returns the steps of a recorded call.
    fn steps(&self, invocation: &Invocation<'_>, entry: &Entry) -> Result<Vec<Step>> {
        let steps = self.playback.restore(invocation, entry, &entry.whole["stdio"])?;
        step::decode(&steps).ok_or_else(|| unreadable(invocation, entry))
    }
}

impl Container for ReplayedContainer {
    fn key(&self) -> &ContainerKey {
        &self.key
    }

    /// Returns at once, however long the recorded call took.
    fn exec(&self, request: &ExecRequest, _until: &Until) -> Result<ExecResult> {
        self.playback.replay(&Invocation::exec(&self.key.name, request))
    }

    fn inspect(&self, _until: &Until) -> Result<Option<ContainerInfo>> {
        self.replay("inspect", "inspect")
    }

    /// Reads and writes in the recorded order. `until` limits the waiting for the caller's streams.
    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        let invocation = Invocation::exec_stdio(&self.key.name, request, &stdio);
        let Some((stdio, given)) = player::stdin_bytes(stdio) else {
            return Err(invocation.error(ErrorKind::Unsupported, "a stream is of a kind that came later"));
        };
        // If commands differ only in their stdin, each gets its own, even if threads call in
        // another order.
        let entry = self.playback.find_preferring(&invocation, &|entry| {
            given.as_ref().is_none_or(|given| {
                self.steps(&invocation, entry).is_ok_and(|steps| step::accepts_stdin(&steps, given))
            })
        });
        let entry = entry.ok_or_else(|| self.playback.not_recorded(&invocation))?;
        let steps = self.steps(&invocation, &entry)?;
        // The limits of the request were applied when it was recorded; what they kept passes them
        // again. The copies of the sinks are new.
        stdio.bridge(request, |stdio| {
            player::play(&self.playback, &invocation, &steps, stdio, until)?;
            self.playback.answer(&invocation, &entry, StdioResult::decode)
        })
    }

    fn image(&self, _until: &Until) -> Result<Option<Arc<dyn Image>>> {
        let facts: Option<ListedImage> = self.replay("image", "find the image of")?;
        Ok(facts.map(|facts| Arc::new(ReplayedImage::new(facts, &self.playback)) as _))
    }

    fn rw_size(&self, _until: &Until) -> Result<Option<u64>> {
        self.replay("rw-size", "measure")
    }

    fn start(&self, _until: &Until) -> Result<()> {
        self.replay("start", "start")
    }

    fn stop(&self, grace: Duration, _until: &Until) -> Result<()> {
        self.playback.replay(&Invocation::stop(&self.key.name, grace))
    }

    fn wait(&self, _until: &Until) -> Result<ExitOutcome> {
        self.playback.replay_as(&self.plain("wait", "wait for"), |word| field(word, "outcome"))
    }

    fn pause(&self, _until: &Until) -> Result<()> {
        self.replay("pause", "pause")
    }

    fn stats(&self, _until: &Until) -> Result<ContainerStats> {
        self.replay("stats", "measure the use of")
    }

    fn unpause(&self, _until: &Until) -> Result<()> {
        self.replay("unpause", "unpause")
    }

    fn kill(&self, signal: Signal, _until: &Until) -> Result<()> {
        self.playback.replay(&Invocation::kill(&self.key.name, signal))
    }

    fn remove(&self, _until: &Until) -> Result<()> {
        self.replay("remove", "remove")
    }

    /// Does not look at the host.
    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, _until: &Until) -> Result<()> {
        self.playback.replay(&Invocation::copy_in(&self.key.name, src, dest, *options))
    }

    /// Creates the files that were copied out, at the path given now.
    fn copy_out(
        &self,
        src: &ContainerPath,
        dest: &Path,
        options: &CopyOptions,
        _until: &Until,
    ) -> Result<()> {
        let invocation = Invocation::copy_out(&self.key.name, src, dest, *options);
        let entry = self.playback.take(&invocation)?;
        let files = self.playback.restore(&invocation, &entry, &entry.whole["files"])?;
        let made = tree::create(&files, dest, options.create_parents);
        self.playback.answer(&invocation, &entry, <()>::decode)?;
        made.map_err(|cause| {
            let kind = match cause.kind() {
                io::ErrorKind::NotFound => ErrorKind::NoSuchPath,
                io::ErrorKind::InvalidData => ErrorKind::InvalidResponse,
                _ => ErrorKind::System,
            };
            invocation.error(kind, format!("`{}`", dest.display())).with_source(cause)
        })
    }

    /// Reads as many bytes as were read, and compares nothing.
    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, _until: &Until) -> Result<()> {
        let invocation = Invocation::copy_in_tar(&self.key.name, dest);
        let entry = self.playback.take(&invocation)?;
        let count = field::<Option<u64>>(&entry.whole, "read").flatten().unwrap_or(0);
        io::copy(&mut tar.take(count), &mut io::sink())
            .map_err(|cause| invocation.error(ErrorKind::SourceFailed, "").with_source(cause))?;
        self.playback.answer(&invocation, &entry, <()>::decode)
    }

    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), _until: &Until) -> Result<()> {
        let invocation = Invocation::copy_out_tar(&self.key.name, src);
        let entry = self.playback.take(&invocation)?;
        for step in self.steps(&invocation, &entry)? {
            if let Step::Moved(_, bytes) = step {
                tar.write_all(&bytes).map_err(|cause| sink_failed(&invocation, cause))?;
            }
        }
        tar.flush().map_err(|cause| sink_failed(&invocation, cause))?;
        self.playback.answer(&invocation, &entry, <()>::decode)
    }

    fn write_file(
        &self,
        path: &ContainerPath,
        bytes: &[u8],
        options: &FileOptions,
        _until: &Until,
    ) -> Result<()> {
        self.playback.replay(&Invocation::write_file(&self.key.name, path, bytes, options))
    }

    fn read_file(&self, path: &ContainerPath, limit: u64, _until: &Until) -> Result<Vec<u8>> {
        self.playback.replay_as(&Invocation::read_file(&self.key.name, path, limit), json::to_bytes)
    }

    fn stat(&self, path: &ContainerPath, _until: &Until) -> Result<Option<FileInfo>> {
        self.playback.replay(&Invocation::file(&self.key.name, "stat", file_operation::STAT, path))
    }

    fn list_dir(&self, path: &ContainerPath, _until: &Until) -> Result<Vec<DirEntry>> {
        self.playback.replay(&Invocation::file(&self.key.name, "list-dir", file_operation::LIST, path))
    }

    fn remove_path(&self, path: &ContainerPath, _until: &Until) -> Result<()> {
        self.playback.replay(&Invocation::file(&self.key.name, "remove-path", file_operation::REMOVE, path))
    }

    fn login_command(&self, command: Option<&Argv>, _until: &Until) -> Result<Vec<OsString>> {
        let words = |words: &Value| words.as_array()?.iter().map(json::to_os).collect();
        self.playback.replay_as(&Invocation::login_command(&self.key.name, command), words)
    }

    fn logs(&self, options: &LogOptions, _until: &Until) -> Result<Box<dyn PullStream<LogLine>>> {
        let handle: u64 = self.playback.replay(&Invocation::logs(&self.key.name, options))?;
        Ok(Box::new(ReplayedStream::new(&self.playback, handle)))
    }

    /// Shows the recorded lines to `ready`. A line that it accepts earlier is the answer. If it
    /// does not accept the line that it accepted in the recording, that is a mismatch.
    fn stream_initial_logs(
        &self,
        ready: &mut dyn FnMut(&str) -> bool,
        echo: &mut dyn Write,
        _until: &Until,
    ) -> Result<Readiness> {
        let invocation = self.plain("stream-initial-logs", "watch the log of");
        let entry = self.playback.take(&invocation)?;
        let readiness = |answer: &Value| field(answer, "readiness");
        let seen = self.playback.restore(&invocation, &entry, &entry.whole["seen"])?;
        for step in seen.as_array().into_iter().flatten() {
            if let Some(bytes) = step.get("echo").and_then(json::to_bytes) {
                echo.write_all(&bytes)
                    .and_then(|()| echo.flush())
                    .map_err(|cause| sink_failed(&invocation, cause))?;
                continue;
            }
            let line: String = field(step, "line").ok_or_else(|| unreadable(&invocation, &entry))?;
            let accepted = ready(&line);
            if accepted {
                return match self.playback.answer(&invocation, &entry, readiness) {
                    // The recorded answer, or an earlier line.
                    Ok(Readiness::Ready(_) | Readiness::TimedOut | Readiness::Ended) => {
                        Ok(Readiness::Ready(line))
                    }
                    Err(error) => Err(error),
                };
            }
            if step.get("accepted") == Some(&Value::Bool(true)) {
                let line = self.playback.masker().mask_text(line.as_bytes());
                let line: String = String::from_utf8_lossy(&line).chars().take(60).collect();
                let message =
                    format!("the line {line:?} was the sign when this was recorded, and is not accepted now");
                return Err(self.playback.tape.mismatch(&invocation, message));
            }
        }
        self.playback.answer(&invocation, &entry, readiness)
    }
}

fn sink_failed(invocation: &Invocation<'_>, cause: io::Error) -> Error {
    invocation.error(ErrorKind::SinkFailed, "").with_source(cause)
}

impl fmt::Debug for ReplayedContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayedContainer")
            .field("runtime", &self.key.runtime.as_str())
            .field("name", &self.key.name.as_str())
            .finish_non_exhaustive()
    }
}
