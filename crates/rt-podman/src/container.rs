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
    Argv, Container, ContainerInfo, ContainerKey, ContainerName, ContainerPath, ContainerState, CopyOptions,
    Env, Error, ErrorKind, ExecRequest, ExecResult, ExecStdio, ExitOutcome, Image, ImageRef, LogOptions,
    LogStream, Result, StdioResult, Until,
};

use crate::cli::answer::Answer;
use crate::cli::engine::{Engine, bad_answer};
use crate::cli::failure::Failure;
use crate::copy::{copy_in, copy_out, tar};
use crate::exec;
use crate::exec::kill::{Claims, KillSide};
use crate::exec::target::ExecTarget;
use crate::image::PodmanImage;
use crate::lifecycle::{start, stop, wait};
use crate::logs::PodmanLogStream;
use crate::state::inspect::{self, Inspected};
use crate::state::{Overlap, RuntimeState};

/// A container of podman's.
///
/// Made by [`PodmanRuntime::container`](rt_protocol::ContainerRuntime::container). What podman itself cannot do, and
/// what is therefore reported, stands in the documentation of the [`crate`].
#[derive(Clone)]
pub struct PodmanContainer {
    key: ContainerKey,
    shared: Arc<RuntimeState>,
}

impl fmt::Debug for PodmanContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodmanContainer")
            .field("runtime", &self.key.runtime.as_str())
            .field("name", &self.key.name.as_str())
            .finish_non_exhaustive()
    }
}

/// How long podman's clean-up may take after a container's processes are gone.
const CLEAN_UP: Duration = Duration::from_millis(500);

/// What a login runs when the caller has no other wish.
const DEFAULT_LOGIN: [&str; 5] = ["tmux", "new-session", "-A", "-s", "main"];

impl PodmanContainer {
    pub(crate) fn new(shared: Arc<RuntimeState>, name: ContainerName) -> Self {
        Self { key: ContainerKey::new(shared.engine.id.clone(), name), shared }
    }

    /// Its name.
    pub fn name(&self) -> &ContainerName {
        &self.key.name
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
    pub fn inspect_with_env(&self) -> Result<Option<(ContainerInfo, Env)>> {
        Ok(self.inspect_within(self.engine().limits.read)?.map(|found| (found.info, found.env)))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(crate) fn kill_side(&self) -> KillSide {
        self.shared.kill_side
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.shared.claims
    }

    /// Counts this exec among those that run now.
    pub(crate) fn overlap(&self) -> Overlap<'_> {
        self.shared.overlap()
    }

    /// What podman is told this container is: its name, or its full id where podman could take the name for an id.
    ///
    /// podman takes an id prefix wherever it takes a name: `exec -- 422c true` ran in the container whose id begins so.
    pub(crate) fn target(&self, until: &Until) -> Result<String> {
        if !self.name().looks_like_id() {
            return Ok(self.name().to_string());
        }
        self.id_by_listing(until)?.ok_or_else(|| self.no_such("look up"))
    }

    fn id_by_listing(&self, until: &Until) -> Result<Option<String>> {
        let found = self.shared.list("look up", until).map_err(|error| error.in_container(self.name()))?;
        Ok(found.into_iter().find(|info| info.name == *self.name()).map(|info| info.id))
    }

    /// The error for a container that is not there.
    pub(crate) fn no_such(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::NoSuchContainer, operation, "")
            .in_container(self.name())
            .with_hint("create it first")
    }

    pub(crate) fn inspect_within(&self, limit: Duration) -> Result<Option<Inspected>> {
        self.inspect_as("inspect", limit, false, &Until::forever())
    }

    /// Typed, so that an image of the same name is never meant; and only by exactly this name.
    pub(crate) fn inspect_as(
        &self,
        operation: &'static str,
        limit: Duration,
        with_size: bool,
        until: &Until,
    ) -> Result<Option<Inspected>> {
        let is_by_id = self.name().looks_like_id();
        let target = if is_by_id {
            match self.id_by_listing(until)? {
                Some(id) => id,
                None => return Ok(None),
            }
        } else {
            self.name().to_string()
        };
        let mut args = vec!["container", "inspect"];
        if with_size {
            args.push("--size");
        }
        args.extend(["--", &target]);
        let about = |error: Error| error.in_container(self.name());
        let ask = || {
            let answer = self.engine().ask_within(operation, limit, until, args.iter().copied());
            self.described(operation, answer.map_err(about)?)
        };
        let mut described = ask()?;
        if described.as_ref().is_some_and(Inspected::is_abandoned) {
            // podman may be about to write down the end that it has been told of.
            std::thread::sleep(CLEAN_UP);
            described = ask()?;
        }
        let Some(mut found) = described else {
            return Ok(None);
        };
        if found.is_abandoned() {
            // podman goes by what conmon told it, and would have it running for ever.
            found.info.state = ContainerState::Stopped;
            found.info.exit_code = None;
        }
        if found.info.name == *self.name() {
            Ok(Some(found))
        } else if is_by_id {
            // It was renamed since its id was looked up.
            Ok(None)
        } else {
            Err(about(bad_answer(operation, format!("podman described `{}`", found.info.name))))
        }
    }

    /// The container that an exec enters. Refuses one that only SSH can enter: `podman exec` would land beside its guest.
    ///
    /// podman is asked once for each run of a container, where the host can see whether it is still the same one;
    /// otherwise every time.
    pub(crate) fn exec_target(&self, operation: &'static str, until: &Until) -> Result<Arc<ExecTarget>> {
        if let Some(target) = self.shared.exec_target(self.name()) {
            return Ok(target);
        }
        let limit = self.engine().limits.read;
        let found =
            self.inspect_as(operation, limit, false, until)?.ok_or_else(|| self.no_such(operation))?;
        let runtime = found.info.oci_runtime.as_deref().unwrap_or_default();
        if Path::new(runtime).file_name().is_some_and(|name| name == "krun") {
            return Err(Failure::ExecRefused.into_error(
                operation,
                self.name(),
                "Error: its OCI runtime is krun",
            ));
        }
        let target = Arc::new(ExecTarget::of(&found));
        self.shared.remember_exec_target(self.name(), &target);
        Ok(target)
    }

    /// The run of the container that an exec has entered before, if it goes on.
    pub(crate) fn known_target(&self) -> Option<Arc<ExecTarget>> {
        self.shared.exec_target(self.name())
    }

    /// Whether the run of the container that `target` was is over. False where podman does not say.
    pub(crate) fn has_gone(&self, target: &ExecTarget) -> bool {
        match target.init_is_alive() {
            Some(is_alive) => !is_alive,
            None => match self.inspect_target(target, self.engine().limits.read) {
                Ok(found) => !found.is_some_and(|found| target.is_same_run(&found)),
                Err(_) => false,
            },
        }
    }

    /// What podman says of the container that was entered, whatever its name is by now.
    pub(crate) fn inspect_target(&self, target: &ExecTarget, limit: Duration) -> Result<Option<Inspected>> {
        let args = ["container", "inspect", "--", &target.id];
        let answer = self.engine().ask("inspect", limit, args)?;
        self.described("inspect", answer)
    }

    /// What an inspect answered. Absent is what podman says is absent, and nothing else.
    fn described(&self, operation: &'static str, answer: Answer) -> Result<Option<Inspected>> {
        let about = |error: Error| error.in_container(self.name());
        match answer.printed().map_err(about)? {
            Ok(described) => inspect::decode_inspect(operation, &described).map(Some).map_err(about),
            Err(refusal) if refusal.failure() == Failure::NoSuchContainer => Ok(None),
            Err(refusal) => Err(refusal.of_container(operation, self.name())),
        }
    }
}

impl Container for PodmanContainer {
    fn key(&self) -> &ContainerKey {
        &self.key
    }

    fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        exec::captured(self, request, until)
    }

    fn exec_stdio(&self, request: &ExecRequest, stdio: ExecStdio<'_>, until: &Until) -> Result<StdioResult> {
        exec::bridged(self, request, stdio, until)
    }

    fn inspect(&self) -> Result<Option<ContainerInfo>> {
        Ok(self.inspect_within(self.engine().limits.read)?.map(|found| found.info))
    }

    fn image(&self) -> Result<Option<Arc<dyn Image>>> {
        let Some(info) = self.inspect()? else {
            return Ok(None);
        };
        let id = info.image_id.ok_or_else(|| bad_answer("find the image of", "podman named no image id"))?;
        let reference =
            ImageRef::new(id).map_err(|error| bad_answer("find the image of", error.to_string()))?;
        Ok(Some(Arc::new(PodmanImage::new(Arc::clone(&self.shared), reference))))
    }

    fn rw_size(&self) -> Result<Option<u64>> {
        let limit = self.engine().limits.rw_size;
        match self.inspect_as("measure", limit, true, &Until::forever())? {
            None => Ok(None),
            Some(found) => found
                .rw_size
                .map(Some)
                .ok_or_else(|| bad_answer("measure", "podman named no size").in_container(self.name())),
        }
    }

    fn start(&self, until: &Until) -> Result<()> {
        start::start(self, until)
    }

    fn stop(&self, grace: Duration, until: &Until) -> Result<()> {
        stop::stop(self, grace, until)
    }

    fn wait(&self, until: &Until) -> Result<ExitOutcome> {
        wait::wait(self, until)
    }

    fn copy_in(&self, src: &Path, dest: &ContainerPath, options: &CopyOptions, until: &Until) -> Result<()> {
        copy_in::copy_in(self, src, dest, *options, until)
    }

    fn copy_out(&self, src: &ContainerPath, dest: &Path, options: &CopyOptions, until: &Until) -> Result<()> {
        copy_out::copy_out(self, src, dest, *options, until)
    }

    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), dest: &ContainerPath, until: &Until) -> Result<()> {
        tar::copy_in_tar(self, tar, dest, until)
    }

    fn copy_out_tar(&self, src: &ContainerPath, tar: &mut (dyn Write + Send), until: &Until) -> Result<()> {
        tar::copy_out_tar(self, src, tar, until)
    }

    fn login_command(&self, command: Option<&Argv>) -> Result<Vec<OsString>> {
        let engine = self.engine().command_words();
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

    fn logs(&self, options: &LogOptions) -> Result<Box<dyn LogStream>> {
        Ok(Box::new(PodmanLogStream::open(self, options)?))
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
