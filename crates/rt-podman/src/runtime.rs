//! podman as a runtime, and the builder that says which podman.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;

use rt_gpu::redact_env_args;
use rt_process::{ExecMarker, TcpPortReservation};
use rt_protocol::{
    Capabilities, Container, ContainerFilter, ContainerInfo, ContainerName, ContainerRemoveResult,
    ContainerRuntime, Error, ErrorKind, Event, EventOptions, Image, ImageFilter, ImageRef, LaunchSpec,
    NamePrefix, PortReservation, PullStream, Result, RuntimeId, Source, TimeLimits, Until,
};

use crate::cli::answer::Answer;
use crate::cli::engine::{Engine, invalid_response};
use crate::cli::failure::launch_error;
use crate::container::PodmanContainer;
use crate::events::PodmanEventStream;
use crate::image::PodmanImage;
use crate::lifecycle::{create_argv, remove};
use crate::state::RuntimeState;
use crate::state::inspect::{self, Listed};
use crate::state::kill_strategy::KillStrategy;
use crate::state::profile::PodmanProfile;
use crate::state::target::Target;

/// podman on this host.
///
/// Clones share everything. Nothing is kept open between calls: each question is one `podman` process, in a process
/// group of its own, reaped before the call returns.
#[derive(Clone, Debug)]
pub struct PodmanRuntime {
    shared: Arc<RuntimeState>,
}

impl PodmanRuntime {
    /// The `podman` on PATH, with default limits. Asks it nothing.
    ///
    /// # Errors
    /// [`BackendMissing`](ErrorKind::BackendMissing), [`BackendNotExecutable`](ErrorKind::BackendNotExecutable).
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Another podman, or other limits.
    pub fn builder() -> PodmanRuntimeBuilder {
        PodmanRuntimeBuilder {
            binary: OsString::from("podman"),
            global_args: Vec::new(),
            env: Vec::new(),
            id: None,
            limits: TimeLimits::DEFAULT,
            kill_strategy: KillStrategy::Auto,
        }
    }

    /// Imports a tar archive of a root file system as an image and answers its id. `changes` are instructions such as
    /// `CMD ["/bin/sh"]`.
    ///
    /// # Errors
    /// [`TimedOut`](ErrorKind::TimedOut), [`Cancelled`](ErrorKind::Cancelled),
    /// [`SourceFailed`](ErrorKind::SourceFailed), and podman's own failures.
    pub fn import_image(
        &self,
        tar: impl Read + Send + 'static,
        reference: &ImageRef,
        changes: &[&str],
        until: &Until,
    ) -> Result<String> {
        const OPERATION: &str = "import";
        let mut args = vec![OsString::from("import"), OsString::from("--quiet")];
        for change in changes {
            args.extend([OsString::from("--change"), OsString::from(change)]);
        }
        args.extend(["--", "-", reference.as_str()].map(OsString::from));
        let engine = &self.shared.engine;
        let answer = engine
            .run(OPERATION, engine.call(args), Source::reader(tar), until)
            .map_err(|error| error.of_image(reference))?;
        let id = answer.printed().map_err(|error| error.of_image(reference))?;
        let id = id.map_err(|refusal| refusal.of_image(OPERATION, reference))?;
        Ok(id.trim().trim_start_matches("sha256:").to_owned())
    }

    /// What podman says of one published TCP port of a container, in its own words: a line `HOST:PORT` for each mapping.
    /// Bounded by [`TimeLimits::port`].
    ///
    /// # Errors
    /// podman's own failures; [`BackendFailed`](ErrorKind::BackendFailed) for a port that is not published.
    pub fn port_text(&self, name: &ContainerName, container_port: u16, until: &Until) -> Result<String> {
        const OPERATION: &str = "find the port of";
        let container = Target::new(Arc::clone(&self.shared), name.clone());
        let port = format!("{container_port}/tcp");
        let engine = &self.shared.engine;
        let answer = engine
            .ask_within(
                OPERATION,
                engine.limits.port,
                until,
                ["port", "--", &container.id_or_name(until)?, &port],
            )
            .map_err(|error| error.in_container(name))?;
        // A container that publishes nothing, or does not run, has an empty answer.
        let said = answer.told().map_err(|error| error.in_container(name))?;
        said.map_err(|refusal| refusal.of_container(OPERATION, name))
    }

    /// What this podman is: its version, and what it says of itself and of its host. Asked at the first call and
    /// remembered, by all clones together; takes a quarter of a second.
    ///
    /// # Errors
    /// When podman could not be asked, or named no version. The next call asks again.
    pub fn profile(&self) -> Result<&PodmanProfile> {
        self.profile_until(&Until::forever())
    }

    /// As [`profile`](Self::profile), for a caller that does not wait longer than `until` for podman's two answers. A
    /// deadline takes the place of [`TimeLimits::info`].
    ///
    /// # Errors
    /// As for [`profile`](Self::profile), and [`TimedOut`](ErrorKind::TimedOut), [`Cancelled`](ErrorKind::Cancelled).
    pub fn profile_until(&self, until: &Until) -> Result<&PodmanProfile> {
        self.shared.profile(until)
    }

    pub(crate) fn shared(&self) -> &Arc<RuntimeState> {
        &self.shared
    }
}

/// Says which podman a [`PodmanRuntime`] is.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PodmanRuntimeBuilder {
    binary: OsString,
    global_args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    id: Option<RuntimeId>,
    limits: TimeLimits,
    kill_strategy: KillStrategy,
}

impl PodmanRuntimeBuilder {
    /// The binary: a name that is looked up on PATH, or a path.
    pub fn binary(mut self, binary: impl AsRef<OsStr>) -> Self {
        binary.as_ref().clone_into(&mut self.binary);
        self
    }

    /// An argument before the verb of every call, such as `--root=/srv/store`.
    pub fn global_arg(mut self, argument: impl Into<OsString>) -> Self {
        self.global_args.push(argument.into());
        self
    }

    /// A variable in the environment of every call, on top of this process's own; not a secret.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Another id than the default one, see [`RuntimeId`].
    pub fn id(mut self, id: RuntimeId) -> Self {
        self.id = Some(id);
        self
    }

    /// Other limits for podman's answers.
    pub fn limits(mut self, limits: TimeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Where commands that must end are looked for.
    pub fn kill_strategy(mut self, side: KillStrategy) -> Self {
        self.kill_strategy = side;
        self
    }

    /// The runtime. Asks podman nothing.
    ///
    /// # Errors
    /// As for [`PodmanRuntime::new`].
    pub fn build(self) -> Result<PodmanRuntime> {
        let id = self.id.clone().unwrap_or_else(|| self.default_id());
        let engine = Engine::new(id, &self.binary, self.global_args, self.env, self.limits)?;
        Ok(PodmanRuntime { shared: Arc::new(RuntimeState::new(engine, self.kill_strategy)) })
    }

    /// `podman` for the podman that a shell would run; with the arguments and variables that may choose another store
    /// otherwise. Ids stand in texts: a secret is no part of one.
    fn default_id(&self) -> RuntimeId {
        let (variables, words) = self.shown();
        let id: Vec<_> = words.into_iter().chain(variables).collect();
        RuntimeId::new(id.join(":"))
    }

    /// The variables, and the binary with its arguments, as texts may show them.
    fn shown(&self) -> (Vec<String>, Vec<String>) {
        let variables = self.env.iter().map(|(name, value)| assignment(name, value));
        let command: Vec<_> =
            variables.chain([self.binary.clone()]).chain(self.global_args.iter().cloned()).collect();
        let mut shown: Vec<_> =
            redact_env_args(&command).iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let words = shown.split_off(self.env.len());
        (shown, words)
    }
}

fn assignment(name: &OsStr, value: &OsStr) -> OsString {
    [name, OsStr::new("="), value].into_iter().collect()
}

impl fmt::Debug for PodmanRuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (variables, words) = self.shown();
        f.debug_struct("PodmanRuntimeBuilder")
            .field("command", &words)
            .field("env", &variables)
            .field("id", &self.id)
            .field("limits", &self.limits)
            .field("kill_strategy", &self.kill_strategy)
            .finish_non_exhaustive()
    }
}

impl ContainerRuntime for PodmanRuntime {
    fn id(&self) -> &RuntimeId {
        &self.shared.engine.id
    }

    fn capabilities(&self) -> Capabilities {
        crate::capabilities()
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        Arc::new(PodmanContainer::new(Arc::clone(&self.shared), name.clone()))
    }

    fn list(&self, filter: &ContainerFilter, until: &Until) -> Result<Vec<ContainerInfo>> {
        let mut found = self.shared.list_with_processes("list containers", until)?;
        found.retain(|listed| filter.matches(&listed.info.name));
        self.settle(&mut found, until)?;
        Ok(found.into_iter().map(|listed| listed.info).collect())
    }

    fn rw_sizes(&self, prefix: &NamePrefix, until: &Until) -> Result<BTreeMap<ContainerName, u64>> {
        const OPERATION: &str = "measure containers";
        let args = ["ps", "--all", "--no-trunc", "--size", "--format=json"];
        let engine = &self.shared.engine;
        let answer = engine.ask_within(OPERATION, engine.limits.bulk_sizes, until, args)?;
        let rows = answer.printed()?.map_err(|refusal| refusal.error(OPERATION))?;
        let sizes = inspect::decode_ps_sizes(OPERATION, &rows)?.into_iter();
        let missing =
            |name: &ContainerName| invalid_response(OPERATION, "podman named no size").in_container(name);
        sizes
            .filter(|(name, _)| prefix.matches(name))
            .map(|(name, size)| size.ok_or_else(|| missing(&name)).map(|size| (name, size)))
            .collect()
    }

    fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
        const OPERATION: &str = "create";
        let with_container = |error: Error| error.in_container(spec.name());
        let missing = spec.required_capabilities().difference(self.capabilities());
        if !missing.is_empty() {
            return Err(with_container(Error::unsupported(OPERATION, missing)));
        }
        until.check().map_err(|stop| with_container(Error::stopped(stop, OPERATION)))?;
        let engine = &self.shared.engine;
        let marker = ExecMarker::fresh();
        let has_words = !(spec.extra_args().is_empty() && spec.gpu_args().is_empty());
        let call = if has_words { engine.spec_from_here() } else { engine.spec::<_, &str>([]) };
        let passed = create_argv::create(call, spec, &marker).map_err(with_container)?;
        let stdin = passed.stdin.unwrap_or_default();
        self.shared.forget(spec.name());
        let id = engine.run(OPERATION, passed.call, stdin, until).and_then(Answer::printed);
        match id {
            Ok(Ok(_)) => Ok(self.container(spec.name())),
            Ok(Err(refusal)) => Err(launch_error(OPERATION, spec.name(), &refusal.stderr)),
            Err(error) => {
                if is_half_done(&error) {
                    self.remove_made_by(&marker, spec.name());
                }
                Err(with_container(error))
            }
        }
    }

    fn force_remove(&self, names: &[ContainerName], until: &Until) -> Vec<ContainerRemoveResult> {
        remove::force_remove(&self.shared, names, until)
    }

    fn image(&self, reference: &ImageRef) -> Arc<dyn Image> {
        Arc::new(PodmanImage::new(Arc::clone(&self.shared), reference.clone()))
    }

    fn images(&self, filter: &ImageFilter, until: &Until) -> Result<Vec<Arc<dyn Image>>> {
        PodmanImage::list(&self.shared, *filter, until)
    }

    fn reserve_port(&self, host: IpAddr) -> Result<Box<dyn PortReservation>> {
        match TcpPortReservation::reserve(host) {
            Ok(reservation) => Ok(Box::new(reservation)),
            Err(cause) => Err(Error::new(ErrorKind::System, "reserve a port on", "")
                .with_subject(host.to_string())
                .with_hint("the address must be one of this host")
                .with_source(cause)),
        }
    }

    fn events(&self, options: &EventOptions, until: &Until) -> Result<Box<dyn PullStream<Event>>> {
        let profile = self.shared.profile(until).ok();
        let logger = profile.and_then(|profile| profile.events_logger.as_deref());
        Ok(Box::new(PodmanEventStream::open(&self.shared.engine, logger, options, until)?))
    }
}

/// Whether a call that ended with this error may have done something all the same.
fn is_half_done(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled | ErrorKind::BackendInterrupted)
}

impl PodmanRuntime {
    /// Looks again at those that podman lists with a process that is not there: they have just ended, or podman cannot know
    /// that they have, because their conmon was killed.
    fn settle(&self, found: &mut [Listed], until: &Until) -> Result<()> {
        for listed in found.iter_mut().filter(|listed| listed.has_lost_its_process()) {
            let container = Target::new(Arc::clone(&self.shared), listed.info.name.clone());
            match container.inspect(until) {
                // The numbers are of another machine's processes, all of them.
                Ok(Some(now)) if !now.is_of_this_host() => break,
                Ok(Some(now)) if now.info.id == listed.info.id => {
                    listed.info.state = now.info.state;
                    listed.info.exit_code = now.info.exit_code;
                    listed.info.finished_at = now.info.finished_at;
                }
                Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled) => {
                    return Err(error);
                }
                // It has gone since, or nobody knows: it was as the listing has it.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Removes what a `create` that was stopped may have made all the same, and never a container that somebody else has
    /// made: it goes by its id.
    fn remove_made_by(&self, marker: &ExecMarker, name: &ContainerName) {
        let container = Target::new(Arc::clone(&self.shared), name.clone());
        let limit = self.shared.engine.limits.read;
        if let Ok(Some(found)) = container.inspect_within(limit)
            && found.made_by.as_deref() == Some(marker.value())
        {
            let args = ["rm", "--force", "--volumes", "--time=0", "--", found.info.id.as_str()];
            // A container that stays is seen by its name.
            let _ = self.shared.engine.ask("remove", self.shared.engine.limits.start, args);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_runtime_shows_a_secret_of_its_settings() {
        let builder = PodmanRuntime::builder()
            .binary("/bin/sh")
            .env("REGISTRY_TOKEN", "hunter2")
            .env("LANG", "C")
            .global_arg("--url=ssh://me:hunter2@host/run/podman.sock")
            .global_arg("--log-level=info");
        let runtime = builder.clone().build().unwrap();
        assert_eq!(
            runtime.id().to_string(),
            "/bin/sh:--url=ssh://me:<redacted>@host/run/podman.sock:--log-level=info:REGISTRY_TOKEN=<redacted>:LANG=C"
        );
        let container = runtime.container(&ContainerName::new("web").unwrap());
        for text in [format!("{builder:?}"), format!("{runtime:?}"), format!("{container:?}")] {
            assert!(text.contains("LANG=C") && !text.contains("hunter2"), "{text}");
        }
        // What is run has it.
        assert!(
            container
                .login_command(None, &Until::forever())
                .unwrap()
                .contains(&OsString::from("REGISTRY_TOKEN=hunter2"))
        );
    }
}
