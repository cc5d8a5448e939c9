//! Containers of the tests, which remove themselves, also after a panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rt_protocol::{
    Container, ContainerName, ContainerRuntime, ContainerRuntimeExt, ExecRequest, ExecResult, LaunchSpec,
    LaunchSpecBuilder, Network, Result, Until,
};

use crate::live::Live;

/// A container of its own for one test.
#[derive(Debug)]
pub struct Sandbox<'a> {
    /// Its name.
    pub name: ContainerName,
    /// A handle on it.
    pub container: Arc<dyn Container>,
    runtime: &'a dyn ContainerRuntime,
}

impl<'a> Sandbox<'a> {
    /// The prefix of the names of this process.
    pub fn family() -> String {
        format!("rtt-{}", std::process::id())
    }

    /// A name that no other test has.
    pub fn fresh_name() -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        format!("{}-{}", Self::family(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// A running container of the full image that does nothing.
    ///
    /// # Errors
    /// What the launch answers.
    pub fn idle(live: &'a Live) -> Result<Self> {
        Self::launch(&live.runtime, Self::spec(live).command(["sleep", "777777"]))
    }

    /// The beginning of a description: the full image, no network.
    pub fn spec(live: &Live) -> LaunchSpecBuilder {
        LaunchSpec::builder(Self::fresh_name(), live.image.as_str()).network(Network::None)
    }

    /// Launches what was described.
    ///
    /// # Errors
    /// What the launch answers.
    pub fn launch(runtime: &'a dyn ContainerRuntime, spec: LaunchSpecBuilder) -> Result<Self> {
        let spec = spec.build()?;
        let container = runtime.launch(&spec, Until::after(Duration::from_secs(60)))?;
        Ok(Self { name: spec.name().clone(), container, runtime })
    }

    /// Makes what was described and does not start it.
    ///
    /// # Errors
    /// What `create` answers.
    pub fn create(runtime: &'a dyn ContainerRuntime, spec: LaunchSpecBuilder) -> Result<Self> {
        let spec = spec.build()?;
        let container = runtime.create(&spec, &Until::after(Duration::from_secs(60)))?;
        Ok(Self { name: spec.name().clone(), container, runtime })
    }

    /// One of this name that somebody else made, or failed to.
    pub fn known(runtime: &'a dyn ContainerRuntime, name: &ContainerName) -> Self {
        Self { name: name.clone(), container: runtime.container(name), runtime }
    }

    /// Runs a shell script in it, for at most a minute.
    ///
    /// # Errors
    /// What exec answers.
    pub fn sh(&self, script: &str) -> Result<ExecResult> {
        self.container.exec(&ExecRequest::new(["sh", "-c", script])?, &Until::after(Duration::from_secs(60)))
    }

    /// Returns `time`, or the time that four commands take now if that is longer. On a very busy
    /// machine a command might otherwise not begin in time.
    ///
    /// # Errors
    /// What exec answers.
    pub fn allow(&self, time: Duration) -> Result<Duration> {
        let begun = Instant::now();
        // In every image of the suite, those without a shell included.
        let request = ExecRequest::new(["/bin/sleep", "0"])?;
        self.container.exec(&request, &Until::after(Duration::from_secs(60)))?.exit_ok()?;
        Ok(time.max(4 * begun.elapsed()))
    }

    /// How many processes in it have this word in their command line, as `ps` shows it from inside.
    ///
    /// # Errors
    /// What exec answers.
    pub fn count_processes(&self, word: &str) -> Result<usize> {
        // The bracket keeps grep from finding itself.
        let (first, rest) = word.split_at(1);
        let result = self.sh(&format!("ps -o args | grep -c '[{first}]{rest}'; true"))?;
        Ok(result.stdout.text().trim().parse().unwrap_or(usize::MAX))
    }

    /// Removes it.
    pub fn remove(&self) {
        let _ = self
            .runtime
            .force_remove(std::slice::from_ref(&self.name), &Until::after(Duration::from_secs(60)));
    }
}

impl Drop for Sandbox<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}
