//! podman as a program to ask: where it is, what every call of it gets, and how its own failures are told.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rt_gpu::redact_env_args;
use rt_process::{Finished, ProcessError, ProcessSpec, Program};
use rt_protocol::{
    Error, ErrorKind, Interruption, OutputLimit, Result, RuntimeId, Source, TimeLimits, Until,
};

use super::answer::{Answer, Telling};
use super::caller_paths::{absolute_args, absolute_variables};

/// One podman: a binary and what goes with every call of it.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) id: RuntimeId,
    pub(crate) limits: TimeLimits,
    program: Program,
    global_args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

/// One call of podman that is about to be made, and whether it will tell that somebody made it leave.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) spec: ProcessSpec,
    telling: Telling,
}

impl Call {
    /// The call with a variable more in its environment.
    pub(crate) fn env(self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        Self { spec: self.spec.env(name, value), ..self }
    }

    /// What its client, which has finished, left with.
    pub(crate) fn answer(&self, operation: &'static str, finished: Finished) -> Result<Answer> {
        Answer::of(operation, finished, self.telling)
    }
}

/// A call that is judged without podman's log, as those must be that make or start a container.
impl From<ProcessSpec> for Call {
    fn from(spec: ProcessSpec) -> Self {
        Self { spec, telling: Telling::Nothing }
    }
}

/// Verbs whose log level stays: conmon and the clean-up of the container are started with it, for all of its life.
const LEAVE_THEIR_LOG_LEVEL: [&str; 5] = ["create", "exec", "init", "run", "start"];

/// The most that is kept of an answer: a listing of 10,000 containers is some 20 MiB.
const ANSWER_LIMIT: OutputLimit = OutputLimit::head_and_tail(64 << 20, 0);
/// The most that is kept of podman's complaints, its end above all.
const COMPLAINT_LIMIT: OutputLimit = OutputLimit::bytes(64 << 10);

/// Variables by which a service manager speaks to this process alone. podman would report a container's process as the
/// service's, mount the manager's socket in the container, and hand it descriptors that were never meant for it.
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

    /// A call of podman with these arguments. No text of it shows a secret, however that came into the argv.
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
        // conmon and the helpers of a network keep podman's directory as long as the container lives. One of the caller's
        // could then not be unmounted, and where it was removed, no container starts.
        spec.current_dir("/").args(args)
    }

    /// A call that starts no container, in the caller's own directory: paths in words of the caller's count from there.
    /// Where that directory is gone, no such path leads anywhere.
    pub(crate) fn spec_from_here(&self) -> ProcessSpec {
        let spec = self.spec::<_, &str>([]);
        match std::env::current_dir() {
            Ok(here) => spec.current_dir(here),
            Err(_) => spec,
        }
    }

    /// A call of podman that tells when somebody makes it leave, where its verb allows that.
    ///
    /// podman says so at its log level `info`, on stderr; the caller's own level stays when it is as talkative.
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
            // Behind the verb, which may have two words.
            let verb = args.iter().take_while(|word| !word.as_encoded_bytes().starts_with(b"-")).count();
            args.insert(verb, OsString::from("--log-level=info"));
            Telling::Asked
        };
        Call { spec: self.spec(args), telling }
    }

    /// The value of a variable in podman's environment, secrets of single calls aside.
    pub(crate) fn variable(&self, name: &str) -> Option<OsString> {
        let own = self.env.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        own.or_else(|| std::env::var_os(name))
    }

    /// The words that start an interactive podman, for `execvp`.
    pub(crate) fn command_words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        if !self.env.is_empty() {
            words.push(OsString::from("env"));
            words.extend(self.env.iter().map(|(name, value)| {
                let mut pair = name.clone();
                pair.push("=");
                pair.push(value);
                pair
            }));
        }
        words.push(PathBuf::from(self.program.path()).into_os_string());
        words.extend(self.global_args.iter().cloned());
        words
    }

    /// Asks within the runtime's own `limit`: no answer in time means that podman is unresponsive.
    pub(crate) fn ask<I, S>(&self, operation: &'static str, limit: Duration, args: I) -> Result<Answer>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.ask_within(operation, limit, &Until::forever(), args)
    }

    /// Asks within the caller's `until` and the runtime's own `limit`, whichever ends first. A caller's deadline takes
    /// the place of the limit.
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

    /// Asks as long as the caller allows.
    pub(crate) fn ask_until<I, S>(&self, operation: &'static str, until: &Until, args: I) -> Result<Answer>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.run(operation, self.call(args), Source::empty(), until)
    }

    /// Asks with something on stdin.
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

/// Whether the caller's own arguments have podman log as much as is needed.
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

/// A failure to start or watch podman, by the caller's next move.
pub(crate) fn process_error(operation: &'static str, error: ProcessError) -> Error {
    match error {
        ProcessError::NotFound { .. } => Error::new(ErrorKind::BackendMissing, operation, error.to_string())
            .with_hint("install podman, or give the path of its binary"),
        ProcessError::NotExecutable { .. } => {
            Error::new(ErrorKind::BackendNotExecutable, operation, error.to_string())
                .with_hint("give it execute permission, or the path of another podman")
        }
        ProcessError::TooLong { .. } => Error::new(ErrorKind::InvalidRequest, operation, error.to_string())
            .with_hint("pass long values through stdin or a file"),
        ProcessError::SigchldIgnored { .. } => Error::new(ErrorKind::System, operation, error.to_string())
            .with_hint("set SIGCHLD to its default, here or in what starts this program"),
        ProcessError::UnsupportedFd { .. } => {
            Error::new(ErrorKind::InvalidRequest, operation, error.to_string())
                .with_hint("give a stream socket or a pipe")
        }
        ProcessError::Interrupted { interruption: Interruption::Stopped(stop), finished } => {
            let said = finished.stderr_capture.text();
            let stopped = Error::stopped(stop, operation);
            match super::failure::pull_words(&said) {
                Some(words) => Error::new(
                    stopped.kind(),
                    operation,
                    format!("podman still tried to pull the image: {words}"),
                )
                .with_hint("see whether the registry can be reached, or allow more time"),
                None => stopped,
            }
        }
        error => Error::new(ErrorKind::System, operation, error.to_string())
            .with_hint("see whether this process has run out of descriptors, threads or processes"),
    }
}

/// An answer of podman that is not what its version promises.
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
            // Once more, as a process to whom one speaks.
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
        // What is meant for podman stays.
        let meant = vec![(OsString::from("LISTEN_FDS"), OsString::from("meant"))];
        let engine =
            Engine::new(RuntimeId::new("x"), OsStr::new("/bin/sh"), vec![], meant, TimeLimits::DEFAULT)
                .unwrap();
        let answer = engine.run("ask", engine.spec(["-c", "env"]), none(), &Until::forever()).unwrap();
        let said = answer.printed().unwrap().unwrap();
        assert!(!said.contains("spoken") && said.contains("LISTEN_FDS=meant"), "{said}");
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
