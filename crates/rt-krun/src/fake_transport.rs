//! A transport for tests: registered results and recorded calls. It enters nothing and moves no bytes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rt_protocol::{
    Argv, CapturedOutput, Container, ContainerName, Env, ExecRequest, ExecResult, ExecStdio, ExitOutcome,
    Result, StdioResult, StreamReport, Until,
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
/// transport.answer(&name, &Argv::new(["uname"])?, ExitOutcome::Code(0), CapturedOutput::whole("Linux\n"));
/// assert!(transport.execs().is_empty());
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Debug, Default)]
pub struct FakeKrunTransport {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answers: HashMap<(ContainerName, Argv), (ExitOutcome, CapturedOutput)>,
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
        self.lock().answers.insert((container.clone(), argv.clone()), (outcome, stdout));
    }

    /// The captured commands so far, in order.
    pub fn execs(&self) -> Vec<FakeExec> {
        self.lock().execs.clone()
    }

    /// The bridged commands so far, in order.
    pub fn stdio_execs(&self) -> Vec<FakeExec> {
        self.lock().stdio.clone()
    }

    /// The logins so far, in order.
    pub fn logins(&self) -> Vec<(ContainerName, Option<Argv>)> {
        self.lock().logins.clone()
    }

    /// Whom the runtime told this transport to forget so far, in order.
    pub fn forgotten(&self) -> Vec<ContainerName> {
        self.lock().forgotten.clone()
    }

    fn run(
        &self,
        guest: &Arc<dyn Container>,
        request: &ExecRequest,
        bridged: bool,
    ) -> (ExitOutcome, CapturedOutput) {
        let call = FakeExec {
            container: guest.key().name.clone(),
            argv: request.argv().clone(),
            env: request.env().clone(),
        };
        let mut state = self.lock();
        let answer = state.answers.get(&(call.container.clone(), call.argv.clone())).cloned();
        if bridged { &mut state.stdio } else { &mut state.execs }.push(call);
        answer.unwrap_or((ExitOutcome::Code(0), CapturedOutput::default()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KrunTransport for FakeKrunTransport {
    fn exec(&self, guest: &Arc<dyn Container>, request: &ExecRequest, _until: &Until) -> Result<ExecResult> {
        let (outcome, stdout) = self.run(guest, request, false);
        Ok(ExecResult::new(outcome, stdout, CapturedOutput::default(), Duration::ZERO))
    }

    fn exec_stdio(
        &self,
        guest: &Arc<dyn Container>,
        request: &ExecRequest,
        _stdio: ExecStdio<'_>,
        _until: &Until,
    ) -> Result<StdioResult> {
        let (outcome, _) = self.run(guest, request, true);
        let unmoved = StreamReport::default();
        Ok(StdioResult::new(outcome, unmoved, unmoved, unmoved, Duration::ZERO))
    }

    fn login_command(&self, guest: &Arc<dyn Container>, command: Option<&Argv>) -> Result<Vec<OsString>> {
        let name = guest.key().name.clone();
        let mut words = vec![OsString::from("fake-login"), OsString::from(name.as_str())];
        words.extend(command.into_iter().flat_map(|argv| argv.words().iter().cloned()));
        self.lock().logins.push((name, command.cloned()));
        Ok(words)
    }

    fn forget(&self, container: &ContainerName) {
        self.lock().forgotten.push(container.clone());
    }
}
