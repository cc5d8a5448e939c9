//! podman as a runtime, and the builder that selects the podman.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rt_gpu::redact_env_args;
use rt_process::{ExecMarker, TcpPortReservation};
use rt_protocol::{
    Capabilities, Container, ContainerFilter, ContainerInfo, ContainerName, ContainerRemoveResult,
    ContainerRuntime, Error, ErrorKind, Event, EventOptions, Image, ImageFilter, ImageId, ImageRef,
    LaunchSpec, NamePrefix, OperationSpan, PortReservation, PullOptions, PullProgress, PullStream, Result,
    RuntimeId, Source, TimeLimits, Until, User,
};

use crate::cli::answer::Answer;
use crate::cli::engine::{Engine, assignment, invalid_response};
use crate::cli::failure::launch_error;
use crate::container::PodmanContainer;
use crate::events::PodmanEventStream;
use crate::exec::warm::agent_limits::AgentLimits;
use crate::exec::warm::exec_path::{ColdReason, ExecPath, NoAgent, Warmth};
use crate::image::PodmanImage;
use crate::lifecycle::{create_argv, create_leftovers, remove};
use crate::pull;
use crate::state::RuntimeState;
use crate::state::inspect::{self, Listed};
use crate::state::kill_strategy::KillStrategy;
use crate::state::profile::PodmanProfile;
use crate::state::target::Target;

/// podman on this host.
///
/// Clones share everything. Each query is one `podman` process in its own process group, which is
/// reaped before the call returns.
#[derive(Clone, Debug)]
pub struct PodmanRuntime {
    shared: Arc<RuntimeState>,
}

impl PodmanRuntime {
    /// Returns a runtime for the `podman` on PATH, with default limits. Does not run podman.
    ///
    /// # Errors
    /// [`BackendMissing`](ErrorKind::BackendMissing),
    /// [`BackendNotExecutable`](ErrorKind::BackendNotExecutable).
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Returns a builder for another podman, or other limits.
    pub fn builder() -> PodmanRuntimeBuilder {
        PodmanRuntimeBuilder {
            binary: OsString::from("podman"),
            global_args: Vec::new(),
            env: Vec::new(),
            id: None,
            limits: TimeLimits::DEFAULT,
            kill_strategy: KillStrategy::Auto,
            exec_path: ExecPath::default(),
            agent_limits: AgentLimits::DEFAULT,
        }
    }

    /// Imports a tar archive of a root file system as an image and returns its id. `changes` are
    /// instructions such as `CMD ["/bin/sh"]`.
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
        OperationSpan::new(OPERATION).run(|| {
            let mut args = vec![OsString::from("import"), OsString::from("--quiet")];
            for change in changes {
                args.extend([OsString::from("--change"), OsString::from(change)]);
            }
            args.extend(["--", "-", reference.as_str()].map(OsString::from));
            let engine = &self.shared.engine;
            let answer = engine.run(OPERATION, engine.call(args), Source::reader(tar), until);
            let id = answer.and_then(Answer::text).map_err(|error| error.of_image(reference))?;
            Ok(id.trim().trim_start_matches("sha256:").to_owned())
        })
    }

    /// Returns podman's text about one published TCP port of a container: a line `HOST:PORT` for
    /// each mapping. Limited by [`TimeLimits::port`].
    ///
    /// # Errors
    /// podman's own failures; [`BackendFailed`](ErrorKind::BackendFailed) if the port is not
    /// published.
    pub fn port_text(&self, name: &ContainerName, container_port: u16, until: &Until) -> Result<String> {
        const OPERATION: &str = "find the port of";
        OperationSpan::on(OPERATION, name).run(|| {
            let container = Target::new(Arc::clone(&self.shared), name.clone());
            let port = format!("{container_port}/tcp");
            let engine = &self.shared.engine;
            let args = ["port", "--", &container.id_or_name(until)?, &port];
            let answer = engine.ask_within(OPERATION, engine.limits.port, until, args);
            // If a container publishes nothing, or does not run, podman prints nothing.
            let said = answer.and_then(Answer::told).map_err(|error| error.in_container(name))?;
            said.map_err(|refusal| refusal.of_container(OPERATION, name))
        })
    }

    /// Returns this podman's version, and what it reports about itself and its host. podman is
    /// called once, and the answer is shared by all clones. Takes about 250 ms.
    ///
    /// # Errors
    /// If podman could not be called, or named no version. The next call tries again.
    pub fn profile(&self) -> Result<&PodmanProfile> {
        self.profile_until(&Until::forever())
    }

    /// Returns the same as [`profile`](Self::profile), and waits no longer than `until` for
    /// podman's two answers. A deadline replaces [`TimeLimits::info`].
    ///
    /// # Errors
    /// The errors of [`profile`](Self::profile), and [`TimedOut`](ErrorKind::TimedOut),
    /// [`Cancelled`](ErrorKind::Cancelled).
    pub fn profile_until(&self, until: &Until) -> Result<&PodmanProfile> {
        self.shared.profile(until)
    }

    /// Starts the agent of a container for commands of `user`, or of the container's own user,
    /// unless there is one; and says whether commands go by it. The first command does the same.
    ///
    /// # Errors
    /// [`NoSuchContainer`](ErrorKind::NoSuchContainer), [`TimedOut`](ErrorKind::TimedOut),
    /// [`Cancelled`](ErrorKind::Cancelled), and podman's own failures.
    pub fn warm_up(&self, name: &ContainerName, user: Option<&User>, until: &Until) -> Result<Warmth> {
        const OPERATION: &str = "warm up";
        OperationSpan::on(OPERATION, name).run(|| {
            if self.shared.exec_path == ExecPath::Cold {
                return Ok(Warmth::Cold(ColdReason::Chosen));
            }
            let container = Target::new(Arc::clone(&self.shared), name.clone());
            let target = container.exec_target(OPERATION, until)?;
            match self.shared.agents.agent(&self.shared.engine, &target, user, until) {
                Ok(_) => Ok(Warmth::Warm),
                Err(NoAgent::Cold(reason)) => Ok(Warmth::Cold(reason)),
                Err(NoAgent::Stopped(stop)) => Err(Error::stopped(stop, OPERATION).in_container(name)),
            }
        })
    }

    /// Lets all agents go, and waits until they and their clients have ended. An agent ends after
    /// the commands that go by it. The next command starts another one.
    ///
    /// # Errors
    /// [`TimedOut`](ErrorKind::TimedOut), [`Cancelled`](ErrorKind::Cancelled): some have not ended
    /// yet. They end by themselves.
    pub fn cool_down(&self, until: &Until) -> Result<()> {
        const OPERATION: &str = "cool down";
        OperationSpan::new(OPERATION).run(|| {
            let cooled = self.shared.agents.cool_down(&self.shared.engine, until);
            cooled.map_err(|stop| Error::stopped(stop, OPERATION))
        })
    }

    pub(crate) fn shared(&self) -> &Arc<RuntimeState> {
        &self.shared
    }
}

/// Builds a [`PodmanRuntime`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PodmanRuntimeBuilder {
    binary: OsString,
    global_args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    id: Option<RuntimeId>,
    limits: TimeLimits,
    kill_strategy: KillStrategy,
    exec_path: ExecPath,
    agent_limits: AgentLimits,
}

impl PodmanRuntimeBuilder {
    /// Sets the binary: a name that is looked up on PATH, or a path.
    pub fn binary(mut self, binary: impl AsRef<OsStr>) -> Self {
        binary.as_ref().clone_into(&mut self.binary);
        self
    }

    /// Adds an argument before the verb of every call, such as `--root=/srv/store`.
    pub fn global_arg(mut self, argument: impl Into<OsString>) -> Self {
        self.global_args.push(argument.into());
        self
    }

    /// Sets a variable in the environment of every call, on top of this process's own; not a
    /// secret.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets another id than the default one, see [`RuntimeId`].
    pub fn id(mut self, id: RuntimeId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets other limits for podman's answers.
    pub fn limits(mut self, limits: TimeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets where the processes of commands that must end are searched.
    pub fn kill_strategy(mut self, side: KillStrategy) -> Self {
        self.kill_strategy = side;
        self
    }

    /// Sets how commands get into containers. The default is [`ExecPath::Auto`].
    pub fn exec_path(mut self, path: ExecPath) -> Self {
        self.exec_path = path;
        self
    }

    /// Sets how many agents are kept on the warm path, and for how long.
    pub fn agent_limits(mut self, limits: AgentLimits) -> Self {
        self.agent_limits = limits;
        self
    }

    /// Builds the runtime. Does not run podman.
    ///
    /// # Errors
    /// The same as [`PodmanRuntime::new`].
    pub fn build(self) -> Result<PodmanRuntime> {
        let id = self.id.clone().unwrap_or_else(|| self.default_id());
        let engine = Engine::new(id, &self.binary, self.global_args, self.env, self.limits)?;
        let state = RuntimeState::new(engine, self.kill_strategy, self.exec_path, self.agent_limits);
        Ok(PodmanRuntime { shared: Arc::new(state) })
    }

    /// Returns `podman` for the podman that a shell would run; otherwise with the arguments and
    /// variables that may select another store. Ids appear in texts, so an id contains no secret.
    fn default_id(&self) -> RuntimeId {
        let (variables, words) = self.shown();
        let id: Vec<_> = words.into_iter().chain(variables).collect();
        RuntimeId::new(id.join(":"))
    }

    /// Returns the variables, and the binary with its arguments, as texts may show them.
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

impl fmt::Debug for PodmanRuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (variables, words) = self.shown();
        f.debug_struct("PodmanRuntimeBuilder")
            .field("command", &words)
            .field("env", &variables)
            .field("id", &self.id)
            .field("limits", &self.limits)
            .field("kill_strategy", &self.kill_strategy)
            .field("exec_path", &self.exec_path)
            .field("agent_limits", &self.agent_limits)
            .finish_non_exhaustive()
    }
}

impl ContainerRuntime for PodmanRuntime {
    fn id(&self) -> &RuntimeId {
        &self.shared.engine.id
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.exec_path.capabilities()
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        Arc::new(PodmanContainer::new(Arc::clone(&self.shared), name.clone()))
    }

    fn list(&self, filter: &ContainerFilter, until: &Until) -> Result<Vec<ContainerInfo>> {
        OperationSpan::new("list containers").run(|| {
            let mut found = self.shared.list_with_processes("list containers", until)?;
            found.retain(|listed| filter.matches(&listed.info));
            self.settle(&mut found, until)?;
            Ok(found.into_iter().map(|listed| listed.info).collect())
        })
    }

    fn rw_sizes(&self, prefix: &NamePrefix, until: &Until) -> Result<BTreeMap<ContainerName, u64>> {
        const OPERATION: &str = "measure containers";
        OperationSpan::new(OPERATION).run(|| {
            let args = ["ps", "--all", "--no-trunc", "--size", "--format=json"];
            let engine = &self.shared.engine;
            let rows = engine.ask_within(OPERATION, engine.limits.bulk_sizes, until, args)?.text()?;
            let sizes = inspect::decode_ps_sizes(OPERATION, &rows)?.into_iter();
            let missing =
                |name: &ContainerName| invalid_response(OPERATION, "podman named no size").in_container(name);
            sizes
                .filter(|(name, _)| prefix.matches(name))
                .map(|(name, size)| size.ok_or_else(|| missing(&name)).map(|size| (name, size)))
                .collect()
        })
    }

    fn create(&self, spec: &LaunchSpec, until: &Until) -> Result<Arc<dyn Container>> {
        const OPERATION: &str = "create";
        OperationSpan::on(OPERATION, spec.name()).run(|| {
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
            let began = SystemTime::now();
            let id = engine.run(OPERATION, passed.call, stdin, until).and_then(Answer::printed);
            match id {
                Ok(Ok(_)) => Ok(self.container(spec.name())),
                Ok(Err(refusal)) => Err(launch_error(OPERATION, spec.name(), &refusal.stderr)),
                Err(error) => {
                    if is_half_done(&error) {
                        create_leftovers::remove(&self.shared, &marker, spec.name(), began);
                    }
                    Err(with_container(error))
                }
            }
        })
    }

    fn force_remove(&self, names: &[ContainerName], until: &Until) -> Vec<ContainerRemoveResult> {
        // Each container has its own result.
        let removed =
            OperationSpan::new("remove").run(|| Ok(remove::force_remove(&self.shared, names, until)));
        removed.unwrap_or_default()
    }

    fn image(&self, reference: &ImageRef) -> Arc<dyn Image> {
        Arc::new(PodmanImage::new(Arc::clone(&self.shared), reference.clone()))
    }

    fn images(&self, filter: &ImageFilter, until: &Until) -> Result<Vec<Arc<dyn Image>>> {
        OperationSpan::new("list images").run(|| PodmanImage::list(&self.shared, *filter, until))
    }

    fn pull_image(
        &self,
        reference: &ImageRef,
        options: &PullOptions,
        progress: &mut dyn FnMut(PullProgress),
        until: &Until,
    ) -> Result<ImageId> {
        OperationSpan::new("pull").run(|| {
            let engine = &self.shared.engine;
            // If podman cannot say it, the pull will show why.
            let profile = self.shared.profile(until).ok();
            let here = profile.filter(|profile| profile.remote != Some(true));
            let blobs = here.and_then(|profile| {
                engine.variable("TMPDIR").map(PathBuf::from).or_else(|| profile.image_copy_tmp_dir.clone())
            });
            pull::pull(engine, blobs.as_deref(), reference, options, progress, until)
        })
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
        OperationSpan::new("watch events").run(|| {
            let profile = self.shared.profile(until).ok();
            let logger = profile.and_then(|profile| profile.events_logger.as_deref());
            Ok(Box::new(PodmanEventStream::open(&self.shared.engine, logger, options, until)?) as _)
        })
    }
}

/// Returns whether a call that ended with this error may have had an effect all the same.
fn is_half_done(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled | ErrorKind::BackendInterrupted)
}

impl PodmanRuntime {
    /// Checks again the containers that podman lists with a process that does not exist: they have
    /// just ended, or podman cannot know that they have, because their conmon was killed.
    fn settle(&self, found: &mut [Listed], until: &Until) -> Result<()> {
        for listed in found.iter_mut().filter(|listed| listed.has_lost_its_process()) {
            let container = Target::new(Arc::clone(&self.shared), listed.info.name.clone());
            match container.inspect(until) {
                // All pids are of another machine.
                Ok(Some(now)) if !now.is_of_this_host() => break,
                Ok(Some(now)) if now.info.id == listed.info.id => {
                    listed.info.state = now.info.state;
                    listed.info.exit_code = now.info.exit_code;
                    listed.info.finished_at = now.info.finished_at;
                }
                Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled) => {
                    return Err(error);
                }
                // It has gone since, or its state is unknown: the listing's state stays.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
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
        // The started command has it.
        assert!(
            container
                .login_command(None, &Until::forever())
                .unwrap()
                .contains(&OsString::from("REGISTRY_TOKEN=hunter2"))
        );
    }
}
