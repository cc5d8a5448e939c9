//! The handle on a container under record.
#![deny(clippy::missing_trait_methods, reason = "a default would ask the inner handle something else")]

use std::any::Any;
use std::cell::RefCell;
use std::ffi::OsString;
use std::fmt;
use std::io::{Read, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rt_protocol::{
    Argv, Container, ContainerInfo, ContainerKey, ContainerName, ContainerPath, ContainerState, CopyOptions,
    ExecRequest, ExecResult, ExecStdio, ExitOutcome, Health, Image, LogOptions, LogStream, MountPoint,
    PublishedPort, Readiness, Result, StdioResult, Until,
};
use serde_json::Value;

use crate::record::format::invocation::Question;
use crate::record::format::json::{Answer, object};
use crate::record::format::listed_image;
use crate::record::format::step::{self, Stream};
use crate::record::format::tree::Before;
use crate::record::recorder::bridge::{Overheard, Panic, catch, overhear};
use crate::record::recorder::journal::Journal;
use crate::record::recorder::recorded_image::RecordedImage;
use crate::record::recorder::recorded_stream::RecordedLog;
use crate::record::recorder::tee::{CountReader, Echo, TeeWriter};
use crate::record::recorder::transcript::{Delivered, Tap, Transcript};

/// A handle whose calls are written down.
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

    fn plain(&self, op: &'static str, verb: &'static str) -> Question<'_> {
        Question::container(self.name(), op, verb)
    }
}

/// A bridged command, by handle or by name.
pub(crate) fn record_exec_stdio(
    journal: &Journal,
    name: &ContainerName,
    request: &ExecRequest,
    stdio: ExecStdio<'_>,
    until: &Until,
    call: impl FnOnce(ExecStdio<'_>, &Until) -> Result<StdioResult>,
) -> Result<StdioResult> {
    let question = Question::exec_stdio(name, request, &stdio);
    let number = journal.begin(&question);
    let Overheard { answer, steps, deaf, panic } = overhear(stdio, until, call);
    if let Some(cause) = deaf {
        journal.miss("a stream of a bridged command", cause);
    }
    let steps = step::encode(&steps, &journal.vault(&question), answer.is_err());
    journal.write(number, &question, answer.as_ref().map(StdioResult::encode), [("stdio", steps)]);
    go_on(panic);
    answer
}

/// Lets a panic of the caller's code go on, now that the call is written down.
fn go_on(panic: Option<Panic>) {
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

impl Container for RecordedContainer {
    fn key(&self) -> &ContainerKey {
        self.inner.key()
    }

    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        self.journal.record(&Question::exec(self.name(), request), || self.inner.exec(request, until))
    }

    fn inspect(&self) -> Result<Option<ContainerInfo>> {
        self.journal.record(&self.plain("inspect", "inspect"), || self.inner.inspect())
    }

    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        record_exec_stdio(&self.journal, self.name(), request, stdio, until, |stdio, until| {
            self.inner.exec_stdio(request, stdio, until)
        })
    }

    fn id(&self) -> Result<Option<String>> {
        self.journal.record(&self.plain("id", "inspect"), || self.inner.id())
    }

    fn state(&self) -> Result<Option<ContainerState>> {
        self.journal.record(&self.plain("state", "inspect"), || self.inner.state())
    }

    fn running(&self) -> Result<bool> {
        self.journal.record(&self.plain("running", "inspect"), || self.inner.running())
    }

    fn image(&self) -> Result<Option<Arc<dyn Image>>> {
        let question = self.plain("image", "find the image of");
        let encode = |image: &Option<Arc<dyn Image>>| {
            image.as_ref().map_or(Value::Null, |image| listed_image::encode(&**image))
        };
        let image = self.journal.record_as(&question, || self.inner.image(), encode)?;
        Ok(image.map(|image| Arc::new(RecordedImage::new(image, &self.journal)) as _))
    }

    fn started_at(&self) -> Result<Option<SystemTime>> {
        self.journal.record(&self.plain("started-at", "inspect"), || self.inner.started_at())
    }

    fn mounts(&self) -> Result<Option<Vec<MountPoint>>> {
        self.journal.record(&self.plain("mounts", "inspect"), || self.inner.mounts())
    }

    fn ports(&self) -> Result<Option<Vec<PublishedPort>>> {
        self.journal.record(&self.plain("ports", "inspect"), || self.inner.ports())
    }

    fn health(&self) -> Result<Option<Health>> {
        self.journal.record(&self.plain("health", "inspect"), || self.inner.health())
    }

    fn rw_size(&self) -> Result<Option<u64>> {
        self.journal.record(&self.plain("rw-size", "measure"), || self.inner.rw_size())
    }

    fn start(&self, until: &Until) -> Result<()> {
        self.journal.record(&self.plain("start", "start"), || self.inner.start(until))
    }

    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        self.journal.record(&Question::stop(self.name(), grace), || self.inner.stop(grace, until))
    }

    fn wait(&self, until: &Until) -> Result<ExitOutcome> {
        self.journal.record(&self.plain("wait", "wait for"), || self.inner.wait(until))
    }

    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
        let question = Question::copy_in(self.name(), src, dest, *options);
        self.journal.record(&question, || self.inner.copy_in(src, dest, options, until))
    }

    fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
        let question = Question::copy_out(self.name(), src, dest, *options);
        let number = self.journal.begin(&question);
        let before = Before::look(dest);
        let answer = self.inner.copy_out(src, dest, options, until);
        let changes = before.and_then(|before| before.changes(dest)).unwrap_or_else(|cause| {
            self.journal.miss("what was copied out", cause);
            Value::Null
        });
        let files = self.journal.vault(&question).mask_value(changes);
        self.journal.write(number, &question, answer.as_ref().map(<()>::encode), [("files", files)]);
        answer
    }

    /// How much was read is recorded, and not what: archives hold times, which no replay would repeat.
    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, until: &Until) -> Result<()> {
        let question = Question::copy_in_tar(self.name(), dest);
        let number = self.journal.begin(&question);
        let mut counted = CountReader { inner: tar, count: 0 };
        let answer = self.inner.copy_in_tar(&mut counted, dest, until);
        self.journal.write(
            number,
            &question,
            answer.as_ref().map(<()>::encode),
            [("read", counted.count.into())],
        );
        answer
    }

    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
        let question = Question::copy_out_tar(self.name(), src);
        let number = self.journal.begin(&question);
        let transcript = Arc::<Mutex<Transcript>>::default();
        let mut overheard = TeeWriter::new(tar, Tap::new(&transcript, Stream::Out));
        let answer = self.inner.copy_out_tar(src, &mut overheard, until);
        let steps = Transcript::close(&transcript, Vec::new(), Delivered { bytes: None, ended: false });
        let steps = step::encode(&steps, &self.journal.vault(&question), answer.is_err());
        self.journal.write(number, &question, answer.as_ref().map(<()>::encode), [("stdio", steps)]);
        answer
    }

    fn login_command(&self, command: Option<&Argv>) -> Result<Vec<OsString>> {
        let question = Question::login_command(self.name(), command);
        self.journal.record(&question, || self.inner.login_command(command))
    }

    fn logs(&self, options: &LogOptions) -> Result<Box<dyn LogStream>> {
        let handle = self.journal.handle();
        let question = Question::logs(self.name(), options);
        let stream = self.journal.record_as(&question, || self.inner.logs(options), |_| handle.encode())?;
        Ok(Box::new(RecordedLog::new(stream, &self.journal, handle)))
    }

    fn stream_initial_logs(
        &self,
        ready: &mut dyn FnMut(&str) -> bool,
        echo: &mut dyn Write,
        until: &Until,
    ) -> Result<Readiness> {
        let question = self.plain("stream-initial-logs", "watch the log of");
        let number = self.journal.begin(&question);
        let seen = RefCell::new(Vec::new());
        let (answer, panic) = catch("watch the log of", || {
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
        let seen = self.journal.vault(&question).mask_value(seen.into_inner().into());
        self.journal.write(number, &question, answer.as_ref().map(Readiness::encode), [("seen", seen)]);
        go_on(panic);
        answer
    }

    fn as_any(&self) -> &dyn Any {
        self.inner.as_any()
    }
}
