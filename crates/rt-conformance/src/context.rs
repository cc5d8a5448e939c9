//! What a case works with: the runtime, containers of its own, unique names and tokens, and the
//! clean-up.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rt_protocol::sync::lock;
use rt_protocol::{
    Capability, Container, ContainerExt, ContainerName, ContainerPath, ContainerRuntime, ExecRequest,
    ExecRequestBuilder, ExecResult, Image, ImageRef, LaunchSpec, LaunchSpecBuilder, NamePrefix, PullPolicy,
    Until,
};

use crate::container_cache::ContainerCache;
use crate::ensure::all_removed;
use crate::timeout::{TIMEOUT, timeout};
use crate::{Failure, Fixture, Need, Script, Verdict};

/// How often a condition is checked if no event announces it.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What one case works with.
pub(crate) struct TestContext<'a> {
    runtime: &'a dyn ContainerRuntime,
    fixture: &'a dyn Fixture,
    cache: &'a ContainerCache,
    made: Mutex<Vec<ContainerName>>,
    directories: Mutex<Vec<PathBuf>>,
    /// The exec sessions of the standing container when the case first used it.
    sessions: Mutex<Option<(ContainerName, usize)>>,
    /// How long a command took.
    pace: Mutex<Duration>,
}

/// Numbers that are unique in this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

fn unique() -> u32 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<'a> TestContext<'a> {
    pub(crate) fn new(
        runtime: &'a dyn ContainerRuntime,
        fixture: &'a dyn Fixture,
        cache: &'a ContainerCache,
    ) -> Self {
        Self {
            runtime,
            fixture,
            cache,
            made: Mutex::default(),
            directories: Mutex::default(),
            sessions: Mutex::default(),
            pace: Mutex::default(),
        }
    }

    pub(crate) fn runtime(&self) -> &'a dyn ContainerRuntime {
        self.runtime
    }

    pub(crate) fn fixture(&self) -> &'a dyn Fixture {
        self.fixture
    }

    pub(crate) fn can(&self, capability: Capability) -> bool {
        self.runtime.capabilities().contains(capability)
    }

    /// Returns a running container in which commands may be run, and nothing else may be done.
    pub(crate) fn standing(&self) -> Result<Arc<dyn Container>, Failure> {
        self.cache.check_standing()?;
        let name = match self.fixture.standing() {
            Some(name) => name,
            None => self.cache.take(&Script::Stand, || self.create_cached(&Script::Stand))?,
        };
        let mut sessions = lock(&self.sessions);
        if sessions.is_none()
            && let Some(count) = self.fixture.exec_sessions(&name)
        {
            *sessions = Some((name.clone(), count));
        }
        Ok(self.runtime.container(&name))
    }

    /// Creates the standing container and runs one command in it, so that everything that a backend
    /// opens once and keeps is open before leftovers are counted.
    pub(crate) fn warm_up(&self) -> Verdict {
        self.cache.check_standing()?;
        self.cache.warm_up(|| {
            let result = Self::run_in(self.standing()?.as_ref(), &Script::Exit(0))?;
            ensure!(result.success(), "the standing container cannot run `exit 0`: {result:?}")
        })
    }

    /// Looks, after this case has failed, whether the standing container has ended with it.
    pub(crate) fn look_after_standing(&self, case: &'static str) {
        let Some(name) = self.fixture.standing().or_else(|| self.cache.get(&Script::Stand)) else { return };
        // An engine that cannot be asked says nothing of the container.
        if let Ok(found) = self.runtime.container(&name).inspect(&timeout())
            && !found.is_some_and(|info| info.state.is_running())
        {
            self.cache.standing_is_dead(case);
        }
    }

    /// The standing container, after commands in it: whatever only a first one needs is done, a
    /// login say.
    pub(crate) fn warm_standing(&self) -> Result<Arc<dyn Container>, Failure> {
        let standing = self.standing()?;
        self.warm_up_in(standing.as_ref())?;
        Ok(standing)
    }

    /// Runs two commands in a container: one for the work of a first command, and one to measure
    /// how long a command takes here.
    pub(crate) fn warm_up_in(&self, container: &dyn Container) -> Verdict {
        for _ in 0..2 {
            let request = self.request(&Script::Exit(0))?;
            let (answer, took) = self.timed(|| container.exec(&request, &timeout()));
            let _ = answer?;
            *lock(&self.pace) = took;
        }
        Ok(())
    }

    /// Returns this time or, on a busy machine, the time of four commands. Call it after
    /// [`warm_standing`](Self::warm_standing).
    pub(crate) fn allow(&self, time: Duration) -> Duration {
        time.max(4 * *lock(&self.pace))
    }

    /// Returns a container with this main process that several cases share and none changes. If the
    /// main process ends by itself, it has ended.
    pub(crate) fn cached(&self, main: &Script) -> Result<Arc<dyn Container>, Failure> {
        let name = self.cache.take(main, || self.create_cached(main))?;
        Ok(self.runtime.container(&name))
    }

    fn create_cached(&self, main: &Script) -> Result<ContainerName, Failure> {
        for needed in [Capability::Create, Capability::Start] {
            if !self.can(needed) {
                return Err(Failure::skip(format!(
                    "the fixture has no standing container, and the backend does not claim {needed}"
                )));
            }
        }
        let name = self.unused_name()?;
        let container = self.created_as(&name, main)?;
        self.start(container.as_ref())?;
        if matches!(main, Script::Say { .. } | Script::Exit(_) | Script::Flood { .. }) {
            self.wait_for_exit(container.as_ref())?;
        }
        Ok(name)
    }

    /// Returns an unused name with the suite's prefix. The container is removed after the case.
    pub(crate) fn name(&self) -> Result<ContainerName, Failure> {
        let name = self.unused_name()?;
        self.remove_afterwards(&name);
        Ok(name)
    }

    /// Returns a name that no container has.
    pub(crate) fn unused_name(&self) -> Result<ContainerName, Failure> {
        Ok(ContainerName::new(format!("{}-{}-{}", self.fixture.prefix(), std::process::id(), unique()))?)
    }

    /// Returns a new prefix for names, below the prefix of the suite.
    pub(crate) fn family(&self) -> Result<NamePrefix, Failure> {
        Ok(NamePrefix::new(format!("{}-{}-{}", self.fixture.prefix(), std::process::id(), unique()))?)
    }

    /// Returns a name with this prefix. The container is removed after the case.
    pub(crate) fn member(&self, family: &NamePrefix, rest: &str) -> Result<ContainerName, Failure> {
        let name = ContainerName::new(format!("{family}-{rest}"))?;
        self.remove_afterwards(&name);
        Ok(name)
    }

    pub(crate) fn remove_afterwards(&self, name: &ContainerName) {
        lock(&self.made).push(name.clone());
    }

    /// Starts a launch specification: the name, the image, no pulling, and what the fixture adds.
    pub(crate) fn launch_spec(&self, name: &ContainerName) -> LaunchSpecBuilder {
        let spec = LaunchSpec::builder(name.as_str(), self.fixture.image().as_str());
        self.fixture.equip(spec.pull(PullPolicy::Never))
    }

    /// Creates the container after telling the fixture.
    pub(crate) fn create_from(&self, builder: LaunchSpecBuilder) -> Result<Arc<dyn Container>, Failure> {
        let spec = builder.build()?;
        self.fixture.before_start(&spec);
        Ok(self.runtime.create(&spec, &timeout())?)
    }

    /// Creates a container without starting it.
    pub(crate) fn created(&self, main: &Script) -> Result<Arc<dyn Container>, Failure> {
        self.created_as(&self.name()?, main)
    }

    /// The same with a given name.
    pub(crate) fn created_as(
        &self,
        name: &ContainerName,
        main: &Script,
    ) -> Result<Arc<dyn Container>, Failure> {
        self.create_from(self.launch_spec(name).command(main.argv()))
    }

    /// Creates and starts a container.
    pub(crate) fn started(&self, main: &Script) -> Result<Arc<dyn Container>, Failure> {
        let container = self.created(main)?;
        self.start(container.as_ref())?;
        Ok(container)
    }

    /// Creates a container with these settings and starts it.
    pub(crate) fn started_with(
        &self,
        with: impl FnOnce(LaunchSpecBuilder) -> LaunchSpecBuilder,
    ) -> Result<Arc<dyn Container>, Failure> {
        self.started_from(with(self.launch_spec(&self.name()?)))
    }

    /// Creates a container from a specification and starts it.
    pub(crate) fn started_from(&self, builder: LaunchSpecBuilder) -> Result<Arc<dyn Container>, Failure> {
        let container = self.create_from(builder.command(Script::Stand.argv()))?;
        self.start(container.as_ref())?;
        Ok(container)
    }

    /// Starts a container and tells the fixture.
    pub(crate) fn start(&self, container: &dyn Container) -> Verdict {
        container.start(&timeout())?;
        self.fixture.after_start(&container.key().name);
        Ok(())
    }

    /// Removes a container, by force.
    pub(crate) fn remove(&self, container: &dyn Container) -> Verdict {
        all_removed(self.runtime.force_remove(std::slice::from_ref(&container.key().name), &timeout()))
    }

    /// Returns whether the fixture meets this need, for a case that can do without.
    pub(crate) fn has(&self, need: Need) -> bool {
        self.fixture.lacks(need).is_none()
    }

    /// Runs `this` and returns how long it took on the backend's clock.
    pub(crate) fn timed<T>(&self, this: impl FnOnce() -> T) -> (T, Duration) {
        let begin = self.fixture.clock();
        let answer = this();
        (answer, self.fixture.clock().saturating_sub(begin))
    }

    /// Returns a container that does not exist.
    pub(crate) fn missing_container(&self) -> Result<Arc<dyn Container>, Failure> {
        Ok(self.runtime.container(&self.unused_name()?))
    }

    /// Returns the suite's image.
    pub(crate) fn image(&self) -> Arc<dyn Image> {
        self.runtime.image(self.fixture.image())
    }

    /// Returns an image that does not exist.
    pub(crate) fn missing_image(&self) -> Result<Arc<dyn Image>, Failure> {
        Ok(self.runtime.image(&ImageRef::new("localhost/rt-no-such-image:none")?))
    }

    pub(crate) fn request(&self, script: &Script) -> Result<ExecRequest, Failure> {
        Ok(self.builder(script).build()?)
    }

    #[expect(clippy::unused_self, reason = "reads as the others do")]
    pub(crate) fn builder(&self, script: &Script) -> ExecRequestBuilder {
        ExecRequest::builder(script.argv())
    }

    /// Runs a script in the standing container.
    pub(crate) fn run(&self, script: &Script) -> Result<ExecResult, Failure> {
        Self::run_in(self.standing()?.as_ref(), script)
    }

    /// Runs a script in this container.
    pub(crate) fn run_in(container: &dyn Container, script: &Script) -> Result<ExecResult, Failure> {
        Ok(container.exec(&ExecRequest::new(script.argv())?, &timeout())?)
    }

    /// Runs a script that must end with 0, and returns its stdout.
    pub(crate) fn text_in(container: &dyn Container, script: &Script) -> Result<String, Failure> {
        let result = Self::run_in(container, script)?;
        ensure!(result.success(), "{script:?} ended with {}: {}", result.outcome, result.stderr)?;
        Ok(result.stdout.text().into_owned())
    }

    /// Writes a file of the guest.
    pub(crate) fn write_file(container: &dyn Container, path: OsString, bytes: &[u8]) -> Verdict {
        Self::text_in(container, &Script::WriteFile { path, bytes: bytes.to_vec() }).map(drop)
    }

    /// Returns the number of processes with this token in the container.
    pub(crate) fn count(container: &dyn Container, token: u32) -> Result<usize, Failure> {
        let text = Self::text_in(container, &Script::Count(token))?;
        text.parse().map_err(|_| Failure::new(format!("the count of processes is {text:?}")))
    }

    /// Returns a number by which the processes of one command are found. As a number of seconds it
    /// is longer than any wait.
    #[expect(clippy::unused_self, reason = "reads as the others do")]
    pub(crate) fn token(&self) -> u32 {
        3_000_000 + std::process::id() % 1000 * 1000 + unique() % 1000
    }

    /// Returns an unused path of the guest; nothing exists there.
    pub(crate) fn guest_path(&self) -> Result<ContainerPath, Failure> {
        let path = format!("{}/rt-{}-{}", self.fixture.scratch(), std::process::id(), unique());
        Ok(ContainerPath::new(path)?)
    }

    /// Returns a new directory of the guest.
    pub(crate) fn guest_dir(&self, container: &dyn Container) -> Result<ContainerPath, Failure> {
        let path = self.guest_path()?;
        let made = Self::run_in(container, &Script::MakeDir(path.as_os_str().to_owned()))?;
        ensure!(made.success(), "{path} cannot be made in the guest: {}", made.stderr)?;
        Ok(path)
    }

    /// Returns an empty directory of this host, which is removed after the case.
    pub(crate) fn host_dir(&self) -> Result<PathBuf, Failure> {
        let name = format!("rt-conformance-{}-{}", std::process::id(), unique());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        lock(&self.directories).push(path.clone());
        Ok(path)
    }

    /// Repeats the check until it returns a value, within the suite's timeout.
    pub(crate) fn eventually<T>(
        what: &str,
        mut look: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let timeout = timeout();
        loop {
            if let Some(answer) = look()? {
                return Ok(answer);
            }
            if timeout.sleep(POLL_INTERVAL).is_err() {
                return Err(Failure::new(format!("after {} s still not: {what}", TIMEOUT.as_secs())));
            }
        }
    }

    /// Waits until the main process has ended, even if the backend cannot wait.
    #[expect(clippy::unused_self, reason = "reads as the others do")]
    pub(crate) fn wait_for_exit(&self, container: &dyn Container) -> Verdict {
        Self::eventually("the main process has ended", || {
            let state = container.state(timeout())?;
            ensure!(state.is_some(), "the container is gone")?;
            Ok(state.is_some_and(|state| state.has_exited()).then_some(()))
        })
    }

    /// Removes what the case created, and on request checks whether it left exec sessions.
    pub(crate) fn clean_up(&self, count_sessions: bool) -> Verdict {
        for directory in lock(&self.directories).drain(..) {
            // The files of another user may resist. That is not the fact of the case.
            let _ = std::fs::remove_dir_all(directory);
        }
        let made = std::mem::take(&mut *lock(&self.made));
        if !made.is_empty() && self.can(Capability::ForceRemove) {
            for result in self.runtime.force_remove(&made, &timeout()) {
                if let Some(error) = result.error {
                    return Err(Failure::new(format!("cleaning up: {error}")));
                }
            }
        }
        self.fixture.release();
        let sessions = lock(&self.sessions).take().filter(|_| count_sessions);
        let Some((standing, before)) = sessions else { return Ok(()) };
        // The engine removes a session a moment after its command has ended.
        let now = || self.fixture.exec_sessions(&standing).unwrap_or_default();
        let timeout = Until::after(Duration::from_secs(5));
        while now() > before {
            if timeout.sleep(POLL_INTERVAL).is_err() {
                return Err(Failure::new(format!(
                    "left behind: {} exec sessions instead of {before}",
                    now()
                )));
            }
        }
        Ok(())
    }
}

/// Joins `directory` and `name` to a path of the guest.
pub(crate) fn inside(directory: &ContainerPath, name: &str) -> OsString {
    directory.as_path().join(name).into_os_string()
}
