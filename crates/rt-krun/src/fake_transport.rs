//! A transport for tests: registered results and recorded calls. It enters nothing and moves no bytes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rt_protocol::sync::lock;
use rt_protocol::{
    Argv, Capture, CapturedOutput, Container, ContainerName, ContainerPath, Env, Error, ExecRequest,
    ExecResult, ExecStdio, ExitOutcome, OutputLimit, Result, StdioResult, StreamEnd, StreamReport, Until,
    User,
};

use crate::KrunTransport;

/// A transport that runs nothing: it answers what was registered for a name and an argv, and an empty success otherwise.
///
/// ```
/// use rt_krun::FakeKrunTransport;
/// use rt_protocol::{Argv, CapturedOutput, ContainerName, ExitOutcome};
///
/// let transport = FakeKrunTransport::new();
/// let name = ContainerName::new("vm-1")?;
/// transport.answer(&name, &Argv::new(["uname"])?, ExitOutcome::Code(0), CapturedOutput::complete("Linux\n"));
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
    /// In which container.
    pub container: ContainerName,
    /// The command.
    pub argv: Argv,
    /// Its variables.
    pub env: Env,
    /// Where it was to run; `None` where the request does not say.
    pub workdir: Option<ContainerPath>,
    /// As whom; likewise.
    pub user: Option<User>,
}

/// What a [`FakeKrunTransport`] answers to a command: an end and its output, or an error.
#[derive(Clone, Debug)]
#[must_use = "a reply does nothing until it is registered"]
pub struct FakeReply {
    end: Result<ExitOutcome>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl FakeReply {
    /// It ends in this way, and writes nothing.
    pub fn outcome(outcome: ExitOutcome) -> Self {
        Self { end: Ok(outcome), stdout: Vec::new(), stderr: Vec::new() }
    }

    /// It ends with this exit code, and writes nothing.
    pub fn code(code: i32) -> Self {
        Self::outcome(ExitOutcome::Code(code))
    }

    /// The call fails: the guest cannot be reached, say.
    pub fn error(error: Error) -> Self {
        Self { end: Err(error), stdout: Vec::new(), stderr: Vec::new() }
    }

    /// What it writes to stdout.
    pub fn with_stdout(mut self, stdout: impl Into<Vec<u8>>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// What it writes to stderr.
    pub fn with_stderr(mut self, stderr: impl Into<Vec<u8>>) -> Self {
        self.stderr = stderr.into();
        self
    }
}

impl FakeKrunTransport {
    /// A transport that nobody has called.
    pub fn new() -> Self {
        Self::default()
    }

    /// What this command comes to from now on: how it ends, and what it writes to stdout.
    pub fn answer(
        &self,
        container: &ContainerName,
        argv: &Argv,
        outcome: ExitOutcome,
        stdout: CapturedOutput,
    ) {
        self.reply(container, argv, FakeReply::outcome(outcome).with_stdout(stdout.into_bytes()));
    }

    /// What this command is answered from now on: how it ends and what it writes, or an error.
    pub fn reply(&self, container: &ContainerName, argv: &Argv, reply: FakeReply) {
        lock(&self.state).replies.insert((container.clone(), argv.clone()), reply);
    }

    /// The captured commands so far, in order.
    pub fn execs(&self) -> Vec<FakeExec> {
        lock(&self.state).execs.clone()
    }

    /// The bridged commands so far, in order.
    pub fn stdio_execs(&self) -> Vec<FakeExec> {
        lock(&self.state).stdio.clone()
    }

    /// The logins so far, in order.
    pub fn logins(&self) -> Vec<(ContainerName, Option<Argv>)> {
        lock(&self.state).logins.clone()
    }

    /// Whom the runtime told this transport to forget so far, in order.
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
        };
        let mut state = lock(&self.state);
        let reply = state.replies.get(&(call.container.clone(), call.argv.clone())).cloned();
        if bridged { &mut state.stdio } else { &mut state.execs }.push(call);
        reply.unwrap_or_else(|| FakeReply::code(0))
    }
}

impl KrunTransport for FakeKrunTransport {
    fn exec(&self, guest: &Arc<dyn Container>, request: &ExecRequest, _until: &Until) -> Result<ExecResult> {
        let FakeReply { end, stdout, stderr } = self.run(guest, request, false);
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
        _stdio: ExecStdio<'_>,
        _until: &Until,
    ) -> Result<StdioResult> {
        let unmoved = StreamReport::default();
        let FakeReply { end, .. } = self.run(guest, request, true);
        end.map(|outcome| StdioResult::new(outcome, unmoved, unmoved, unmoved, Duration::ZERO))
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
        assert_eq!(seen.user.as_ref().map(User::as_str), Some("dev"));
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
