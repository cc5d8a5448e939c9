//! The request to run a command.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{
    Argv, Capabilities, Capability, ContainerPath, Env, InvalidValue, OutputLimit, Secret, TerminalSize, User,
};

/// A command for [`Container::exec`](crate::Container::exec) or
/// [`exec_stdio`](crate::Container::exec_stdio).
///
/// It is plain data, and was checked when it was built, so every part is well-formed. Its time
/// limit is not part of it: that is the [`Until`](crate::Until) of the call.
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ExecRequest {
    argv: Argv,
    #[cfg_attr(feature = "serde", serde(default))]
    env: Env,
    #[cfg_attr(feature = "serde", serde(default))]
    workdir: Option<ContainerPath>,
    #[cfg_attr(feature = "serde", serde(default))]
    user: Option<User>,
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    terminal: Option<TerminalSize>,
    #[cfg_attr(feature = "serde", serde(default))]
    stdout_limit: OutputLimit,
    #[cfg_attr(feature = "serde", serde(default))]
    stderr_limit: OutputLimit,
}

impl ExecRequest {
    /// Returns a request that consists of `argv` alone.
    ///
    /// # Errors
    /// As for [`Argv::new`].
    pub fn new<I, S>(argv: I) -> Result<Self, InvalidValue>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Argv::new(argv).map(Self::from)
    }

    /// Returns a builder. [`ExecRequestBuilder::build`] reports invalid values.
    pub fn builder<I, S>(argv: I) -> ExecRequestBuilder
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        ExecRequestBuilder { request: Self::new(argv) }
    }

    /// Returns the command.
    pub fn argv(&self) -> &Argv {
        &self.argv
    }

    /// Returns the variables that are added to the container's environment.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Returns the directory in which the command starts; `None` for the container's default.
    pub fn workdir(&self) -> Option<&ContainerPath> {
        self.workdir.as_ref()
    }

    /// Returns the user of the command; `None` for the container's default.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Returns the size of the command's terminal when it starts; `None` if it has none.
    pub fn terminal(&self) -> Option<TerminalSize> {
        self.terminal
    }

    /// Returns how much of stdout is kept.
    pub fn stdout_limit(&self) -> OutputLimit {
        self.stdout_limit
    }

    /// Returns how much of stderr is kept.
    pub fn stderr_limit(&self) -> OutputLimit {
        self.stderr_limit
    }

    /// Returns whether all of both outputs is kept.
    pub fn is_unlimited(&self) -> bool {
        self.stdout_limit.is_unlimited() && self.stderr_limit.is_unlimited()
    }

    /// Returns what a backend needs for every field of the request.
    ///
    /// A backend that lacks one of them rejects the request before it starts anything. No field is
    /// ever ignored.
    pub fn required_capabilities(&self) -> Capabilities {
        let secret = self.env.has_secrets();
        let plain = self.env.iter().any(|(_, value)| !value.is_secret());
        let values_are_utf8 = self.env.iter().all(|(_, value)| value.expose().to_str().is_some());
        let workdir_is_utf8 = self.workdir.as_ref().is_none_or(|path| path.as_os_str().to_str().is_some());
        let bytes = !(self.argv.is_utf8() && values_are_utf8 && workdir_is_utf8);
        Capabilities::needed([
            (plain, Capability::ExecEnv),
            (secret, Capability::ExecSecretEnv),
            (self.workdir.is_some(), Capability::ExecWorkdir),
            (self.user.is_some(), Capability::ExecUser),
            (self.terminal.is_some(), Capability::Terminal),
            (!self.is_unlimited(), Capability::OutputLimits),
            (bytes, Capability::ByteArguments),
        ])
    }
}

impl From<Argv> for ExecRequest {
    fn from(argv: Argv) -> Self {
        Self {
            argv,
            env: Env::default(),
            workdir: None,
            user: None,
            terminal: None,
            stdout_limit: OutputLimit::UNLIMITED,
            stderr_limit: OutputLimit::UNLIMITED,
        }
    }
}

/// The `TERM` of a command with a terminal, unless the request sets it: what every terminal
/// emulator understands, and every database of terminals has.
const DEFAULT_TERM: &str = "xterm";

/// Builds an [`ExecRequest`], which has an example. [`build`](Self::build) reports the first
/// invalid value.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ExecRequestBuilder {
    request: Result<ExecRequest, InvalidValue>,
}

impl ExecRequestBuilder {
    /// Sets a variable. Logs and errors may show its value.
    pub fn env(self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.with(|request| request.env.set(name, value))
    }

    /// Sets a secret variable. No argv, log or error shows its value.
    pub fn secret_env(self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.with(|request| request.env.set_secret(name, value.into()))
    }

    /// Sets variables that were checked before.
    pub fn envs(self, env: &Env) -> Self {
        self.with(|request| request.env.set_all(env))
    }

    /// Sets the directory in which the command starts. If it does not exist in the container, the
    /// call returns [`BadWorkdir`](crate::ErrorKind::BadWorkdir).
    pub fn workdir(self, path: impl Into<PathBuf>) -> Self {
        self.with(|request| ContainerPath::new(path).map(|path| request.workdir = Some(path)))
    }

    /// Sets the user of the command: `USER` or `USER:GROUP`.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.with(|request| User::new(user).map(|user| request.user = Some(user)))
    }

    /// Gives the command a terminal of this size: its stdin, stdout and stderr are one pseudo
    /// terminal of the container, which controls the command's session.
    ///
    /// - **stdout has everything** that is written to the terminal, and what it echoes. stderr is
    ///   empty. By default the terminal writes a newline as `\r\n` and echoes what is typed; the
    ///   command can change that (`stty raw -echo`). Bytes pass unchanged from there on.
    /// - **stdin is what is typed.** `^C` (byte 3), `^Z` and `^D` (4) mean what they do at a
    ///   keyboard. A terminal has no end: when the source ends, or the pipe is closed, nothing more
    ///   is typed, and a command that reads on waits. Type `^D` at the beginning of a line where
    ///   the command should see the end. Without a stdin nothing is typed.
    /// - **It hangs up** when the command has ended, or is ended. Then processes in its foreground
    ///   get `SIGHUP`, and what others write to it is lost. What the command itself wrote is not.
    /// - `TERM` is `xterm`, unless the request sets it.
    /// - An interactive shell ignores `SIGTERM`, so a [`kill`](crate::RunningCommand::kill) of it
    ///   takes [`KILL_GRACE`](crate::KILL_GRACE). A shell that gets
    ///   [`Signal::HUP`](crate::Signal::HUP) ends at once.
    ///
    /// [`RunningCommand::resize`](crate::RunningCommand::resize) changes the size of a command that
    /// was spawned.
    ///
    /// ```
    /// use rt_protocol::{ExecRequest, TerminalSize};
    ///
    /// let request = ExecRequest::builder(["vi"]).terminal(TerminalSize::new(50, 132)?).build()?;
    /// assert!(request.env().iter().any(|(name, _)| name.as_str() == "TERM"));
    /// # Ok::<(), rt_protocol::Error>(())
    /// ```
    pub fn terminal(self, size: TerminalSize) -> Self {
        self.set(|request| request.terminal = Some(size))
    }

    /// Limits what is kept of stdout, and what is kept of stderr.
    ///
    /// In [`exec_stdio`](crate::Container::exec_stdio), a sink gets the same bytes that would be
    /// captured: the beginning as it arrives, and the kept end when the output ends. The
    /// [`StreamReport`](crate::StreamReport) counts the dropped bytes. The command is not held
    /// back.
    pub fn output_limit(self, limit: OutputLimit) -> Self {
        self.stdout_limit(limit).stderr_limit(limit)
    }

    /// Limits what is kept of stdout.
    pub fn stdout_limit(self, limit: OutputLimit) -> Self {
        self.set(|request| request.stdout_limit = limit)
    }

    /// Limits what is kept of stderr.
    pub fn stderr_limit(self, limit: OutputLimit) -> Self {
        self.set(|request| request.stderr_limit = limit)
    }

    /// Returns the request.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for the first invalid value.
    pub fn build(self) -> crate::Result<ExecRequest> {
        let mut request = self.request?;
        if request.terminal.is_some() && !request.env.iter().any(|(name, _)| name.as_str() == "TERM") {
            request.env.set("TERM", DEFAULT_TERM)?;
        }
        Ok(request)
    }

    fn set(self, change: impl FnOnce(&mut ExecRequest)) -> Self {
        self.with(|request| {
            change(request);
            Ok(())
        })
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

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn a_field_is_what_was_set() {
        let limit = OutputLimit::bytes(1);
        let request = ExecRequest::builder(["true"])
            .env("A", "b")
            .workdir("/srv")
            .user("dev")
            .stdout_limit(limit)
            .stderr_limit(OutputLimit::bytes(2))
            .build()
            .unwrap();
        assert_eq!(request.env().iter().count(), 1);
        assert_eq!(request.workdir().map(ContainerPath::as_os_str), Some("/srv".as_ref()));
        assert_eq!(request.user().map(ToString::to_string).as_deref(), Some("dev"));
        assert_eq!((request.stdout_limit(), request.stderr_limit()), (limit, OutputLimit::bytes(2)));
    }

    #[test]
    fn a_secret_variable_alone_needs_no_plain_ones() {
        let request = ExecRequest::builder(["true"]).secret_env("B", "c").build().unwrap();
        let needed: Vec<_> = request.required_capabilities().iter().collect();
        assert_eq!(needed, [Capability::ExecSecretEnv]);
    }

    #[test]
    fn a_terminal_has_a_term_which_the_request_may_set() {
        let term = |request: ExecRequest| {
            let term = request.env().iter().find(|(name, _)| name.as_str() == "TERM");
            term.map(|(_, value)| value.expose().to_str().unwrap().to_owned())
        };
        let size = TerminalSize::new(24, 80).unwrap();
        let builder = || ExecRequest::builder(["vi"]);
        assert_eq!(term(builder().build().unwrap()), None);
        let request = builder().terminal(size).build().unwrap();
        assert_eq!(request.terminal(), Some(size));
        let needed: Vec<_> = request.required_capabilities().iter().collect();
        assert_eq!(needed, [Capability::ExecEnv, Capability::Terminal]);
        assert_eq!(term(request).as_deref(), Some("xterm"));
        for request in
            [builder().terminal(size).env("TERM", "vt100"), builder().env("TERM", "vt100").terminal(size)]
        {
            assert_eq!(term(request.build().unwrap()).as_deref(), Some("vt100"));
        }
        let secret = builder().secret_env("TERM", "vt52").terminal(size).build().unwrap();
        assert_eq!(
            secret.required_capabilities().iter().collect::<Vec<_>>(),
            [Capability::ExecSecretEnv, Capability::Terminal]
        );
    }

    #[test]
    fn a_limit_of_one_output_is_a_limit() {
        let builder = || ExecRequest::builder(["true"]);
        assert!(builder().build().unwrap().is_unlimited());
        let limit = OutputLimit::bytes(1);
        for request in [builder().stdout_limit(limit), builder().stderr_limit(limit)] {
            assert!(!request.build().unwrap().is_unlimited());
        }
    }

    #[test]
    fn demands_name_each_field_that_is_used() {
        let plain = ExecRequest::new(["true"]).unwrap();
        assert_eq!(plain.required_capabilities(), Capabilities::none());
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
            assert!(full.required_capabilities().contains(needed), "{needed}");
        }
        assert!(!full.required_capabilities().contains(Capability::ByteArguments));
        let bytes = ExecRequest::new([OsString::from("printf"), OsString::from_vec(vec![0xff])]).unwrap();
        assert_eq!(bytes.required_capabilities().iter().collect::<Vec<_>>(), [Capability::ByteArguments]);
    }

    #[test]
    fn the_first_refused_part_is_reported() {
        let refused = ExecRequest::builder(["true"]).env("A B", "x").workdir("relative").build().unwrap_err();
        assert!(refused.to_string().contains("A B"), "{refused}");
    }
}
