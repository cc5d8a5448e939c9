//! Every kind of call with its subject and arguments. Recorder and replay use the same ones.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rt_protocol::{
    Argv, ContainerFilter, ContainerName, ContainerPath, CopyOptions, Env, Error, ErrorKind, EventOptions,
    ExecRequest, ExecStdio, FileOptions, ImageFilter, ImageRef, LaunchSpec, LogOptions, NamePrefix,
    PullOptions, Signal, file_operation,
};
use serde_json::Value;

use super::arguments;
use super::json::{self, object, written};
use crate::secrets::masker::SecretMasker;

/// The object that a call is made on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Runtime,
    Container(String),
    Image(String),
    /// A stream or reservation, by the number in the answer of the call that opened it.
    Handle(u64),
}

impl Subject {
    /// Returns the field that names it in a line; null for the runtime.
    pub(crate) fn encode(&self) -> (&'static str, Value) {
        match self {
            Self::Runtime => ("runtime", Value::Null),
            Self::Container(name) => ("container", name.as_str().into()),
            Self::Image(reference) => ("image", reference.as_str().into()),
            Self::Handle(number) => ("handle", (*number).into()),
        }
    }

    pub(crate) fn decode(line: &Value) -> Option<Self> {
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

/// One call without its answer. Its arguments contain secrets in the clear, except the values of
/// secret variables, which never appear in them.
#[derive(Clone, Debug)]
pub(crate) struct Invocation<'a> {
    pub(crate) subject: Subject,
    pub(crate) op: &'static str,
    /// The operation named in errors of a replay.
    verb: &'static str,
    pub(crate) args: Value,
    /// The environment variables of the call.
    pub(crate) env: Option<&'a Env>,
}

impl<'a> Invocation<'a> {
    fn new(subject: Subject, op: &'static str, verb: &'static str) -> Self {
        Self { subject, op, verb, args: Value::Null, env: None }
    }

    fn with(self, args: Value) -> Self {
        Self { args, ..self }
    }

    /// A call on the runtime.
    pub(crate) fn runtime(op: &'static str, verb: &'static str) -> Self {
        Self::new(Subject::Runtime, op, verb)
    }

    /// A call on a container without arguments.
    pub(crate) fn container(name: &ContainerName, op: &'static str, verb: &'static str) -> Self {
        Self::new(Subject::Container(name.to_string()), op, verb)
    }

    /// A call on an image.
    pub(crate) fn image(reference: &ImageRef, op: &'static str, verb: &'static str) -> Self {
        Self::new(Subject::Image(reference.to_string()), op, verb)
    }

    pub(crate) fn pull(number: u64) -> Self {
        Self::new(Subject::Handle(number), "pull", "pull from")
    }

    pub(crate) fn close(number: u64) -> Self {
        Self::new(Subject::Handle(number), "close", "close")
    }

    pub(crate) fn exec(name: &ContainerName, request: &'a ExecRequest) -> Self {
        let args = arguments::exec_request(request, Value::Null);
        Self { env: Some(request.env()), ..Self::container(name, "exec", "exec in").with(args) }
    }

    pub(crate) fn exec_stdio(name: &ContainerName, request: &'a ExecRequest, stdio: &ExecStdio<'_>) -> Self {
        let args = arguments::exec_request(request, arguments::bridged(stdio));
        Self { env: Some(request.env()), ..Self::container(name, "exec-stdio", "exec in").with(args) }
    }

    pub(crate) fn stop(name: &ContainerName, grace: Duration) -> Self {
        Self::container(name, "stop", "stop").with(object([("grace", written(&grace))]))
    }

    pub(crate) fn kill(name: &ContainerName, signal: Signal) -> Self {
        Self::container(name, "kill", "signal").with(object([("signal", signal.to_string().into())]))
    }

    pub(crate) fn copy_in(
        name: &ContainerName,
        src: &Path,
        dest: &ContainerPath,
        options: CopyOptions,
    ) -> Self {
        Self::container(name, "copy-in", "copy into").with(arguments::copy(Some(src), dest, options))
    }

    pub(crate) fn copy_out(
        name: &ContainerName,
        src: &ContainerPath,
        dest: &Path,
        options: CopyOptions,
    ) -> Self {
        Self::container(name, "copy-out", "copy out of").with(arguments::copy(Some(dest), src, options))
    }

    pub(crate) fn copy_in_tar(name: &ContainerName, dest: &ContainerPath) -> Self {
        let args = arguments::copy(None, dest, CopyOptions::new());
        Self::container(name, "copy-in-tar", "copy into").with(args)
    }

    pub(crate) fn copy_out_tar(name: &ContainerName, src: &ContainerPath) -> Self {
        let args = arguments::copy(None, src, CopyOptions::new());
        Self::container(name, "copy-out-tar", "copy out of").with(args)
    }

    pub(crate) fn write_file(
        name: &ContainerName,
        path: &ContainerPath,
        bytes: &[u8],
        options: &FileOptions,
    ) -> Self {
        let more = [("contents", json::bytes(bytes)), ("options", arguments::plain(options))];
        Self::container(name, "write-file", file_operation::WRITE).with(arguments::file(path, more))
    }

    pub(crate) fn read_file(name: &ContainerName, path: &ContainerPath, limit: u64) -> Self {
        let more = [("limit", limit.into()), ("", Value::Null)];
        Self::container(name, "read-file", file_operation::READ).with(arguments::file(path, more))
    }

    /// A call on a file that needs nothing but its path.
    pub(crate) fn file(
        name: &ContainerName,
        op: &'static str,
        verb: &'static str,
        path: &ContainerPath,
    ) -> Self {
        let none = [("", Value::Null), ("", Value::Null)];
        Self::container(name, op, verb).with(arguments::file(path, none))
    }

    pub(crate) fn login_command(name: &ContainerName, command: Option<&Argv>) -> Self {
        Self::container(name, "login-command", "log in to").with(object([("command", written(&command))]))
    }

    pub(crate) fn logs(name: &ContainerName, options: &LogOptions) -> Self {
        Self::container(name, "logs", "read the log of").with(arguments::plain(options))
    }

    pub(crate) fn list(filter: &ContainerFilter) -> Self {
        Self::runtime("list", "list containers").with(arguments::plain(filter))
    }

    pub(crate) fn rw_sizes(prefix: &NamePrefix) -> Self {
        Self::runtime("rw-sizes", "measure containers").with(object([("prefix", written(prefix))]))
    }

    pub(crate) fn create(spec: &'a LaunchSpec) -> Self {
        let invocation = Self::container(spec.name(), "create", "create").with(arguments::plain(spec));
        Self { env: Some(spec.env()), ..invocation }
    }

    pub(crate) fn force_remove(names: &[ContainerName]) -> Self {
        Self::runtime("force-remove", "remove").with(object([("names", written(&names))]))
    }

    pub(crate) fn images(filter: ImageFilter) -> Self {
        Self::runtime("images", "list images").with(object([("dangling", filter.dangling.into())]))
    }

    pub(crate) fn pull_image(reference: &ImageRef, options: &PullOptions) -> Self {
        Self::image(reference, "pull-image", "pull").with(arguments::plain(options))
    }

    pub(crate) fn reserve_port(host: IpAddr) -> Self {
        Self::runtime("reserve-port", "reserve a port").with(object([("address", written(&host))]))
    }

    pub(crate) fn events(options: &EventOptions) -> Self {
        Self::runtime("events", "watch events").with(arguments::plain(options))
    }

    /// Builds an error that the replay itself returns.
    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        self.name_subject(Error::new(kind, self.verb, message))
    }

    fn name_subject(&self, error: Error) -> Error {
        match &self.subject {
            Subject::Runtime => error,
            subject => error.with_subject(subject.to_string()),
        }
    }

    /// Returns the call as messages show it.
    pub(crate) fn summary(&self, masker: &SecretMasker) -> String {
        summary(self.op, &masker.mask_value(self.args.clone()))
    }
}

/// The most characters of the arguments that a message shows.
const SUMMARY_CHARACTERS: usize = 160;

/// Formats a call for messages: escaped, because it is JSON, and shortened.
pub(crate) fn summary(op: &str, args: &Value) -> String {
    let mut text = op.to_owned();
    if !args.is_null() {
        let args = args.to_string();
        text.push(' ');
        text.extend(args.chars().take(SUMMARY_CHARACTERS));
        if args.chars().nth(SUMMARY_CHARACTERS).is_some() {
            text.push('…');
        }
    }
    text
}
