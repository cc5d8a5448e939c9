//! The handle on a recorded container.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fmt;
use std::io::{Read, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rt_protocol::{
    Argv, Container, ContainerInfo, ContainerKey, ContainerName, ContainerPath, ContainerStats, CopyOptions,
    DirEntry, ExecRequest, ExecResult, ExecStdio, ExitOutcome, FileInfo, FileOptions, Image, LogLine,
    LogOptions, PullStream, Readiness, Result, Signal, StdioResult, Until, file_operation,
};
use serde_json::Value;

use super::bridge::{PanicPayload, Recorded, catch_panic, record_stdio};
use super::journal::Journal;
use super::recorded_image::RecordedImage;
use super::recorded_stream::RecordedHandle;
use super::tee::{CountReader, Echo, TeeWriter};
use super::transcript::{Delivered, Transcript, TranscriptWriter};
use crate::format::invocation::Invocation;
use crate::format::json::{self, JsonCodec, object};
use crate::format::listed_image::ListedImage;
use crate::format::step::{self, Stream};
use crate::format::tree::Snapshot;

/// A handle that records its calls.
pub(crate) struct RecordedContainer {
    inner: Arc<dyn Container>,
    journal: Arc<Journal>,
}

impl fmt::Debug for RecordedContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedContainer")
            .field("runtime", &self.inner.key().runtime.as_str())
            .field("name", &self.inner.key().name.as_str())
            .finish_non_exhaustive()
    }
}

impl RecordedContainer {
    pub(crate) fn new(inner: Arc<dyn Container>, journal: &Arc<Journal>) -> Self {
        Self { inner, journal: Arc::clone(journal) }
    }

    fn name(&self) -> &ContainerName {
        &self.inner.key().name
    }

    fn plain(&self, op: &'static str, verb: &'static str) -> Invocation<'_> {
        Invocation::container(self.name(), op, verb)
    }
}

/// Resumes a panic of the caller's code, after the call was recorded.
fn resume_panic(panic: Option<PanicPayload>) {
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

impl Container for RecordedContainer {
    fn key(&self) -> &ContainerKey {
        self.inner.key()
    }

    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        self.journal.record(&Invocation::exec(self.name(), request), || self.inner.exec(request, until))
    }

    fn inner(&self) -> Option<&dyn Container> {
        Some(&*self.inner)
    }

    fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>> {
        self.journal.record(&self.plain("inspect", "inspect"), || self.inner.inspect(until))
    }

    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        let invocation = Invocation::exec_stdio(self.name(), request, &stdio);
        let number = self.journal.begin(&invocation);
        let Recorded { answer, steps, unrecorded, panic } =
            record_stdio(stdio, until, |stdio, until| self.inner.exec_stdio(request, stdio, until));
        if let Some(cause) = unrecorded {
            self.journal.note_failure("a stream of a bridged command", cause);
        }
        let steps = step::encode(&steps, &self.journal.masker(&invocation), answer.is_err());
        self.journal.write(number, &invocation, answer.as_ref().map(StdioResult::encode), [("stdio", steps)]);
        resume_panic(panic);
        answer
    }

    fn image(&self, until: &Until) -> Result<Option<Arc<dyn Image>>> {
        let invocation = self.plain("image", "find the image of");
        let encode =
            |image: &Option<Arc<dyn Image>>| image.as_ref().map(|image| ListedImage::of(&**image)).encode();
        let image = self.journal.record_as(&invocation, || self.inner.image(until), encode)?;
        Ok(image.map(|image| Arc::new(RecordedImage::new(image, &self.journal)) as _))
    }

    fn rw_size(&self, until: &Until) -> Result<Option<u64>> {
        self.journal.record(&self.plain("rw-size", "measure"), || self.inner.rw_size(until))
    }

    fn start(&self, until: &Until) -> Result<()> {
        self.journal.record(&self.plain("start", "start"), || self.inner.start(until))
    }

    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        self.journal.record(&Invocation::stop(self.name(), grace), || self.inner.stop(grace, until))
    }

    fn wait(&self, until: &Until) -> Result<ExitOutcome> {
        let word = |outcome: &ExitOutcome| object([("outcome", outcome.encode())]);
        self.journal.record_as(&self.plain("wait", "wait for"), || self.inner.wait(until), word)
    }

    fn pause(&self, until: &Until) -> Result<()> {
        self.journal.record(&self.plain("pause", "pause"), || self.inner.pause(until))
    }

    fn stats(&self, until: &Until) -> Result<ContainerStats> {
        self.journal.record(&self.plain("stats", "measure the use of"), || self.inner.stats(until))
    }

    fn unpause(&self, until: &Until) -> Result<()> {
        self.journal.record(&self.plain("unpause", "unpause"), || self.inner.unpause(until))
    }

    fn kill(&self, signal: Signal, until: &Until) -> Result<()> {
        self.journal.record(&Invocation::kill(self.name(), signal), || self.inner.kill(signal, until))
    }

    fn remove(&self, until: &Until) -> Result<()> {
        self.journal.record(&self.plain("remove", "remove"), || self.inner.remove(until))
    }

    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
        let invocation = Invocation::copy_in(self.name(), src, dest, *options);
        self.journal.record(&invocation, || self.inner.copy_in(src, dest, options, until))
    }

    fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
        let invocation = Invocation::copy_out(self.name(), src, dest, *options);
        let number = self.journal.begin(&invocation);
        let snapshot = Snapshot::take(dest);
        let answer = self.inner.copy_out(src, dest, options, until);
        let changes = snapshot.and_then(|snapshot| snapshot.changes(dest)).unwrap_or_else(|cause| {
            self.journal.note_failure("what was copied out", cause);
            Value::Null
        });
        let files = self.journal.masker(&invocation).mask_value(changes);
        self.journal.write(number, &invocation, answer.as_ref().map(<()>::encode), [("files", files)]);
        answer
    }

    /// Records how many bytes were read, not their content: an archive holds times, which no replay
    /// can repeat.
    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, until: &Until) -> Result<()> {
        let invocation = Invocation::copy_in_tar(self.name(), dest);
        let number = self.journal.begin(&invocation);
        let mut counted = CountReader { inner: tar, count: 0 };
        let answer = self.inner.copy_in_tar(&mut counted, dest, until);
        self.journal.write(
            number,
            &invocation,
            answer.as_ref().map(<()>::encode),
            [("read", counted.count.into())],
        );
        answer
    }

    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
        let invocation = Invocation::copy_out_tar(self.name(), src);
        let number = self.journal.begin(&invocation);
        let transcript = Arc::<Mutex<Transcript>>::default();
        let mut recorded = TeeWriter::new(tar, TranscriptWriter::new(&transcript, Stream::Out));
        let answer = self.inner.copy_out_tar(src, &mut recorded, until);
        let steps = Transcript::close(&transcript, Vec::new(), Delivered { bytes: None, ended: false });
        let steps = step::encode(&steps, &self.journal.masker(&invocation), answer.is_err());
        self.journal.write(number, &invocation, answer.as_ref().map(<()>::encode), [("stdio", steps)]);
        answer
    }

    /// The contents are recorded too. Known secrets in them are masked.
    fn write_file(
        &self,
        path: &ContainerPath,
        bytes: &[u8],
        options: &FileOptions,
        until: &Until,
    ) -> Result<()> {
        let invocation = Invocation::write_file(self.name(), path, bytes, options);
        self.journal.record(&invocation, || self.inner.write_file(path, bytes, options, until))
    }

    fn read_file(&self, path: &ContainerPath, limit: u64, until: &Until) -> Result<Vec<u8>> {
        let invocation = Invocation::read_file(self.name(), path, limit);
        let read = || self.inner.read_file(path, limit, until);
        self.journal.record_as(&invocation, read, |bytes| json::bytes(bytes))
    }

    fn stat(&self, path: &ContainerPath, until: &Until) -> Result<Option<FileInfo>> {
        let invocation = Invocation::file(self.name(), "stat", file_operation::STAT, path);
        self.journal.record(&invocation, || self.inner.stat(path, until))
    }

    fn list_dir(&self, path: &ContainerPath, until: &Until) -> Result<Vec<DirEntry>> {
        let invocation = Invocation::file(self.name(), "list-dir", file_operation::LIST, path);
        self.journal.record(&invocation, || self.inner.list_dir(path, until))
    }

    fn remove_path(&self, path: &ContainerPath, until: &Until) -> Result<()> {
        let invocation = Invocation::file(self.name(), "remove-path", file_operation::REMOVE, path);
        self.journal.record(&invocation, || self.inner.remove_path(path, until))
    }

    fn login_command(&self, command: Option<&Argv>, until: &Until) -> Result<Vec<OsString>> {
        let invocation = Invocation::login_command(self.name(), command);
        let words = |words: &Vec<OsString>| words.iter().map(json::os).collect();
        self.journal.record_as(&invocation, || self.inner.login_command(command, until), words)
    }

    fn logs(&self, options: &LogOptions, until: &Until) -> Result<Box<dyn PullStream<LogLine>>> {
        let handle = self.journal.handle();
        let invocation = Invocation::logs(self.name(), options);
        let open = || self.inner.logs(options, until);
        let stream = self.journal.record_as(&invocation, open, |_| handle.encode())?;
        Ok(Box::new(RecordedHandle::new(stream, &self.journal, handle)))
    }

    fn stream_initial_logs(
        &self,
        ready: &mut dyn FnMut(&str) -> bool,
        echo: &mut dyn Write,
        until: &Until,
    ) -> Result<Readiness> {
        let invocation = self.plain("stream-initial-logs", "watch the log of");
        let number = self.journal.begin(&invocation);
        let seen = RefCell::new(Vec::new());
        let (answer, panic) = catch_panic("watch the log of", || {
            let mut watch = |line: &str| {
                seen.borrow_mut().push(object([("line", line.into())]));
                let accepted = ready(line);
                if let Some(last) = seen.borrow_mut().last_mut() {
                    last["accepted"] = accepted.into();
                }
                accepted
            };
            self.inner.stream_initial_logs(&mut watch, &mut Echo { inner: echo, seen: &seen }, until)
        });
        let seen = self.journal.masker(&invocation).mask_value(seen.into_inner().into());
        let encoded = answer.as_ref().map(|readiness| object([("readiness", readiness.encode())]));
        self.journal.write(number, &invocation, encoded, [("seen", seen)]);
        resume_panic(panic);
        answer
    }
}
