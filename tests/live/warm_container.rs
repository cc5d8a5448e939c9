//! A container whose commands go by agents that a test can tell from all others on this machine.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rt_podman::{AgentLimits, ExecPath, PodmanRuntime, PodmanRuntimeBuilder};
use rt_process::procfs::{self, ProcessEntry};
use rt_protocol::{
    Container, ContainerRuntime, ExecRequest, ExecResult, ExitOutcome, LaunchSpecBuilder, Result, Until,
};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::Problem;
use crate::processes::{command_line, find};
use crate::sleepers::{fresh_tag, kill_sleepers, wait_for_sleepers};

/// A container with a runtime of its own.
pub(crate) struct WarmContainer<'a> {
    live: &'a Live,
    pub(crate) runtime: PodmanRuntime,
    pub(crate) sandbox: Sandbox<'a>,
    pub(crate) container: Arc<dyn Container>,
    /// The idle limit of its agents, in milliseconds: their only argument.
    tag: String,
}

impl<'a> WarmContainer<'a> {
    pub(crate) fn idle(live: &'a Live) -> Result<Self> {
        Self::launch(live, Sandbox::spec(live).command(["sleep", "777777"]))
    }

    pub(crate) fn launch(live: &'a Live, spec: LaunchSpecBuilder) -> Result<Self> {
        Self::with_runtime(live, spec, live.builder().exec_path(ExecPath::Warm))
    }

    pub(crate) fn with_runtime(
        live: &'a Live,
        spec: LaunchSpecBuilder,
        builder: PodmanRuntimeBuilder,
    ) -> Result<Self> {
        let mut limits = AgentLimits::DEFAULT;
        limits.idle = Duration::from_millis(fresh_tag().into());
        Self::with_limits(live, spec, builder, limits)
    }

    /// The idle limit must be one that no other agents have.
    pub(crate) fn with_limits(
        live: &'a Live,
        spec: LaunchSpecBuilder,
        builder: PodmanRuntimeBuilder,
        limits: AgentLimits,
    ) -> Result<Self> {
        let runtime = builder.agent_limits(limits).build()?;
        let sandbox = Sandbox::launch(&live.runtime, spec)?;
        let container = runtime.container(&sandbox.name);
        Ok(Self { live, runtime, sandbox, container, tag: limits.idle.as_millis().to_string() })
    }

    pub(crate) fn name(&self) -> &str {
        self.sandbox.name.as_str()
    }

    /// Runs a script by the path of its runtime, for at most a minute.
    pub(crate) fn sh(&self, script: &str) -> Result<ExecResult> {
        self.container.exec(&ExecRequest::new(["sh", "-c", script])?, &minute())
    }

    /// Runs a command by plain podman, as root of the container; it must end with 0.
    pub(crate) fn inside(&self, words: &[&str]) -> std::result::Result<String, Problem> {
        self.live.plain(&[&["exec", "--user=0", self.name()], words].concat())
    }

    /// Does something while a command of this user sleeps, which comes to its end afterwards.
    pub(crate) fn with_sleeper(
        &self,
        user: Option<&str>,
        during: impl FnOnce() -> std::result::Result<(), Problem>,
    ) -> std::result::Result<(), Problem> {
        let tag = fresh_tag();
        let mut request = ExecRequest::builder(["sh", "-c", &format!("sleep {tag}; exit 7")]);
        if let Some(user) = user {
            request = request.user(user);
        }
        let request = request.build()?;
        std::thread::scope(|scope| {
            let call = scope.spawn(|| self.container.exec(&request, &minute()));
            wait_for_sleepers(tag, 1);
            let done = during();
            kill_sleepers(tag);
            assert_eq!(call.join().expect("no panic")?.outcome, ExitOutcome::Code(7));
            done
        })
    }

    /// Its agents and their supervisors.
    pub(crate) fn processes(&self) -> Vec<ProcessEntry> {
        let is_one = |entry: &ProcessEntry| {
            let words = procfs::command_line(entry.pid).ok().flatten().unwrap_or_default();
            words.get(1) == Some(&self.tag) && words[0].starts_with("/proc/")
        };
        let entries = procfs::snapshot().expect("/proc").into_iter();
        entries.filter(|entry| !entry.is_zombie && is_one(entry)).collect()
    }

    /// Its agents: children of their conmons, or of runc, which leaves a moment later.
    pub(crate) fn agents(&self) -> Vec<u32> {
        let is_agent = |entry: &ProcessEntry| {
            let parent = procfs::entry(entry.parent).ok().flatten();
            parent.is_some_and(|parent| ["conmon", "runc"].iter().any(|name| parent.name.starts_with(name)))
        };
        self.processes().into_iter().filter(is_agent).map(|entry| entry.pid).collect()
    }

    pub(crate) fn agent(&self) -> u32 {
        let agents = self.agents();
        assert_eq!(agents.len(), 1, "{agents:?}");
        agents[0]
    }

    /// The supervisors of commands that run.
    pub(crate) fn supervisors(&self) -> Vec<u32> {
        let agents = self.agents();
        self.processes().into_iter().map(|entry| entry.pid).filter(|pid| !agents.contains(pid)).collect()
    }

    /// podman's clients of its agents.
    pub(crate) fn clients(&self) -> Vec<u32> {
        find(true, &["--preserve-fds=2", &self.tag])
    }

    /// The words by which its agents are told from others.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// Sends a signal as the container's root can.
    pub(crate) fn signal_inside(&self, signal: &str, pid: u32) -> std::result::Result<(), Problem> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).ok_or("no NSpid")?;
        let inner = numbers.split_whitespace().next_back().ok_or("no number")?;
        self.inside(&["kill", &format!("-{signal}"), inner])?;
        Ok(())
    }

    /// Lets its agents go, and sees that nothing of them is left: no process, no record of
    /// podman's.
    pub(crate) fn assert_leaves_nothing(&self) -> std::result::Result<(), Problem> {
        self.runtime.cool_down(&minute())?;
        self.assert_has_left_nothing()
    }

    /// Sees that no agents are there, of this runtime or of another program with the same limit.
    pub(crate) fn assert_has_left_nothing(&self) -> std::result::Result<(), Problem> {
        // The suite's own runtime may have an agent in the container, too.
        self.live.runtime.cool_down(&minute())?;
        let agents: Vec<_> = self.processes().iter().map(|entry| command_line(entry.pid)).collect();
        assert!(agents.is_empty(), "{agents:?}");
        assert_eq!(find(false, &["--preserve-fds=2", &self.tag]), [0; 0]);
        let described = |format: &str| {
            self.live.plain(&["container", "inspect", &format!("--format={format}"), self.name()])
        };
        let (id, directory) = (described("{{.Id}}")?, described("{{.StaticDir}}")?);
        wait_until("the conmons of its agents end", || {
            find(false, &["conmon", "--exec-process-spec", id.trim()]).is_empty()
        });
        match std::fs::read_dir(Path::new(directory.trim())) {
            Ok(entries) => {
                let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
                let records: Vec<_> = paths.filter(|path| path.join("exec_pid").exists()).collect();
                assert!(records.is_empty(), "{records:?}");
            }
            // With `--userns=keep-id` it is the container's root's alone.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error.into()),
        }
        assert_eq!(described("{{len .ExecIDs}}")?.trim(), "0");
        Ok(())
    }
}

pub(crate) fn minute() -> Until {
    Until::after(Duration::from_secs(60))
}

/// Waits for what must become true soon.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "20 s, and not yet: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn is_gone(pid: u32) -> bool {
    procfs::entry(pid).expect("/proc").is_none_or(|entry| entry.is_zombie)
}
