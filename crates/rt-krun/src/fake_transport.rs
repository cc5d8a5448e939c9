//! A transport for tests, with registered results and recorded calls. It moves no bytes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rt_protocol::sync::lock;
use rt_protocol::{
    Argv, Capabilities, Capability, Capture, CapturedOutput, Container, ContainerName, ContainerPath, Env,
    Error, ExecRequest, ExecResult, ExecStdio, ExitOutcome, OutputLimit, Result, StdioResult, StreamEnd,
    StreamReport, TerminalSize, Until, User,
};

use crate::KrunTransport;

/// A transport that runs nothing. It returns the result that was registered for a name and an
/// argument list, and otherwise success without output. At a terminal, the stderr of a result
/// follows its stdout.
///
/// ```
/// use rt_krun::FakeKrunTransport;
/// use rt_protocol::{Argv, CapturedOutput, ContainerName, ExitOutcome};
///
/// let transport = FakeKrunTransport::new();
/// let name = ContainerName::new("vm-1")?;
/// let stdout = CapturedOutput::complete("Linux\n");
/// transport.answer(&name, &Argv::new(["uname"])?, ExitOutcome::Code(0), stdout);
/// assert!(transport.execs().is_empty());
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Debug, Default)]
pub struct FakeKrunTransport {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    replies: HashMap<(ContainerName, Argv), FakeReply>,
    execs: Vec<FakeExec>,
    stdio: Vec<FakeExec>,
    logins: Vec<(ContainerName, Option<Argv>)>,
    forgotten: Vec<ContainerName>,
}

/// A command that a [`FakeKrunTransport`] was asked to run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FakeExec {
    /// The container.
    pub container: ContainerName,
    /// The command.
    pub argv: Argv,
    /// The variables of the request.
    pub env: Env,
    /// The workdir of the request, if it has one.
    pub workdir: Option<ContainerPath>,
    /// The user of the request, if it has one.
    pub user: Option<User>,
    /// The terminal of the request, if it has one.
    pub terminal: Option<TerminalSize>,
}

/// The result of a command: an outcome with output, or an error.
#[derive(Clone, Debug)]
#[must_use = "a reply does nothing until it is registered"]
pub struct FakeReply {
    end: Result<ExitOutcome>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl FakeReply {
    /// Returns a result with this outcome and no output.
    pub fn outcome(outcome: ExitOutcome) -> Self {
        Self { end: Ok(outcome), stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Returns a result with this exit code and no output.
    pub fn code(code: i32) -> Self {
        Self::outcome(ExitOutcome::Code(code))
    }

    /// Returns a result that is an error, such as an unreachable guest.
    pub fn error(error: Error) -> Self {
        Self { end: Err(error), stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Sets the stdout.
    pub fn with_stdout(mut self, stdout: impl Into<Vec<u8>>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// Sets the stderr.
    pub fn with_stderr(mut self, stderr: impl Into<Vec<u8>>) -> Self {
        self.stderr = stderr.into();
        self
    }
}

impl FakeKrunTransport {
    /// Creates a transport without registered results and calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers the outcome and the stdout of this command.
    pub fn answer(
        &self,
        container: &ContainerName,
        argv: &Argv,
        outcome: ExitOutcome,
        stdout: CapturedOutput,
    ) {
        self.reply(container, argv, FakeReply::outcome(outcome).with_stdout(stdout.into_bytes()));
    }

    /// Registers the result of this command.
    pub fn reply(&self, container: &ContainerName, argv: &Argv, reply: FakeReply) {
        lock(&self.state).replies.insert((container.clone(), argv.clone()), reply);
    }

    /// Returns the captured commands so far, in order.
    pub fn execs(&self) -> Vec<FakeExec> {
        lock(&self.state).execs.clone()
    }

    /// Returns the bridged commands so far, in order.
    pub fn stdio_execs(&self) -> Vec<FakeExec> {
        lock(&self.state).stdio.clone()
    }

    /// Returns the logins so far, in order.
    pub fn logins(&self) -> Vec<(ContainerName, Option<Argv>)> {
        lock(&self.state).logins.clone()
    }

    /// Returns the containers for which the runtime called `forget` so far, in order.
    pub fn forgotten(&self) -> Vec<ContainerName> {
        lock(&self.state).forgotten.clone()
    }

    fn run(&self, guest: &Arc<dyn Container>, request: &ExecRequest, bridged: bool) -> FakeReply {
        let call = FakeExec {
            container: guest.key().name.clone(),
            argv: request.argv().clone(),
            env: request.env().clone(),
            workdir: request.workdir().cloned(),
            user: request.user().cloned(),
            terminal: request.terminal(),
        };
        let mut state = lock(&self.state);
        let reply = state.replies.get(&(call.container.clone(), call.argv.clone())).cloned();
        if bridged { &mut state.stdio } else { &mut state.execs }.push(call);
        reply.unwrap_or_else(|| FakeReply::code(0))
    }
}

impl KrunTransport for FakeKrunTransport {
    fn exec(&self, guest: &Arc<dyn Container>, request: &ExecRequest, _until: &Until) -> Result<ExecResult> {
        let FakeReply { end, mut stdout, mut stderr } = self.run(guest, request, false);
        if request.terminal().is_some() {
            stdout.append(&mut stderr);
        }
        let kept = |bytes: &[u8], limit: OutputLimit| {
            let mut capture = Capture::new(limit);
            capture.push(bytes);
            capture.finish(StreamEnd::Eof)
        };
        let (stdout, stderr) = (kept(&stdout, request.stdout_limit()), kept(&stderr, request.stderr_limit()));
        end.map(|outcome| ExecResult::new(outcome, stdout, stderr, Duration::ZERO))
    }

    fn exec_stdio(
        &self,
        guest: &Arc<dyn Container>,
        request: &ExecRequest,
        stdio: ExecStdio<'_>,
        _until: &Until,
    ) -> Result<StdioResult> {
        let unmoved = StreamReport::default();
        stdio.bridge(request, |_| {
            let FakeReply { end, .. } = self.run(guest, request, true);
            end.map(|outcome| StdioResult::new(outcome, unmoved, unmoved, unmoved, Duration::ZERO))
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capability::Terminal.into()
    }

    fn login_command(
        &self,
        guest: &Arc<dyn Container>,
        command: Option<&Argv>,
        until: &Until,
    ) -> Result<Vec<OsString>> {
        let name = guest.key().name.clone();
        until.check().map_err(|stop| Error::stopped(stop, "log in to").in_container(&name))?;
        let mut words = vec![OsString::from("fake-login"), OsString::from(name.as_str())];
        words.extend(command.into_iter().flat_map(|argv| argv.words().iter().cloned()));
        lock(&self.state).logins.push((name, command.cloned()));
        Ok(words)
    }

    fn forget(&self, container: &ContainerName) {
        lock(&self.state).forgotten.push(container.clone());
    }
}

#[cfg(test)]
mod tests {
    use rt_null::NullRuntime;
    use rt_protocol::{ContainerRuntime, ContainerRuntimeExt, ErrorKind, LaunchSpec};

    use super::*;
    use crate::KrunRuntime;

    #[test]
    fn a_program_over_krun_is_tested_without_a_podman_or_a_guest() {
        let transport = Arc::new(FakeKrunTransport::new());
        let name = ContainerName::new("vm").unwrap();
        let argv = |word: &str| Argv::new([word]).unwrap();
        let failure = FakeReply::code(3).with_stdout("0123456789").with_stderr("no\n");
        transport.reply(&name, &argv("fails"), failure);
        let gone = Error::new(ErrorKind::Unreachable, "exec in", "no route").in_container(&name);
        transport.reply(&name, &argv("unreachable"), FakeReply::error(gone));
        let runtime = KrunRuntime::over(Arc::new(NullRuntime::new()), transport.clone());
        let vm =
            runtime.launch(&LaunchSpec::builder("vm", "image").build().unwrap(), Until::forever()).unwrap();

        let request = ExecRequest::builder(["fails"])
            .workdir("/w")
            .user("dev")
            .env("A", "b")
            .stdout_limit(OutputLimit::head_and_tail(0, 2))
            .build()
            .unwrap();
        let result = vm.exec(&request, &Until::forever()).unwrap();
        assert_eq!(
            (result.outcome, result.stdout.tail(), result.stderr.as_bytes()),
            (ExitOutcome::Code(3), &b"89"[..], &b"no\n"[..])
        );
        let unreachable = ExecRequest::new(["unreachable"]).unwrap();
        assert_eq!(vm.exec(&unreachable, &Until::forever()).unwrap_err().kind(), ErrorKind::Unreachable);
        let stdio = ExecStdio::new(rt_protocol::Source::empty(), rt_protocol::Sink::discard());
        assert_eq!(
            vm.exec_stdio(&unreachable, stdio, &Until::forever()).unwrap_err().kind(),
            ErrorKind::Unreachable
        );

        let seen = &transport.execs()[0];
        assert_eq!(seen.workdir, Some(ContainerPath::new("/w").unwrap()));
        assert_eq!((seen.user.as_ref().map(User::as_str), seen.terminal), (Some("dev"), None));
        let size = TerminalSize::new(50, 132).unwrap();
        let request = ExecRequest::builder(["fails"]).terminal(size).build().unwrap();
        let screen = vm.exec(&request, &Until::forever()).unwrap();
        assert!(runtime.capabilities().contains(Capability::Terminal));
        assert_eq!(screen.stdout, "0123456789no\n");
        assert_eq!(transport.execs().pop().unwrap().terminal, Some(size));
        assert!(runtime.id().as_str().starts_with("krun:null#"), "{}", runtime.id());
        assert!(format!("{vm:?}").len() < 100, "{vm:?}");
        assert!(
            runtime
                .force_remove(std::slice::from_ref(&name), &Until::forever())
                .iter()
                .all(|result| result.removed)
        );
        assert!(transport.forgotten().contains(&name));
    }
}
