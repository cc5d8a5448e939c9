//! The arguments of calls as JSON. They are written and compared, and never decoded.

use std::path::Path;

use rt_protocol::{ContainerPath, CopyOptions, ExecRequest, ExecStdio};
use serde::Serialize;
use serde_json::Value;

use super::json::{self, object, written};

/// Fields that a test can hardly repeat: host paths and points in time. They are written for the
/// reader and are not compared.
pub(crate) const NOT_COMPARED: &[&str] = &["host", "nanos_since_epoch", "secs_since_epoch", "source"];

/// Encodes plain data without fields that carry nothing: flags that are not set, and empty lists.
pub(crate) fn plain(data: &impl Serialize) -> Value {
    let mut value = written(data);
    if let Some(fields) = value.as_object_mut() {
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        fields.retain(|_, value| *value != false && !is_empty(value));
    }
    value
}

pub(crate) fn exec_request(request: &ExecRequest, bridged: Value) -> Value {
    let mut args = plain(request);
    for (limit, field) in [(request.stdout_limit(), "stdout_limit"), (request.stderr_limit(), "stderr_limit")]
    {
        if let (true, Some(fields)) = (limit.is_unlimited(), args.as_object_mut()) {
            fields.remove(field);
        }
    }
    if !bridged.is_null() {
        args["bridged"] = bridged;
    }
    args
}

/// Encodes which streams the caller gave; the others are empty or discarded.
pub(crate) fn bridged(stdio: &ExecStdio<'_>) -> Value {
    let streams = [
        ("stdin", !stdio.stdin.is_empty()),
        ("stdout", !stdio.stdout.is_discard()),
        ("stderr", !stdio.stderr.is_discard()),
    ];
    streams.into_iter().filter(|(_, given)| *given).map(|(name, _)| Value::from(name)).collect()
}

pub(crate) fn copy(host: Option<&Path>, inside: &ContainerPath, options: CopyOptions) -> Value {
    object([
        ("host", host.map_or(Value::Null, json::os)),
        ("path", written(inside)),
        ("create_parents", if options.create_parents { true.into() } else { Value::Null }),
    ])
}

pub(crate) fn file(path: &ContainerPath, more: [(&str, Value); 2]) -> Value {
    let [first, second] = more;
    object([("path", written(path)), first, second])
}
