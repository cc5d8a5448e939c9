//! A container of podman: the handle, and what follows from one inspect.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rt_protocol::{
    Argv, CommandControl, CommandStreams, Container, ContainerInfo, ContainerKey, ContainerName,
    ContainerPath, ContainerStats, CopyOptions, DirEntry, Env, Error, ExecRequest, ExecResult, ExecStdio,
    ExitOutcome, FileInfo, FileOptions, Image, LogLine, LogOptions, OperationSpan, PullStream, Result,
    Signal, StdioResult, Until, file_operation,
};

use crate::cli::engine::invalid_response;
use crate::cli::shell::quoted;
use crate::copy::{copy_in, copy_out, tar};
use crate::exec;
use crate::files::{self, file_target::FileTarget};
use crate::image::PodmanImage;
use crate::lifecycle::{pause, remove, signal, start, stop, wait};
use crate::logs::PodmanLogStream;
use crate::state::RuntimeState;
use crate::state::stats;
use crate::state::target::Target;

/// A container of podman.
///
/// Returned by [`PodmanRuntime::container`](rt_protocol::ContainerRuntime::container). What podman
/// cannot do is listed in [`limitations`](crate::limitations).
#[derive(Clone)]
pub struct PodmanContainer {
    target: Target,
}

impl fmt::Debug for PodmanContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodmanContainer")
            .field("runtime", &self.target.key().runtime.as_str())
            .field("name", &self.name().as_str())
            .finish_non_exhaustive()
    }
}

/// The command of a login session without a command of its own.
const DEFAULT_LOGIN: [&str; 5] = ["tmux", "new-session", "-A", "-s", "main"];

impl PodmanContainer {
    pub(crate) fn new(state: Arc<RuntimeState>, name: ContainerName) -> Self {
        Self { target: Target::new(state, name) }
    }

    /// Returns its name.
    pub fn name(&self) -> &ContainerName {
        self.target.name()
    }

    /// Returns what the container is, and the variables that its image and its launch set; `None`
    /// if it does not exist. One call of podman answers both, so they describe the same container.
    ///
    /// Variables count as secret if their values are not visible in podman's own command line.
    /// `HOME` and `HOSTNAME` are omitted unless the launch set them, and so are names that
    /// [`EnvName`](rt_protocol::EnvName) rejects. Bytes that are not UTF-8 are replaced, as in
    /// podman's JSON.
    ///
    /// # Errors
    /// The same as [`Container::inspect`].
    pub fn inspect_with_env(&self, until: &Until) -> Result<Option<(ContainerInfo, Env)>> {
        self.span("inspect").run(|| Ok(self.target.inspect(until)?.map(|found| (found.info, found.env))))
    }

    fn files<T>(
        &self,
        operation: &'static str,
        until: &Until,
        act: impl FnOnce(&FileTarget<'_>) -> Result<T>,
    ) -> Result<T> {
        self.span(operation).run_on_path(|span| act(&FileTarget { container: &self.target, until, span }))
    }

    fn span(&self, operation: &'static str) -> OperationSpan {
        OperationSpan::on(operation, self.name())
    }
}

impl Container for PodmanContainer {
    fn key(&self) -> &ContainerKey {
        self.target.key()
    }

    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        let span = OperationSpan::of_command(exec::OPERATION, self.name(), request);
        span.captured(|span| exec::captured(&self.target, request, until, span))
    }

    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        let span = OperationSpan::of_command(exec::OPERATION, self.name(), request);
        span.bridged(|span| exec::bridged(&self.target, request, stdio, until, span))
    }

    fn spawn(
        &self,
        request: &ExecRequest,
        streams: &mut CommandStreams,
        until: &Until,
    ) -> Result<Box<dyn CommandControl>> {
        let span = OperationSpan::of_command(exec::OPERATION, self.name(), request);
        span.spawned(|span| exec::spawned(&self.target, request, streams, until, span))
    }

    fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>> {
        self.span("inspect").run(|| Ok(self.target.inspect(until)?.map(|found| found.info)))
    }

    fn image(&self, until: &Until) -> Result<Option<Arc<dyn Image>>> {
        const OPERATION: &str = "find the image of";
        self.span(OPERATION).run(|| {
            let Some(found) = self.target.inspect(until)? else {
                return Ok(None);
            };
            let id =
                found.info.image_id.ok_or_else(|| invalid_response(OPERATION, "podman named no image id"))?;
            Ok(Some(Arc::new(PodmanImage::new(Arc::clone(self.target.state()), id.into())) as _))
        })
    }

    fn rw_size(&self, until: &Until) -> Result<Option<u64>> {
        let limit = self.target.engine().limits.rw_size;
        let missing = || invalid_response("measure", "podman named no size").in_container(self.name());
        self.span("measure").run(|| match self.target.inspect_as("measure", limit, true, until)? {
            None => Ok(None),
            Some(found) => found.rw_size.map(Some).ok_or_else(missing),
        })
    }

    fn start(&self, until: &Until) -> Result<()> {
        self.span("start").run(|| start::start(&self.target, until))
    }

    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        self.span("stop").run(|| stop::stop(&self.target, grace, until))
    }

    fn wait(&self, until: &Until) -> Result<ExitOutcome> {
        self.span("wait for").wait(|| wait::wait(&self.target, until))
    }

    fn stats(&self, until: &Until) -> Result<ContainerStats> {
        self.span("measure the use of").run(|| stats::stats(&self.target, until))
    }

    fn pause(&self, until: &Until) -> Result<()> {
        self.span("pause").run(|| pause::pause(&self.target, until))
    }

    fn unpause(&self, until: &Until) -> Result<()> {
        self.span("unpause").run(|| pause::unpause(&self.target, until))
    }

    fn kill(&self, signal: Signal, until: &Until) -> Result<()> {
        self.span("signal").run(|| signal::kill(&self.target, signal, until))
    }

    fn remove(&self, until: &Until) -> Result<()> {
        self.span("remove").run(|| {
            let results = remove::force_remove(self.target.state(), std::slice::from_ref(self.name()), until);
            results.into_iter().find_map(|result| result.error).map_or(Ok(()), Err)
        })
    }

    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
        self.span("copy into").run(|| copy_in::copy_in(&self.target, src, dest, *options, until))
    }

    fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
        self.span("copy out of").run(|| copy_out::copy_out(&self.target, src, dest, *options, until))
    }

    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, until: &Until) -> Result<()> {
        self.span("copy into").run(|| tar::copy_in_tar(&self.target, tar, dest, until))
    }

    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
        self.span("copy out of").run(|| tar::copy_out_tar(&self.target, src, tar, until))
    }

    fn write_file(
        &self,
        path: &ContainerPath,
        bytes: &[u8],
        options: &FileOptions,
        until: &Until,
    ) -> Result<()> {
        self.files(file_operation::WRITE, until, |target| files::write(target, path, bytes, options))
    }

    fn read_file(&self, path: &ContainerPath, limit: u64, until: &Until) -> Result<Vec<u8>> {
        self.files(file_operation::READ, until, |target| files::read(target, path, limit))
    }

    fn stat(&self, path: &ContainerPath, until: &Until) -> Result<Option<FileInfo>> {
        self.files(file_operation::STAT, until, |target| files::stat(target, path))
    }

    fn list_dir(&self, path: &ContainerPath, until: &Until) -> Result<Vec<DirEntry>> {
        self.files(file_operation::LIST, until, |target| files::list(target, path))
    }

    fn remove_path(&self, path: &ContainerPath, until: &Until) -> Result<()> {
        self.files(file_operation::REMOVE, until, |target| files::remove(target, path))
    }

    fn login_command(&self, command: Option<&Argv>, until: &Until) -> Result<Vec<OsString>> {
        until.check().map_err(|stop| Error::stopped(stop, "log in to").in_container(self.name()))?;
        let engine = self.target.engine().command_words();
        let mut words = if self.name().looks_like_id() {
            by_exact_name(&engine, self.name())
        } else {
            let exec = ["exec", "-it", "--", self.name().as_str()].map(OsString::from);
            engine.into_iter().chain(exec).collect()
        };
        match command {
            Some(argv) => words.extend(argv.words().iter().cloned()),
            None => words.extend(DEFAULT_LOGIN.map(OsString::from)),
        }
        Ok(words)
    }

    fn logs(&self, options: &LogOptions, until: &Until) -> Result<Box<dyn PullStream<LogLine>>> {
        self.span("read the log of")
            .run(|| Ok(Box::new(PodmanLogStream::open(&self.target, options, until)?) as _))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Returns the words of a login for a name that podman could take for the beginning of an id. A
/// shell looks up the id of the container with exactly this name, at the time when it runs. The
/// command's words follow.
fn by_exact_name(engine: &[OsString], name: &ContainerName) -> Vec<OsString> {
    let mut podman = OsString::new();
    for word in engine {
        podman.push(quoted(word));
        podman.push(" ");
    }
    let mut script = OsString::from("id=$(");
    script.push(&podman);
    script.push(format!("ps --all --quiet --no-trunc --filter 'name=^{name}$') || exit; "));
    script.push(format!("[ -n \"$id\" ] || {{ echo 'no such container: {name}' >&2; exit 125; }}; exec "));
    script.push(&podman);
    script.push("exec -it -- \"$id\" \"$@\"");
    [OsString::from("/bin/sh"), "-c".into(), script, "sh".into()].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_by_a_name_like_an_id_asks_for_the_id_when_it_runs() {
        let engine = ["/opt/it's/podman", "--root", "/a b"].map(OsString::from);
        let words = by_exact_name(&engine, &ContainerName::new("422c").unwrap());
        let [shell, option, script, zero] = &words[..] else { panic!("{words:?}") };
        assert_eq!(
            (shell.to_str(), option.to_str(), zero.to_str()),
            (Some("/bin/sh"), Some("-c"), Some("sh"))
        );
        assert_eq!(
            script.to_str().unwrap(),
            r#"id=$('/opt/it'\''s/podman' '--root' '/a b' ps --all --quiet --no-trunc --filter 'name=^422c$') || exit; [ -n "$id" ] || { echo 'no such container: 422c' >&2; exit 125; }; exec '/opt/it'\''s/podman' '--root' '/a b' exec -it -- "$id" "$@""#
        );
    }
}
