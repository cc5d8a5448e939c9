//! The handle on a recorded container.
#![deny(clippy::missing_trait_methods, reason = "each method was recorded as itself")]

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rt_protocol::{
    Argv, Container, ContainerInfo, ContainerKey, ContainerPath, ContainerState, CopyOptions, Error,
    ErrorKind, ExecRequest, ExecResult, ExecStdio, ExitOutcome, Health, Image, LogOptions, LogStream,
    MountPoint, PublishedPort, Readiness, Result, StdioResult, Until,
};
use serde_json::Value;

use crate::record::format::entry::Entry;
use crate::record::format::invocation::Question;
use crate::record::format::json::{self as data, Answer, field};
use crate::record::format::listed_image::ImageFacts;
use crate::record::format::step::{self, Step};
use crate::record::format::tree;
use crate::record::replay::playback::{Playback, unreadable};
use crate::record::replay::player;
use crate::record::replay::replayed_image::ReplayedImage;
use crate::record::replay::replayed_stream::ReplayedStream;

/// A handle that answers what was recorded.
pub(crate) struct ReplayedContainer {
    key: ContainerKey,
    playback: Arc<Playback>,
}

impl ReplayedContainer {
    pub(crate) fn new(key: ContainerKey, playback: &Arc<Playback>) -> Self {
        Self { key, playback: Arc::clone(playback) }
    }

    fn plain(&self, op: &'static str, verb: &'static str) -> Question<'_> {
        Question::container(&self.key.name, op, verb)
    }

    fn ask<T: Answer>(&self, op: &'static str, verb: &'static str) -> Result<T> {
        self.playback.ask(&self.plain(op, verb))
    }

    /// The steps of a recorded call.
    fn steps(&self, question: &Question<'_>, entry: &Entry) -> Result<Vec<Step>> {
        let steps = self.playback.resolve(question, entry, &entry.whole["stdio"])?;
        step::decode(&steps).ok_or_else(|| unreadable(question, entry))
    }
}

impl Container for ReplayedContainer {
    fn key(&self) -> &ContainerKey {
        &self.key
    }

    /// At once, whatever time it took.
    fn exec(&self, request: &ExecRequest, _until: &Until) -> Result<ExecResult> {
        self.playback.ask(&Question::exec(&self.key.name, request))
    }

    fn inspect(&self) -> Result<Option<ContainerInfo>> {
        self.ask("inspect", "inspect")
    }

    /// Reads and writes in the recorded order; `until` bounds the waiting for the caller's streams.
    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        let question = Question::exec_stdio(&self.key.name, request, &stdio);
        let Some((stdio, given)) = player::given_bytes(stdio) else {
            return Err(question.error(ErrorKind::Unsupported, "a stream is of a kind that came later"));
        };
        // Of commands that differ in their stdin alone, each gets its own, also when threads ask in another order.
        let entry = self.playback.find_rather(&question, &|entry| {
            given.as_ref().is_none_or(|given| {
                self.steps(&question, entry).is_ok_and(|steps| step::takes(&steps, given))
            })
        });
        let entry = entry.ok_or_else(|| self.playback.refuse(&question))?;
        let steps = self.steps(&question, &entry)?;
        player::play(&self.playback, &question, &steps, stdio, until)?;
        self.playback.answer(&question, &entry, StdioResult::decode)
    }

    fn id(&self) -> Result<Option<String>> {
        self.ask("id", "inspect")
    }

    fn state(&self) -> Result<Option<ContainerState>> {
        self.ask("state", "inspect")
    }

    fn running(&self) -> Result<bool> {
        self.ask("running", "inspect")
    }

    fn image(&self) -> Result<Option<Arc<dyn Image>>> {
        let decode = |image: &Value| {
            if image.is_null() { Some(None) } else { ImageFacts::decode(image).map(Some) }
        };
        let facts = self.playback.ask_as(&self.plain("image", "find the image of"), decode)?;
        Ok(facts.map(|facts| Arc::new(ReplayedImage::new(facts, &self.playback)) as _))
    }

    fn started_at(&self) -> Result<Option<SystemTime>> {
        self.ask("started-at", "inspect")
    }

    fn mounts(&self) -> Result<Option<Vec<MountPoint>>> {
        self.ask("mounts", "inspect")
    }

    fn ports(&self) -> Result<Option<Vec<PublishedPort>>> {
        self.ask("ports", "inspect")
    }

    fn health(&self) -> Result<Option<Health>> {
        self.ask("health", "inspect")
    }

    fn rw_size(&self) -> Result<Option<u64>> {
        self.ask("rw-size", "measure")
    }

    fn start(&self, _until: &Until) -> Result<()> {
        self.ask("start", "start")
    }

    fn stop(&self, grace: Duration, _until: &Until) -> Result<()> {
        self.playback.ask(&Question::stop(&self.key.name, grace))
    }

    fn wait(&self, _until: &Until) -> Result<ExitOutcome> {
        self.ask("wait", "wait for")
    }

    /// Nothing of the host is looked at.
    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, _until: &Until) -> Result<()> {
        self.playback.ask(&Question::copy_in(&self.key.name, src, dest, *options))
    }

    /// Makes the files that were copied out, at the place that is given now.
    fn copy_out(
        &self,
        src: &ContainerPath,
        dest: &Path,
        options: &CopyOptions,
        _until: &Until,
    ) -> Result<()> {
        let question = Question::copy_out(&self.key.name, src, dest, *options);
        let entry = self.playback.take(&question)?;
        let files = self.playback.resolve(&question, &entry, &entry.whole["files"])?;
        let made = tree::make(&files, dest, options.create_parents);
        self.playback.answer(&question, &entry, <()>::decode)?;
        made.map_err(|cause| {
            let kind = match cause.kind() {
                io::ErrorKind::NotFound => ErrorKind::NoSuchPath,
                io::ErrorKind::InvalidData => ErrorKind::BadAnswer,
                _ => ErrorKind::System,
            };
            question.error(kind, format!("`{}`", dest.display())).with_source(cause)
        })
    }

    /// Reads as much as was read, and compares nothing.
    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, _until: &Until) -> Result<()> {
        let question = Question::copy_in_tar(&self.key.name, dest);
        let entry = self.playback.take(&question)?;
        let count = field::<Option<u64>>(&entry.whole, "read").flatten().unwrap_or(0);
        io::copy(&mut tar.take(count), &mut io::sink())
            .map_err(|cause| question.error(ErrorKind::SourceFailed, "").with_source(cause))?;
        self.playback.answer(&question, &entry, <()>::decode)
    }

    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), _until: &Until) -> Result<()> {
        let question = Question::copy_out_tar(&self.key.name, src);
        let entry = self.playback.take(&question)?;
        for step in self.steps(&question, &entry)? {
            if let Step::Moved(_, bytes) = step {
                tar.write_all(&bytes).map_err(|cause| sink_failed(&question, cause))?;
            }
        }
        tar.flush().map_err(|cause| sink_failed(&question, cause))?;
        self.playback.answer(&question, &entry, <()>::decode)
    }

    fn login_command(&self, command: Option<&Argv>) -> Result<Vec<OsString>> {
        self.playback.ask(&Question::login_command(&self.key.name, command))
    }

    fn logs(&self, options: &LogOptions) -> Result<Box<dyn LogStream>> {
        let handle: u64 = self.playback.ask(&Question::logs(&self.key.name, options))?;
        Ok(Box::new(ReplayedStream::new(&self.playback, handle)))
    }

    /// Shows the recorded lines to `ready`. One that it accepts earlier is the answer; one that it accepted when it was
    /// recorded and does not accept now is a mismatch.
    fn stream_initial_logs(
        &self,
        ready: &mut dyn FnMut(&str) -> bool,
        echo: &mut dyn Write,
        _until: &Until,
    ) -> Result<Readiness> {
        let question = self.plain("stream-initial-logs", "watch the log of");
        let entry = self.playback.take(&question)?;
        let seen = self.playback.resolve(&question, &entry, &entry.whole["seen"])?;
        for step in seen.as_array().into_iter().flatten() {
            if let Some(bytes) = step.get("echo").and_then(data::to_bytes) {
                echo.write_all(&bytes)
                    .and_then(|()| echo.flush())
                    .map_err(|cause| sink_failed(&question, cause))?;
                continue;
            }
            let line: String = field(step, "line").ok_or_else(|| unreadable(&question, &entry))?;
            let accepted = ready(&line);
            if accepted {
                return match self.playback.answer(&question, &entry, Readiness::decode) {
                    // It is the recorded answer, or an earlier one.
                    Ok(_) => Ok(Readiness::Ready(line)),
                    Err(error) => Err(error),
                };
            }
            if step.get("accepted") == Some(&Value::Bool(true)) {
                let line = self.playback.vault().mask_text(line.as_bytes());
                let line: String = String::from_utf8_lossy(&line).chars().take(60).collect();
                let message =
                    format!("the line {line:?} was the sign when this was recorded, and is not accepted now");
                return Err(self.playback.book.mismatch(&question, message));
            }
        }
        self.playback.answer(&question, &entry, Readiness::decode)
    }

    /// Nothing: there is no concrete handle to be had from a recording.
    fn as_any(&self) -> &dyn Any {
        &()
    }
}

fn sink_failed(question: &Question<'_>, cause: io::Error) -> Error {
    question.error(ErrorKind::SinkFailed, "").with_source(cause)
}

impl fmt::Debug for ReplayedContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayedContainer")
            .field("runtime", &self.key.runtime.as_str())
            .field("name", &self.key.name.as_str())
            .finish_non_exhaustive()
    }
}
