//! An agent on this machine, by a socket or behind a stream, and short ways to run commands.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rt_agent::{Agent, AgentError, AgentProgram, AgentSource, MULTIPLEX, Multiplexer, PROGRAM, PendingAgent};
use rt_process::{Child, ChildStdio, ExecMarker, ExitStatus, ProcessSpec, Program};
use rt_protocol::sync::Waker;
use rt_protocol::{
    CommandControl, CommandPipes, ContainerName, ExecRequest, ExecResult, ExecStdio, Result, StdioResult,
    Until,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionbio, read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How an agent gets its descriptors from a program that can set only the first three.
const SCRIPT: &str = "exec \"$@\" 3<&0 4<&1 0</dev/null 1>&2";

/// Long enough for everything on a slow machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// An agent that ends with this value.
pub(crate) struct LocalAgent {
    pub(crate) agent: Option<Agent>,
    pub(crate) process: Child,
    /// It was killed, so it need not exit with 0.
    pub(crate) is_killed: bool,
    /// The loop of its host's side, if it has one.
    driver: Option<Driver>,
}

/// Starts the program with this socket.
pub(crate) fn start(socket: OwnedFd, before: &[&str], arguments: &[&str]) -> Child {
    static PROGRAM: OnceLock<AgentProgram> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| AgentProgram::new().unwrap());
    let words = ["-c", SCRIPT, "sh"].iter().chain(before).chain(&["/proc/self/fd/3"]).chain(arguments);
    let spec = ProcessSpec::new(&Program::find("sh").unwrap()).args(words.copied()).current_dir("/tmp");
    let stdio = ChildStdio {
        stdin: program.as_fd().try_clone_to_owned().unwrap().into(),
        stdout: socket.into(),
        stderr: Stdio::inherit(),
    };
    Child::spawn(&spec, stdio).unwrap()
}

impl LocalAgent {
    pub(crate) fn start() -> Self {
        Self::start_with(&["env", "-i", "PATH=/usr/bin:/bin", "HOME=/root", "BASE=agent"], &[])
    }

    /// With words before the program, and after it.
    pub(crate) fn start_with(before: &[&str], arguments: &[&str]) -> Self {
        if crate::IS_MULTIPLEXED {
            return Self::start_multiplexed(before);
        }
        let (pending, socket) = PendingAgent::new().unwrap();
        let process = start(socket, before, arguments);
        match pending.hello(&Until::after(LONG)) {
            Ok(agent) => Self { agent: Some(agent), process, is_killed: false, driver: None },
            Err(error) => panic!("{error}: {:?}", process.wait(&Until::after(LONG))),
        }
    }

    /// Starts one behind a stream, as in a guest.
    fn start_multiplexed(before: &[&str]) -> Self {
        let (process, to_agent, from_agent, _home) = start_raw(before);
        let (driver, agent) = Driver::start(to_agent, from_agent);
        match agent.recv_timeout(LONG) {
            Ok(agent) => Self { agent: Some(agent), process, is_killed: false, driver: Some(driver) },
            Err(error) => panic!("{error}: {:?}", process.wait(&Until::after(LONG))),
        }
    }

    pub(crate) fn agent(&self) -> Agent {
        self.agent.clone().unwrap()
    }

    pub(crate) fn exec(&self, request: &ExecRequest, until: &Until) -> Result<ExecResult> {
        rt_agent::captured(&mut Single(self.agent()), request, &ExecMarker::fresh(), &name(), until)
    }

    pub(crate) fn exec_stdio(
        &self,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        until: &Until,
    ) -> Result<StdioResult> {
        rt_agent::bridged(
            &mut Single(self.agent()),
            request,
            &ExecMarker::fresh(),
            stdio,
            &name(),
            None,
            until,
        )
    }

    pub(crate) fn spawn(
        &self,
        request: &ExecRequest,
        pipes: &CommandPipes<'_>,
        until: &Until,
    ) -> Result<Box<dyn CommandControl>> {
        rt_agent::spawned(
            Box::new(Single(self.agent())),
            request,
            &ExecMarker::fresh(),
            pipes,
            &name(),
            until,
        )
    }

    /// The supervisors, and what finished commands have left to the agent.
    pub(crate) fn children(&self) -> Vec<u32> {
        let all = rt_process::procfs::snapshot().unwrap();
        all.iter().filter(|entry| entry.parent == self.process.pid()).map(|entry| entry.pid).collect()
    }

    /// Runs a script to its end.
    pub(crate) fn sh(&self, script: &str) -> ExecResult {
        self.exec(&shell(script), &Until::after(LONG)).unwrap()
    }
}

impl Drop for LocalAgent {
    fn drop(&mut self) {
        self.agent = None;
        self.driver = None;
        let ended = self.process.wait(&Until::after(LONG)).unwrap();
        if !std::thread::panicking() {
            assert_eq!(ended, Some(if self.is_killed { ExitStatus::Signal(9) } else { ExitStatus::Code(0) }));
        }
    }
}

/// Starts the program behind a stream, and returns the ends of that and where its file is until it
/// has started.
pub(crate) fn start_raw(before: &[&str]) -> (Child, OwnedFd, OwnedFd, TempDir) {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let place = home.path().join("agent");
    fs::write(&place, PROGRAM.unwrap()).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o555)).unwrap();
    let new_pipe = || pipe_with(PipeFlags::CLOEXEC).unwrap();
    let ((stdin, to_agent), (from_agent, stdout)) = (new_pipe(), new_pipe());
    let streams = ChildStdio { stdin: stdin.into(), stdout: stdout.into(), stderr: Stdio::inherit() };
    let words: Vec<_> = before.iter().copied().chain([place.to_str().unwrap(), MULTIPLEX]).collect();
    let program = Program::find(words[0]).unwrap();
    let spec = ProcessSpec::new(&program).args(&words[1..]).current_dir("/tmp");
    let process = Child::spawn(&spec, streams).unwrap();
    // Where its user may, it removes its file first of all.
    (process, to_agent, from_agent, home)
}

/// Moves the bytes between an agent and its multiplexer. Both end with this value.
struct Driver {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// Returns it, and where the agent comes from.
    fn start(to_agent: OwnedFd, from_agent: OwnedFd) -> (Self, Receiver<Agent>) {
        for pipe in [&to_agent, &from_agent] {
            ioctl_fionbio(pipe, true).unwrap();
        }
        let (waker, stop) = (Waker::new().unwrap(), Arc::new(AtomicBool::new(false)));
        let (tell, agent) = std::sync::mpsc::channel();
        let (own_waker, has_stopped) = (waker.clone(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut multiplexer = Multiplexer::new(own_waker.clone());
            let mut buffer = vec![0; 64 << 10];
            let mut told = false;
            while !has_stopped.load(Ordering::Relaxed) {
                own_waker.drain();
                multiplexer.advance();
                while !multiplexer.output().is_empty() {
                    match write(&to_agent, multiplexer.output()) {
                        Ok(count) => multiplexer.sent(count),
                        Err(Errno::AGAIN) => break,
                        Err(_) => return,
                    }
                }
                match read(&from_agent, &mut buffer) {
                    Ok(count @ 1..) => {
                        if multiplexer.receive(&buffer[..count]).is_err() {
                            return;
                        }
                        if let Some(agent) = multiplexer.agent().filter(|_| !told) {
                            told = true;
                            let _ = tell.send(agent.clone());
                        }
                        continue;
                    }
                    Err(Errno::AGAIN) => {}
                    Ok(_) | Err(_) => return,
                }
                let mut fds =
                    vec![PollFd::new(&own_waker, PollFlags::IN), PollFd::new(&from_agent, PollFlags::IN)];
                if !multiplexer.output().is_empty() {
                    fds.push(PollFd::new(&to_agent, PollFlags::OUT));
                }
                multiplexer.interests(&mut |fd, flags| fds.push(PollFd::from_borrowed_fd(fd, flags)));
                let _ = poll(&mut fds, None);
            }
        });
        (Self { stop, waker, thread: Some(thread) }, agent)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.waker.wake();
        let _ = self.thread.take().unwrap().join();
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

/// The process ids that processes have written into the files of a directory.
pub(crate) fn pids_in(directory: &Path) -> Vec<u32> {
    let files =
        fs::read_dir(directory).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    files.filter_map(|text| text.strip_suffix('\n')?.parse().ok()).collect()
}

/// Whether there is a process with this id that has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    rt_process::procfs::entry(pid).unwrap().is_some_and(|entry| !entry.is_zombie)
}

/// Waits until the condition holds.
pub(crate) fn wait_for(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "waited too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}
