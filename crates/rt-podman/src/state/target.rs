//! A container by its name, and the queries about it that the verbs share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rt_protocol::{ContainerKey, ContainerName, ContainerState, Error, ErrorKind, Result, Until};

use super::inspect::{self, Inspected};
use super::kill_strategy::KillStrategy;
use super::{Overlap, RuntimeState};
use crate::cli::answer::Answer;
use crate::cli::engine::{Engine, invalid_response};
use crate::cli::failure::Failure;
use crate::exec::kill::claims::Claims;
use crate::exec::target::ExecTarget;

/// How long podman's clean-up may take after a container's processes are gone.
const CLEAN_UP: Duration = Duration::from_millis(500);

/// The target of a verb: the name of a container, and its runtime.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    key: ContainerKey,
    state: Arc<RuntimeState>,
}

impl Target {
    pub(crate) fn new(state: Arc<RuntimeState>, name: ContainerName) -> Self {
        Self { key: ContainerKey::new(state.engine.id.clone(), name), state }
    }

    pub(crate) fn key(&self) -> &ContainerKey {
        &self.key
    }

    pub(crate) fn name(&self) -> &ContainerName {
        &self.key.name
    }

    pub(crate) fn state(&self) -> &Arc<RuntimeState> {
        &self.state
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.state.engine
    }

    pub(crate) fn kill_strategy(&self) -> KillStrategy {
        self.state.kill_strategy
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.state.claims
    }

    /// Counts this exec among those that run now.
    pub(crate) fn overlap(&self) -> Overlap<'_> {
        self.state.overlap()
    }

    /// Returns the word for podman: the container's name, or its full id if podman could take the
    /// name for an id.
    ///
    /// podman accepts an id prefix wherever it accepts a name: `exec -- 422c true` ran in the
    /// container whose id begins with it.
    pub(crate) fn id_or_name(&self, until: &Until) -> Result<String> {
        if !self.name().looks_like_id() {
            return Ok(self.name().to_string());
        }
        self.id_by_listing(until)?.ok_or_else(|| self.no_such("look up"))
    }

    fn id_by_listing(&self, until: &Until) -> Result<Option<String>> {
        let found = self.state.list("look up", until).map_err(|error| error.in_container(self.name()))?;
        Ok(found.into_iter().find(|info| info.name == *self.name()).map(|info| info.id.into()))
    }

    /// Builds the error for a container that does not exist.
    pub(crate) fn no_such(&self, operation: &'static str) -> Error {
        Error::new(ErrorKind::NoSuchContainer, operation, "")
            .in_container(self.name())
            .with_hint("create it first")
    }

    /// Inspects within the caller's `until`, or else the runtime's own limit.
    pub(crate) fn inspect(&self, until: &Until) -> Result<Option<Inspected>> {
        self.inspect_as("inspect", self.engine().limits.read, false, until)
    }

    pub(crate) fn inspect_within(&self, limit: Duration) -> Result<Option<Inspected>> {
        self.inspect_as("inspect", limit, false, &Until::forever())
    }

    /// Inspects with type container, so that an image of the same name does not match, and only by
    /// exactly this name.
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
        let with_container = |error: Error| error.in_container(self.name());
        let ask = || {
            let answer = self.engine().ask_within(operation, limit, until, args.iter().copied());
            self.described(operation, answer.map_err(with_container)?)
        };
        let mut described = ask()?;
        if described.as_ref().is_some_and(Inspected::is_abandoned) {
            // podman may be about to record the end that was reported to it.
            until.sleep(CLEAN_UP).map_err(|stop| with_container(Error::stopped(stop, operation)))?;
            described = ask()?;
        }
        let Some(mut found) = described else {
            return Ok(None);
        };
        if found.is_abandoned() {
            // podman relies on conmon's report, and would consider it running forever.
            found.info.state = ContainerState::Stopped;
            found.info.exit_code = None;
        }
        if found.info.name == *self.name() {
            Ok(Some(found))
        } else if is_by_id {
            // It was renamed since its id was looked up.
            Ok(None)
        } else {
            Err(with_container(invalid_response(
                operation,
                format!("podman described `{}`", found.info.name),
            )))
        }
    }

    /// Returns the container that an exec enters. Refuses one that only SSH can enter:
    /// `podman exec` would end up beside its guest.
    ///
    /// podman is asked once for each run of a container if the host can see whether it is still the
    /// same one; otherwise every time.
    pub(crate) fn exec_target(&self, operation: &'static str, until: &Until) -> Result<Arc<ExecTarget>> {
        if let Some(target) = self.state.exec_target(self.name()) {
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
        self.state.remember_exec_target(self.name(), &target);
        Ok(target)
    }

    /// Returns the run of the container that an earlier exec entered, if it still runs.
    pub(crate) fn known_target(&self) -> Option<Arc<ExecTarget>> {
        self.state.exec_target(self.name())
    }

    /// Returns whether the run in `target` is over. False if podman does not say.
    pub(crate) fn has_gone(&self, target: &ExecTarget) -> bool {
        match target.init_is_alive() {
            Some(is_alive) => !is_alive,
            None => match self.inspect_target(target, self.engine().limits.read) {
                Ok(found) => !found.is_some_and(|found| target.is_same_run(&found)),
                Err(_) => false,
            },
        }
    }

    /// Inspects the container that was entered, whatever its name is now.
    pub(crate) fn inspect_target(&self, target: &ExecTarget, limit: Duration) -> Result<Option<Inspected>> {
        let args = ["container", "inspect", "--", &target.id];
        let answer = self.engine().ask("inspect", limit, args)?;
        self.described("inspect", answer)
    }

    /// Decodes the answer of an inspect. Only podman's explicit answer counts as absent.
    fn described(&self, operation: &'static str, answer: Answer) -> Result<Option<Inspected>> {
        let with_container = |error: Error| error.in_container(self.name());
        match answer.printed().map_err(with_container)? {
            Ok(described) => inspect::decode_inspect(operation, &described).map(Some).map_err(with_container),
            Err(refusal) if refusal.failure() == Failure::NoSuchContainer => Ok(None),
            Err(refusal) => Err(refusal.of_container(operation, self.name())),
        }
    }
}
