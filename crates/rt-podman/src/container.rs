//! A container of podman's: the handle, and what follows from one inspect.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rt_protocol::{
    Argv, Container, ContainerInfo, ContainerKey, ContainerName, ContainerPath, CopyOptions, Env, Error,
    ExecRequest, ExecResult, ExecStdio, ExitOutcome, Image, LogLine, LogOptions, PullStream, Result,
    StdioResult, Until,
};

use crate::cli::engine::invalid_response;
use crate::copy::{copy_in, copy_out, tar};
use crate::exec;
use crate::image::PodmanImage;
use crate::lifecycle::{start, stop, wait};
use crate::logs::PodmanLogStream;
use crate::state::RuntimeState;
use crate::state::target::Target;

/// A container of podman's.
///
/// Made by [`PodmanRuntime::container`](rt_protocol::ContainerRuntime::container). What podman itself cannot do, and
/// what is therefore reported, stands in the documentation of the [`crate`].
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

/// What a login runs when the caller has no other wish.
const DEFAULT_LOGIN: [&str; 5] = ["tmux", "new-session", "-A", "-s", "main"];

impl PodmanContainer {
    pub(crate) fn new(state: Arc<RuntimeState>, name: ContainerName) -> Self {
        Self { target: Target::new(state, name) }
    }

    /// Its name.
    pub fn name(&self) -> &ContainerName {
        self.target.name()
    }

    /// What the container is, and the variables that its image and its launch set; `None` if it does not exist. One question
    /// answers both, so they are of one container.
    ///
    /// Variables whose values podman's own command line did not show count as secret. `HOME` and `HOSTNAME` are left out
    /// unless the launch set them, and so are names that [`EnvName`](rt_protocol::EnvName) refuses. Bytes that are not UTF-8
    /// are replaced, as podman's JSON has them.
    ///
    /// # Errors
    /// As for [`Container::inspect`].
    pub fn inspect_with_env(&self, until: &Until) -> Result<Option<(ContainerInfo, Env)>> {
        Ok(self.target.inspect(until)?.map(|found| (found.info, found.env)))
    }
}

impl Container for PodmanContainer {
    fn key(&self) -> &ContainerKey {
        self.target.key()
    }

    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        exec::captured(&self.target, request, until)
    }

    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        exec::bridged(&self.target, request, stdio, until)
    }

    fn inspect(&self, until: &Until) -> Result<Option<ContainerInfo>> {
        Ok(self.target.inspect(until)?.map(|found| found.info))
    }

    fn image(&self, until: &Until) -> Result<Option<Arc<dyn Image>>> {
        let Some(info) = self.inspect(until)? else {
            return Ok(None);
        };
        let id =
            info.image_id.ok_or_else(|| invalid_response("find the image of", "podman named no image id"))?;
        Ok(Some(Arc::new(PodmanImage::new(Arc::clone(self.target.state()), id.into()))))
    }

    fn rw_size(&self, until: &Until) -> Result<Option<u64>> {
        let limit = self.target.engine().limits.rw_size;
        match self.target.inspect_as("measure", limit, true, until)? {
            None => Ok(None),
            Some(found) => found
                .rw_size
                .map(Some)
                .ok_or_else(|| invalid_response("measure", "podman named no size").in_container(self.name())),
        }
    }

    fn start(&self, until: &Until) -> Result<()> {
        start::start(&self.target, until)
    }

    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        stop::stop(&self.target, grace, until)
    }

    fn wait(&self, until: &Until) -> Result<ExitOutcome> {
        wait::wait(&self.target, until)
    }

    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
        copy_in::copy_in(&self.target, src, dest, *options, until)
    }

    fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
        copy_out::copy_out(&self.target, src, dest, *options, until)
    }

    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, until: &Until) -> Result<()> {
        tar::copy_in_tar(&self.target, tar, dest, until)
    }

    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
        tar::copy_out_tar(&self.target, src, tar, until)
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
        Ok(Box::new(PodmanLogStream::open(&self.target, options, until)?))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The words of a login for a name that podman could take for the beginning of an id: a shell asks for the id of the container
/// of exactly this name, when it runs and not before. The command's words follow.
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

/// As one word of a shell.
fn quoted(word: &OsStr) -> OsString {
    let parts = word.as_bytes().split(|byte| *byte == b'\'').collect::<Vec<_>>();
    OsString::from_vec([b"'", parts.join(&br"'\''"[..]).as_slice(), b"'"].concat())
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
