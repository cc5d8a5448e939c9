//! The podman program: its path, what every call gets, and how its failures to start become errors.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rt_gpu::redact_env_args;
use rt_process::{Finished, ProcessError, ProcessSpec, Program};
use rt_protocol::{
    Error, ErrorKind, Interruption, OutputLimit, Result, RuntimeId, Secret, Source, TimeLimits, Until,
    UntilError,
};

use super::answer::{Answer, Telling};
use super::caller_paths::{absolute_args, absolute_variables};

/// A podman binary, with the arguments and variables of every call.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) id: RuntimeId,
    pub(crate) limits: TimeLimits,
    program: Program,
    global_args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

/// One call of podman, and whether its log will show that a signal made it exit.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) spec: ProcessSpec,
    telling: Telling,
}

impl Call {
    /// Adds a variable to the call's environment.
    pub(crate) fn env(self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        Self { spec: self.spec.env(name, value), ..self }
    }

    /// Gives the call a secret file, as
    /// [`ProcessSpec::secret_file_to_reread`](ProcessSpec::secret_file_to_reread).
    pub(crate) fn secret_file_to_reread(self, bytes: Secret) -> Self {
        Self { spec: self.spec.secret_file_to_reread(bytes), ..self }
    }

    /// Reads the answer of the call's finished client.
    pub(crate) fn answer(&self, operation: &'static str, finished: Finished) -> Result<Answer> {
        Answer::of(operation, finished, self.telling)
    }
}

/// A call that is judged without podman's log, as calls that create or start a container must be.
impl From<ProcessSpec> for Call {
    fn from(spec: ProcessSpec) -> Self {
        Self { spec, telling: Telling::Nothing }
    }
}

/// Verbs whose log level is not changed, because conmon and the container's clean-up inherit it for
/// the container's whole life.
const LEAVE_THEIR_LOG_LEVEL: [&str; 5] = ["create", "exec", "init", "run", "start"];

/// The most that is kept of an answer. A listing of 10,000 containers has about 20 MiB.
pub(crate) const ANSWER_LIMIT: OutputLimit = OutputLimit::head_and_tail(64 << 20, 0);
/// The most that is kept of podman's stderr, mainly its end.
pub(crate) const COMPLAINT_LIMIT: OutputLimit = OutputLimit::bytes(64 << 10);

/// Variables by which a service manager addresses this process only. podman would report a
/// container's process as the service's, mount the manager's socket in the container, and pass on
/// descriptors that are not meant for it.
const OF_THIS_PROCESS: [&str; 4] = ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

impl Engine {
    pub(crate) fn new(
        id: RuntimeId,
        binary: &OsStr,
        global_args: Vec<OsString>,
        env: Vec<(OsString, OsString)>,
        limits: TimeLimits,
    ) -> Result<Self> {
        let program = Program::find(binary).map_err(|error| process_error("find podman", error))?;
        let (global_args, env) = (absolute_args(global_args), absolute_variables(env));
        Ok(Self { id, limits, program, global_args, env })
    }

    /// Returns a call of podman with these arguments. Its texts show no secret, whichever way it
    /// came into the argv.
    pub(crate) fn spec<I, S>(&self, args: I) -> ProcessSpec
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let spec = ProcessSpec::new(&self.program)
            .redact_with(|words| redact_env_args(words))
            .args(self.global_args.iter().cloned());
        let spec = OF_THIS_PROCESS.iter().fold(spec, |spec, name| spec.env_remove(*name));
        let spec = self.env.iter().fold(spec, |spec, (name, value)| spec.env(name.clone(), value.clone()));
        // conmon and network helpers keep podman's directory as long as the container lives. If it
        // were the caller's, that could not be unmounted; if it was removed, no container would
        // start.
        spec.current_dir("/").args(args)
    }

    /// Returns a call that starts no container, in the caller's own directory, because the caller's
    /// relative paths count from there. If that directory is gone, no such path exists.
    pub(crate) fn spec_from_here(&self) -> ProcessSpec {
        let spec = self.spec::<_, &str>([]);
        match std::env::current_dir() {
            Ok(here) => spec.current_dir(here),
            Err(_) => spec,
        }
    }

    /// Returns a call whose log shows when a signal makes podman exit, if its verb allows that.
    ///
    /// podman logs this at level `info`, on stderr. The caller's own level stays if it is as
    /// verbose.
    pub(crate) fn call<I, S>(&self, args: I) -> Call
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let mut args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let is_left = |verb: &OsString| LEAVE_THEIR_LOG_LEVEL.iter().any(|known| verb == known);
        let telling = if args.first().is_none_or(is_left) {
            Telling::Nothing
        } else if is_talkative(&self.global_args) {
            Telling::AsTheCallerWants
        } else {
            // After the verb, which may have two words.
            let verb = args.iter().take_while(|word| !word.as_encoded_bytes().starts_with(b"-")).count();
            args.insert(verb, OsString::from("--log-level=info"));
            Telling::Asked
        };
        Call { spec: self.spec(args), telling }
    }

    /// Returns the value of a variable in podman's environment, except the secrets of single calls.
    pub(crate) fn variable(&self, name: &str) -> Option<OsString> {
        let own = self.env.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        own.or_else(|| std::env::var_os(name))
    }

    /// Returns the words that start an interactive podman, for `execvp`.
    pub(crate) fn command_words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        if !self.env.is_empty() {
            words.push(OsString::from("env"));
            words.extend(self.env.iter().map(|(name, value)| assignment(name, value)));
        }
        words.push(PathBuf::from(self.program.path()).into_os_string());
        words.extend(self.global_args.iter().cloned());
        words
    }

    /// Runs a call within the runtime's own `limit`. Without an answer in time, podman counts as
    /// unresponsive.
    pub(crate) fn ask<I, S>(&self, operation: &'static str, limit: Duration, args: I) -> Result<Answer>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.ask_within(operation, limit, &Until::forever(), args)
    }

    /// Runs a call within the caller's `until` or the runtime's own `limit`. A deadline of the
    /// caller replaces the limit.
    pub(crate) fn ask_within<I, S>(
        &self,
        operation: &'static str,
        limit: Duration,
        until: &Until,
        args: I,
    ) -> Result<Answer>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let bounded = until.clone().or_default(limit);
        self.run(operation, self.call(args), Source::empty(), &bounded).map_err(|error| {
            if until.deadline().is_none() && error.kind() == ErrorKind::TimedOut {
                let message = format!("podman gave no answer within {} s", limit.as_secs_f32());
                Error::new(ErrorKind::BackendUnresponsive, operation, message)
                    .with_hint("see whether another podman holds a lock; `podman ps` must answer by hand")
            } else {
                error
            }
        })
    }

    /// Runs a call for as long as the caller allows.
    pub(crate) fn ask_until<I, S>(&self, operation: &'static str, until: &Until, args: I) -> Result<Answer>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.run(operation, self.call(args), Source::empty(), until)
    }

    /// Runs a call with this stdin.
    #[expect(clippy::unused_self, reason = "asking is the engine's; the call was made by it")]
    pub(crate) fn run(
        &self,
        operation: &'static str,
        call: impl Into<Call>,
        stdin: Source<'_>,
        until: &Until,
    ) -> Result<Answer> {
        let call = call.into();
        let finished = rt_process::capture(&call.spec, stdin, ANSWER_LIMIT, COMPLAINT_LIMIT, until)
            .map_err(|error| process_error(operation, error))?;
        call.answer(operation, finished)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("id", &self.id)
            .field("limits", &self.limits)
            .field("command", &format_args!("{}", self.spec::<_, &str>([])))
            .finish_non_exhaustive()
    }
}

/// Returns `NAME=value`.
pub(crate) fn assignment(name: impl AsRef<OsStr>, value: &OsStr) -> OsString {
    [name.as_ref(), OsStr::new("="), value].into_iter().collect()
}

/// Returns whether the caller's own arguments make podman log enough.
fn is_talkative(global_args: &[OsString]) -> bool {
    let mut level = None;
    let mut words = global_args.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        match word.strip_prefix("--log-level") {
            Some("") => level = words.next().map(|value| value.to_string()),
            Some(value) => level = value.strip_prefix('=').map(str::to_owned),
            None => {}
        }
    }
    level
        .is_some_and(|level| ["info", "debug", "trace"].iter().any(|known| level.eq_ignore_ascii_case(known)))
}

/// Converts a failure to start or watch podman, by the caller's next action.
pub(crate) fn process_error(operation: &'static str, error: ProcessError) -> Error {
    let (kind, hint) = match &error {
        ProcessError::NotFound { .. } => {
            (ErrorKind::BackendMissing, "install podman, or give the path of its binary")
        }
        ProcessError::NotExecutable { .. } => {
            (ErrorKind::BackendNotExecutable, "give it execute permission, or the path of another podman")
        }
        ProcessError::TooLong { .. } => {
            (ErrorKind::InvalidRequest, "pass long values through stdin or a file")
        }
        ProcessError::SigchldIgnored { .. } => {
            (ErrorKind::System, "set SIGCHLD to its default, here or in what starts this program")
        }
        ProcessError::Interrupted { interruption: Interruption::Stopped(stop), finished } => {
            return stopped(*stop, operation, &finished.stderr_capture.text());
        }
        error => return error.of_streams(operation),
    };
    Error::new(kind, operation, error.to_string()).with_hint(hint)
}

/// Builds the error for a call that the caller's `until` ended. It says what was pulled then.
pub(crate) fn stopped(stop: UntilError, operation: &'static str, stderr: &str) -> Error {
    let stopped = Error::stopped(stop, operation);
    let Some(words) = super::failure::pull_words(stderr) else { return stopped };
    let message = format!("podman still tried to pull the image: {words}");
    Error::new(stopped.kind(), operation, message)
        .with_hint("see whether the registry can be reached, or allow more time")
}

/// Builds the error for an answer that podman's version does not promise.
pub(crate) fn invalid_response(operation: &'static str, what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidResponse, operation, what)
        .with_hint("report this with the version of podman")
}

#[cfg(test)]
mod tests {
    use rt_protocol::LaunchSpec;

    use super::*;
    use crate::lifecycle::create_argv;

    #[test]
    fn service_manager_variables_do_not_reach_podman() {
        let none = Source::empty;
        if std::env::var_os(OF_THIS_PROCESS[0]).is_none() {
            // Runs itself again, with the variables of a service manager.
            let (_, module) = module_path!().split_once("::").unwrap();
            let this = format!("{module}::service_manager_variables_do_not_reach_podman");
            let program = Program::find(std::env::current_exe().unwrap()).unwrap();
            let again = ProcessSpec::new(&program).args(["--exact", &this]);
            let again = OF_THIS_PROCESS.iter().fold(again, |again, name| again.env(*name, "spoken"));
            let limit = OutputLimit::UNLIMITED;
            let answer = rt_process::capture(&again, none(), limit, limit, &Until::forever()).unwrap();
            assert_eq!(answer.status, Some(rt_process::ExitStatus::Code(0)), "{}", answer.stdout_capture);
            assert!(answer.stdout_capture.text().contains("1 passed"));
            return;
        }
        // The caller's own setting for podman stays.
        let meant = vec![(OsString::from("LISTEN_FDS"), OsString::from("meant"))];
        let engine =
            Engine::new(RuntimeId::new("x"), OsStr::new("/bin/sh"), vec![], meant, TimeLimits::DEFAULT)
                .unwrap();
        let answer = engine.run("ask", engine.spec(["-c", "env"]), none(), &Until::forever()).unwrap();
        let said = answer.printed().unwrap().unwrap();
        assert!(!said.contains("spoken") && said.contains("LISTEN_FDS=meant"), "{said}");
    }

    #[test]
    fn relative_paths_of_the_caller_count_from_its_directory() {
        let here = std::env::current_dir().unwrap();
        let conf = vec![(OsString::from("CONTAINERS_CONF"), OsString::from("a/conf"))];
        let args = vec![OsString::from("--root=a/b")];
        let engine =
            Engine::new(RuntimeId::new("x"), OsStr::new("/bin/sh"), args, conf, TimeLimits::DEFAULT).unwrap();
        let words = engine.command_words();
        assert_eq!(words.last(), Some(&OsString::from(format!("--root={}/a/b", here.display()))));
        assert_eq!(engine.variable("CONTAINERS_CONF"), Some(here.join("a/conf").into()));
    }

    #[test]
    fn no_text_of_a_launch_shows_a_secret_that_came_as_a_plain_word() {
        let engine =
            Engine::new(RuntimeId::new("x"), OsStr::new("/bin/sh"), vec![], vec![], TimeLimits::DEFAULT)
                .unwrap();
        let spec = LaunchSpec::builder("web", "localhost/bb")
            .env("DB_PASSWORD", "hunter2")
            .env("LANG", "C")
            .label("api-key", "hunter2")
            .annotation("url", "https://hunter2@host")
            .extra_args(["-ite", "GITHUBTOKEN=hunter2", "--secret=hunter2"])
            .command(["env", "TOKEN=of-the-command"])
            .build()
            .unwrap();
        let call = create_argv::create(engine.spec::<_, &str>([]), &spec, &rt_process::ExecMarker::fresh())
            .unwrap()
            .call;
        let text = format!("{call} {call:?} {engine:?}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("DB_PASSWORD=<redacted>") && text.contains("LANG=C"), "{text}");
        assert!(text.contains("TOKEN=of-the-command"), "{text}");
    }
}
