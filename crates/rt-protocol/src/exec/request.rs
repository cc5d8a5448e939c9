//! A command to run.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{
    Argv, Capabilities, Capability, ContainerPath, Env, Error, ErrorKind, InvalidValue, OutputLimit, Secret,
    User,
};

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
    #[cfg_attr(feature = "serde", serde(default))]
    stdout_limit: OutputLimit,
    #[cfg_attr(feature = "serde", serde(default))]
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
    pub fn required_capabilities(&self) -> Capabilities {
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
        self.with(|request| request.env.set_all(env))
    }

    /// Starts the command in this directory. A directory that is missing in the container is an error of kind
    /// [`BadWorkdir`](crate::ErrorKind::BadWorkdir) when the command is started.
    pub fn workdir(self, path: impl Into<PathBuf>) -> Self {
        self.with(|request| {
            request.workdir = Some(ContainerPath::new(path)?);
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

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

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
