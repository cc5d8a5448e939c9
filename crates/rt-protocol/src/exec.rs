//! A command to run and what came of it.

pub(crate) mod capture;
pub(crate) mod kill;
pub(crate) mod outcome;
pub(crate) mod stderr_tail;
pub(crate) mod stdio;

use std::ffi::OsString;
use std::time::Duration;

use crate::{
    Argv, Capabilities, Capability, CapturedOutput, ContainerPath, Env, EnvValue, Error, ErrorKind,
    ExitOutcome, InvalidValue, OutputLimit, Partial, Secret, User,
};
use stderr_tail::stderr_tail;

/// A command for [`Container::exec`](crate::Container::exec) or [`exec_stdio`](crate::Container::exec_stdio).
///
/// Pure data, checked when it was built: whoever holds one knows that its parts are well-formed. How long it may run
/// is not part of it; that is the [`Until`](crate::Until) of the call.
///
/// ```
/// use rt_protocol::{ExecRequest, OutputLimit, Secret};
///
/// let request = ExecRequest::builder(["make", "test"])
///     .workdir("/src")
///     .env("CI", "1")
///     .secret_env("TOKEN", Secret::new("hunter2"))
///     .output_limit(OutputLimit::bytes(64 * 1024))
///     .build()?;
/// assert_eq!(request.argv().program(), "make");
/// assert!(!format!("{request:?}").contains("hunter2"));
/// # Ok::<(), rt_protocol::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExecRequest {
    argv: Argv,
    env: Env,
    workdir: Option<ContainerPath>,
    user: Option<User>,
    stdout_limit: OutputLimit,
    stderr_limit: OutputLimit,
}

impl ExecRequest {
    /// A request for `argv` and nothing else.
    ///
    /// # Errors
    /// What [`Argv::new`] refuses.
    pub fn new<I, S>(argv: I) -> Result<Self, InvalidValue>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Argv::new(argv).map(Self::from)
    }

    /// Begins a request with more to it; [`ExecRequestBuilder::build`] reports what was refused.
    pub fn builder<I, S>(argv: I) -> ExecRequestBuilder
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        ExecRequestBuilder { request: Self::new(argv) }
    }

    /// The command.
    pub fn argv(&self) -> &Argv {
        &self.argv
    }

    /// The variables set on top of the container's own environment.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Where the command starts; `None` is the container's own default.
    pub fn workdir(&self) -> Option<&ContainerPath> {
        self.workdir.as_ref()
    }

    /// Who runs it; `None` is the container's own default.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// How much of stdout is kept.
    pub fn stdout_limit(&self) -> OutputLimit {
        self.stdout_limit
    }

    /// How much of stderr is kept.
    pub fn stderr_limit(&self) -> OutputLimit {
        self.stderr_limit
    }

    /// What a backend must be able to do to honour every field. A backend that lacks one of these refuses the request
    /// before it starts anything; no field is ever ignored.
    pub fn demands(&self) -> Capabilities {
        let secret = self.env.has_secrets();
        let plain = self.env.iter().any(|(_, value)| !value.is_secret());
        let limited = !self.stdout_limit.is_unlimited() || !self.stderr_limit.is_unlimited();
        let values_are_utf8 = self.env.iter().all(|(_, value)| value.expose().to_str().is_some());
        let workdir_is_utf8 = self.workdir.as_ref().is_none_or(|path| path.as_os_str().to_str().is_some());
        let bytes = !(self.argv.is_utf8() && values_are_utf8 && workdir_is_utf8);
        [
            (plain, Capability::ExecEnv),
            (secret, Capability::ExecSecretEnv),
            (self.workdir.is_some(), Capability::ExecWorkdir),
            (self.user.is_some(), Capability::ExecUser),
            (limited, Capability::OutputLimits),
            (bytes, Capability::ByteArguments),
        ]
        .into_iter()
        .filter_map(|(needed, capability)| needed.then_some(capability))
        .collect()
    }
}

impl ExecRequest {
    /// Whether the request can be bridged. Bridged output goes to the caller's sinks whole, so a request that limits it
    /// is refused rather than half obeyed. Backends ask this at the beginning of
    /// [`exec_stdio`](crate::Container::exec_stdio).
    ///
    /// # Errors
    /// An output limit, as [`ErrorKind::InvalidRequest`].
    pub fn check_bridged(&self) -> crate::Result<()> {
        if self.stdout_limit.is_unlimited() && self.stderr_limit.is_unlimited() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidRequest, "exec in", "an output limit is for captured output")
            .with_hint("leave the limit out, or limit what the sink takes"))
    }
}

impl From<Argv> for ExecRequest {
    fn from(argv: Argv) -> Self {
        Self {
            argv,
            env: Env::default(),
            workdir: None,
            user: None,
            stdout_limit: OutputLimit::UNLIMITED,
            stderr_limit: OutputLimit::UNLIMITED,
        }
    }
}

/// Builds an [`ExecRequest`]; the first refused part is reported by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ExecRequestBuilder {
    request: Result<ExecRequest, InvalidValue>,
}

impl ExecRequestBuilder {
    /// Sets a variable that texts may show.
    pub fn env(self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.with(|request| request.env.set(name, value))
    }

    /// Sets a variable that no argv, log line or error shows.
    pub fn secret_env(self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.with(|request| request.env.set_secret(name, value.into()))
    }

    /// Sets variables that were checked before.
    pub fn envs(self, env: &Env) -> Self {
        self.with(|request| {
            env.iter().try_for_each(|(name, value)| match value {
                EnvValue::Plain(plain) => request.env.set(name.as_str(), plain.clone()),
                EnvValue::Secret(secret) => request.env.set_secret(name.as_str(), secret.clone()),
            })
        })
    }

    /// Starts the command in this directory. A directory that is missing in the container is an error of kind
    /// [`BadWorkdir`](crate::ErrorKind::BadWorkdir) when the command is started.
    pub fn workdir(self, path: impl AsRef<std::ffi::OsStr>) -> Self {
        self.with(|request| {
            request.workdir = Some(ContainerPath::new(path.as_ref())?);
            Ok(())
        })
    }

    /// Runs the command as this user, `USER` or `USER:GROUP`.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.with(|request| {
            request.user = Some(User::new(user)?);
            Ok(())
        })
    }

    /// Limits what is kept of stdout and of stderr, each.
    pub fn output_limit(self, limit: OutputLimit) -> Self {
        self.stdout_limit(limit).stderr_limit(limit)
    }

    /// Limits what is kept of stdout.
    pub fn stdout_limit(self, limit: OutputLimit) -> Self {
        self.with(|request| {
            request.stdout_limit = limit;
            Ok(())
        })
    }

    /// Limits what is kept of stderr.
    pub fn stderr_limit(self, limit: OutputLimit) -> Self {
        self.with(|request| {
            request.stderr_limit = limit;
            Ok(())
        })
    }

    /// The request.
    ///
    /// # Errors
    /// The first part that was refused, as [`ErrorKind::InvalidRequest`].
    pub fn build(self) -> crate::Result<ExecRequest> {
        Ok(self.request?)
    }

    fn with(mut self, change: impl FnOnce(&mut ExecRequest) -> Result<(), InvalidValue>) -> Self {
        if let Ok(request) = &mut self.request
            && let Err(refused) = change(request)
        {
            self.request = Err(refused);
        }
        self
    }
}

/// What came of a command whose output was captured.
///
/// Equality leaves the elapsed time out, so that a test can compare whole results.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "a command that failed is no error until somebody looks; `exit_ok()` makes it one"]
pub struct ExecResult {
    /// How the command ended.
    pub outcome: ExitOutcome,
    /// What it wrote to stdout.
    pub stdout: CapturedOutput,
    /// What it wrote to stderr.
    pub stderr: CapturedOutput,
    /// From the call to the answer.
    pub elapsed: Duration,
}

impl ExecResult {
    /// A result; for backends and tests.
    pub fn new(
        outcome: ExitOutcome,
        stdout: CapturedOutput,
        stderr: CapturedOutput,
        elapsed: Duration,
    ) -> Self {
        Self { outcome, stdout, stderr, elapsed }
    }

    /// Whether the exit code is 0.
    pub fn ok(&self) -> bool {
        self.outcome.success()
    }

    /// Hands over the output when the exit code is 0, and makes every other end an error, as
    /// [`std::process::ExitStatus::exit_ok`] does.
    ///
    /// The error's message has the end of the command's stderr: its last 1,000 bytes at most, on one line. Colours are
    /// left out; what is no printable character, a newline too, is escaped. The error keeps the
    /// [outcome](Error::outcome) and [all output](Error::partial). What a command prints of its secrets is in its
    /// output, and so in this message.
    ///
    /// ```
    /// use rt_null::{ExecReply, NullRuntime};
    /// use rt_protocol::{ContainerRuntimeExt, ContainerState, ErrorKind};
    ///
    /// let runtime = NullRuntime::new();
    /// runtime.set_state("job", ContainerState::Running)?;
    /// runtime.set_exec("job", ["make"], ExecReply::code(2).with_stderr("make: *** No targets.  Stop.\n"))?;
    /// runtime.set_exec("job", ["date"], ExecReply::stdout("today\n"))?;
    /// assert_eq!(runtime.exec_in("job", ["date"])?.exit_ok()?.stdout, "today\n");
    /// let error = runtime.exec_in("job", ["make"])?.exit_ok().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::CommandFailed);
    /// assert_eq!(error.to_string(), "run: the command failed: exit code 2: make: *** No targets.  Stop.");
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`CommandFailed`](crate::ErrorKind::CommandFailed) for another code and for a signal,
    /// [`CommandLost`](crate::ErrorKind::CommandLost) for [`ExitOutcome::Lost`].
    pub fn exit_ok(self) -> crate::Result<ExecOutput> {
        if self.ok() {
            return Ok(ExecOutput { stdout: self.stdout, stderr: self.stderr });
        }
        let mut error = self.outcome.failure(&stderr_tail(&self.stderr));
        if self.outcome != ExitOutcome::Lost && self.stderr.is_empty() && !self.stdout.is_empty() {
            error = error.with_hint("it said nothing on stderr; see its stdout");
        }
        Err(error.with_partial(Partial::Output { stdout: self.stdout, stderr: self.stderr }))
    }
}

/// What a command wrote that ended with exit code 0: made by [`ExecResult::exit_ok`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ExecOutput {
    /// What it wrote to stdout.
    pub stdout: CapturedOutput,
    /// What it wrote to stderr.
    pub stderr: CapturedOutput,
}

impl PartialEq for ExecResult {
    fn eq(&self, other: &Self) -> bool {
        (&self.outcome, &self.stdout, &self.stderr) == (&other.outcome, &other.stdout, &other.stderr)
    }
}

impl Eq for ExecResult {}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn demands_name_each_field_that_is_used() {
        let plain = ExecRequest::new(["true"]).unwrap();
        assert_eq!(plain.demands(), Capabilities::none());
        let full = ExecRequest::builder(["true"])
            .env("A", "b")
            .secret_env("B", "c")
            .workdir("/")
            .user("root")
            .stdout_limit(OutputLimit::bytes(1))
            .build()
            .unwrap();
        for needed in [
            Capability::ExecEnv,
            Capability::ExecSecretEnv,
            Capability::ExecWorkdir,
            Capability::ExecUser,
            Capability::OutputLimits,
        ] {
            assert!(full.demands().contains(needed), "{needed}");
        }
        assert!(!full.demands().contains(Capability::ByteArguments));
        let bytes = ExecRequest::new([OsString::from("printf"), OsString::from_vec(vec![0xff])]).unwrap();
        assert_eq!(bytes.demands().iter().collect::<Vec<_>>(), [Capability::ByteArguments]);
    }

    #[test]
    fn the_first_refused_part_is_reported() {
        let refused = ExecRequest::builder(["true"]).env("A B", "x").workdir("relative").build().unwrap_err();
        assert!(refused.to_string().contains("A B"), "{refused}");
    }

    #[test]
    fn a_failed_command_keeps_its_output_in_the_error() {
        let result = |outcome, stderr: &str| {
            ExecResult::new(
                outcome,
                CapturedOutput::whole("out"),
                CapturedOutput::whole(stderr),
                Duration::ZERO,
            )
        };
        let output = result(ExitOutcome::Code(0), "warning").exit_ok().unwrap();
        assert_eq!((output.stdout.as_bytes(), output.stderr.as_bytes()), (&b"out"[..], &b"warning"[..]));
        for (outcome, stderr, text) in [
            (ExitOutcome::Code(7), "a\x1b[31mb\nc\n", "run: the command failed: exit code 7: ab\\nc"),
            (
                ExitOutcome::Code(7),
                "",
                "run: the command failed: exit code 7 (it said nothing on stderr; see its stdout)",
            ),
            (
                ExitOutcome::Signal("KILL".into()),
                "",
                "run: the command failed: killed by signal KILL (it said",
            ),
            (ExitOutcome::Lost, "x", "run: the command was lost: no exit status arrived: x (look at"),
        ] {
            let result = result(outcome, stderr);
            let error = result.clone().exit_ok().unwrap_err();
            assert!(error.to_string().starts_with(text), "{error}");
            assert_eq!(error.outcome(), Some(&result.outcome));
            let Some(Partial::Output { stdout, stderr }) = error.partial() else { panic!("{error:?}") };
            assert_eq!((stdout, stderr), (&result.stdout, &result.stderr));
        }
    }

    #[test]
    fn equality_leaves_the_elapsed_time_out() {
        let result = |elapsed| {
            ExecResult::new(
                ExitOutcome::Code(0),
                CapturedOutput::whole("x"),
                CapturedOutput::default(),
                elapsed,
            )
        };
        assert_eq!(result(Duration::ZERO), result(Duration::from_secs(1)));
    }
}
