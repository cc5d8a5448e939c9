//! What can be asked, of whom, and with which arguments: the same for who records and who replays.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rt_protocol::{
    Argv, ContainerFilter, ContainerName, ContainerPath, CopyOptions, Env, Error, ErrorKind, EventOptions,
    ExecRequest, ExecStdio, ImageFilter, ImageRef, LaunchSpec, LogOptions, NamePrefix, Stop,
};
use serde_json::Value;

use super::argument;
use super::data::{self, Answer, object};
use super::vault::Vault;

/// Of whom something is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Runtime,
    Container(String),
    Image(String),
    /// A stream or reservation, by the number that the call which opened it was answered.
    Handle(u64),
}

impl Subject {
    /// The field that names it in a line; none for the runtime.
    pub(super) fn encode(&self) -> (&'static str, Value) {
        match self {
            Self::Runtime => ("runtime", Value::Null),
            Self::Container(name) => ("container", name.as_str().into()),
            Self::Image(reference) => ("image", reference.as_str().into()),
            Self::Handle(number) => ("handle", (*number).into()),
        }
    }

    pub(super) fn decode(line: &Value) -> Option<Self> {
        let text = |name| line.get(name).map(|value| value.as_str().map(str::to_owned));
        match (text("container"), text("image"), line.get("handle")) {
            (Some(name), None, None) => name.map(Self::Container),
            (None, Some(reference), None) => reference.map(Self::Image),
            (None, None, Some(number)) => number.as_u64().map(Self::Handle),
            (None, None, None) => Some(Self::Runtime),
            _ => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime => f.write_str("the runtime"),
            Self::Container(name) => write!(f, "container `{name}`"),
            Self::Image(reference) => write!(f, "image `{reference}`"),
            Self::Handle(number) => write!(f, "stream {number}"),
        }
    }
}

/// One call without its answer. The arguments hold secrets in the clear, save for the values of secret variables, which
/// are never in them.
#[derive(Clone, Debug)]
pub(super) struct Question<'a> {
    pub(super) subject: Subject,
    pub(super) op: &'static str,
    /// The operation of errors that a replay makes.
    verb: &'static str,
    pub(super) args: Value,
    /// The variables that come with the call.
    pub(super) env: Option<&'a Env>,
}

impl<'a> Question<'a> {
    fn new(subject: Subject, op: &'static str, verb: &'static str) -> Self {
        Self { subject, op, verb, args: Value::Null, env: None }
    }

    fn with(self, args: Value) -> Self {
        Self { args, ..self }
    }

    /// A question to the runtime.
    pub(super) fn runtime(op: &'static str, verb: &'static str) -> Self {
        Self::new(Subject::Runtime, op, verb)
    }

    /// A question to a container that has no arguments.
    pub(super) fn container(name: &ContainerName, op: &'static str, verb: &'static str) -> Self {
        Self::new(Subject::Container(name.to_string()), op, verb)
    }

    /// A question to an image.
    pub(super) fn image(reference: &ImageRef, op: &'static str, verb: &'static str) -> Self {
        Self::new(Subject::Image(reference.to_string()), op, verb)
    }

    pub(super) fn pull(number: u64) -> Self {
        Self::new(Subject::Handle(number), "pull", "pull from")
    }

    pub(super) fn close(number: u64) -> Self {
        Self::new(Subject::Handle(number), "close", "close")
    }

    pub(super) fn exec(name: &ContainerName, request: &'a ExecRequest) -> Self {
        let args = argument::exec_request(request, Value::Null);
        Self { env: Some(request.env()), ..Self::container(name, "exec", "exec in").with(args) }
    }

    pub(super) fn exec_stdio(name: &ContainerName, request: &'a ExecRequest, stdio: &ExecStdio<'_>) -> Self {
        let args = argument::exec_request(request, argument::bridged(stdio));
        Self { env: Some(request.env()), ..Self::container(name, "exec-stdio", "exec in").with(args) }
    }

    pub(super) fn stop(name: &ContainerName, grace: Duration) -> Self {
        Self::container(name, "stop", "stop").with(object([("grace", grace.encode())]))
    }

    pub(super) fn copy_in(
        name: &ContainerName,
        src: &Path,
        dest: &ContainerPath,
        options: CopyOptions,
    ) -> Self {
        Self::container(name, "copy-in", "copy into").with(argument::copy(Some(src), dest, options))
    }

    pub(super) fn copy_out(
        name: &ContainerName,
        src: &ContainerPath,
        dest: &Path,
        options: CopyOptions,
    ) -> Self {
        Self::container(name, "copy-out", "copy out of").with(argument::copy(Some(dest), src, options))
    }

    pub(super) fn copy_in_tar(name: &ContainerName, dest: &ContainerPath) -> Self {
        let args = argument::copy(None, dest, CopyOptions::new());
        Self::container(name, "copy-in-tar", "copy into").with(args)
    }

    pub(super) fn copy_out_tar(name: &ContainerName, src: &ContainerPath) -> Self {
        let args = argument::copy(None, src, CopyOptions::new());
        Self::container(name, "copy-out-tar", "copy out of").with(args)
    }

    pub(super) fn login_command(name: &ContainerName, command: Option<&Argv>) -> Self {
        let words = command.map_or(Value::Null, |command| command.words().iter().map(data::os).collect());
        Self::container(name, "login-command", "log in to").with(object([("command", words)]))
    }

    pub(super) fn logs(name: &ContainerName, options: &LogOptions) -> Self {
        Self::container(name, "logs", "read the log of").with(argument::log_options(options))
    }

    pub(super) fn list(filter: &ContainerFilter) -> Self {
        Self::runtime("list", "list containers").with(argument::container_filter(filter))
    }

    /// A question to the runtime about a family of containers.
    pub(super) fn family(op: &'static str, verb: &'static str, prefix: &NamePrefix) -> Self {
        Self::runtime(op, verb).with(object([("prefix", prefix.as_str().into())]))
    }

    pub(super) fn create(spec: &'a LaunchSpec) -> Self {
        let question = Self::container(spec.name(), "create", "create").with(argument::launch_spec(spec));
        Self { env: Some(spec.env()), ..question }
    }

    pub(super) fn force_remove(names: &[ContainerName]) -> Self {
        let names = names.iter().map(ContainerName::encode).collect();
        Self::runtime("force-remove", "remove").with(object([("names", names)]))
    }

    pub(super) fn images(filter: ImageFilter) -> Self {
        Self::runtime("images", "list images").with(object([("dangling", filter.dangling.into())]))
    }

    pub(super) fn reserve_port(host: IpAddr) -> Self {
        Self::runtime("reserve-port", "reserve a port").with(object([("address", host.to_string().into())]))
    }

    pub(super) fn events(options: &EventOptions) -> Self {
        Self::runtime("events", "watch events").with(argument::event_options(options))
    }

    /// An error that the replay itself answers.
    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        let error = Error::new(kind, self.verb, message);
        match &self.subject {
            Subject::Runtime => error,
            subject => error.about(subject.to_string()),
        }
    }

    /// The error for a call that ended before it was answered.
    pub(super) fn stopped(&self, stop: Stop) -> Error {
        let kind = match stop {
            Stop::DeadlinePassed => ErrorKind::TimedOut,
            Stop::Cancelled => ErrorKind::Cancelled,
        };
        self.error(kind, "")
    }

    /// The question as messages show it.
    pub(super) fn shown(&self, vault: &Vault) -> String {
        shown(self.op, &vault.mask_value(self.args.clone()))
    }
}

/// As many characters of the arguments as a message shows.
const SHOWN_CHARACTERS: usize = 160;

/// A call as messages show it: escaped, because it is JSON, and shortened.
pub(super) fn shown(op: &str, args: &Value) -> String {
    let mut text = op.to_owned();
    if !args.is_null() {
        let args = args.to_string();
        text.push(' ');
        text.extend(args.chars().take(SHOWN_CHARACTERS));
        if args.chars().nth(SHOWN_CHARACTERS).is_some() {
            text.push('…');
        }
    }
    text
}
