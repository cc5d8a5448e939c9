//! An agent on this machine, and short ways to run commands by it.

use std::os::fd::AsFd;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use rt_agent::{Agent, AgentError, AgentProgram, AgentSource, PendingAgent};
use rt_process::{Child, ChildStdio, ProcessSpec, Program};
use rt_protocol::{ContainerName, ExecRequest, ExecResult, ExecStdio, Result, StdioResult, Until};

/// How an agent gets its descriptors from a program that can set no others than the first three.
const SCRIPT: &str = "exec \"$@\" 3<&0 4<&1 0</dev/null 1>&2";

/// Long enough for everything on a slow machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// An agent that ends with this value.
pub(crate) struct LocalAgent {
    pub(crate) agent: Option<Agent>,
    pub(crate) process: Child,
}

impl LocalAgent {
    pub(crate) fn start() -> Self {
        Self::start_with(&["env", "-i", "PATH=/usr/bin:/bin", "HOME=/root", "BASE=agent"], &[])
    }

    /// With words before the program, and behind it.
    pub(crate) fn start_with(before: &[&str], arguments: &[&str]) -> Self {
        static PROGRAM: OnceLock<AgentProgram> = OnceLock::new();
        let program = PROGRAM.get_or_init(|| AgentProgram::new().unwrap());
        let (pending, socket) = PendingAgent::new().unwrap();
        let words = ["-c", SCRIPT, "sh"].iter().chain(before).chain(&["/proc/self/fd/3"]).chain(arguments);
        let spec = ProcessSpec::new(&Program::find("sh").unwrap()).args(words.copied()).current_dir("/tmp");
        let stdio = ChildStdio {
            stdin: program.as_fd().try_clone_to_owned().unwrap().into(),
            stdout: socket.into(),
            stderr: Stdio::inherit(),
        };
        let process = Child::spawn(&spec, stdio).unwrap();
        match pending.hello(&Until::after(LONG)) {
            Ok(agent) => Self { agent: Some(agent), process },
            Err(error) => panic!("{error}: {:?}", process.wait(&Until::after(LONG))),
        }
    }

    pub(crate) fn agent(&self) -> Agent {
        self.agent.clone().unwrap()
    }

    pub(crate) fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        rt_agent::captured(&mut Single(self.agent()), request, &name(), until)
    }

    pub(crate) fn exec_stdio(
        &self,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        until: &Until,
    ) -> Result<StdioResult> {
        rt_agent::bridged(&mut Single(self.agent()), request, stdio, &name(), until)
    }

    /// Runs a script to its end.
    pub(crate) fn sh(&self, script: &str) -> ExecResult {
        self.exec(&shell(script), &Until::after(LONG)).unwrap()
    }
}

impl Drop for LocalAgent {
    fn drop(&mut self) {
        self.agent = None;
        assert_eq!(self.process.wait(&Until::after(LONG)).unwrap().unwrap().code(), Some(0));
    }
}

/// One agent, and no other.
pub(crate) struct Single(pub(crate) Agent);

impl AgentSource for Single {
    fn agent(&mut self, refused: Option<AgentError>) -> Result<Agent> {
        match refused {
            None => Ok(self.0.clone()),
            Some(error) => Err(rt_protocol::Error::new(
                rt_protocol::ErrorKind::BackendInterrupted,
                "exec in",
                error.to_string(),
            )),
        }
    }
}

pub(crate) fn name() -> ContainerName {
    "local".parse().unwrap()
}

pub(crate) fn shell(script: &str) -> ExecRequest {
    ExecRequest::new(["sh", "-c", script]).unwrap()
}
