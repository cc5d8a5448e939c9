//! The first line of a recording: format, version, and the constants of the runtime.

use rt_protocol::{Capabilities, Capability, ContainerRuntime, Error, ErrorKind, Result, RuntimeId};
use serde_json::Value;

use super::json::{JsonCodec, line};

/// The name of the format.
const FORMAT: &str = "rt-recording";

/// The version of the format that is written, and the only one that is read. It is raised if an
/// older reader would misread a recording. A new field that a reader can skip does not raise it.
pub const FORMAT_VERSION: u64 = 2;

/// The runtime that was recorded.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) runtime: RuntimeId,
    pub(crate) capabilities: Capabilities,
}

impl Header {
    pub(crate) fn encode(runtime: &dyn ContainerRuntime) -> String {
        line([
            ("format", FORMAT.into()),
            ("version", FORMAT_VERSION.into()),
            ("runtime", runtime.id().as_str().into()),
            ("capabilities", recorded_capabilities(runtime).encode()),
        ])
    }

    pub(crate) fn decode(header: &Value) -> Result<Self> {
        if header.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(refusal(format!("line 1: this is no recording: it names no format `{FORMAT}`")));
        }
        match header.get("version").and_then(Value::as_u64) {
            Some(FORMAT_VERSION) => {}
            Some(version) => {
                let message =
                    format!("it has version {version} of the format; version {FORMAT_VERSION} can be read");
                return Err(refusal(message).with_hint(if version < FORMAT_VERSION {
                    "record again"
                } else {
                    "replay it with a newer rt-record, or record again"
                }));
            }
            None => return Err(refusal("line 1: the version of the format is missing")),
        }
        let runtime = header.get("runtime").and_then(Value::as_str).map(RuntimeId::new);
        let can = header.get("capabilities").and_then(Capabilities::decode);
        match (runtime, can) {
            (Some(runtime), Some(capabilities)) => Ok(Self { runtime, capabilities }),
            _ => Err(refusal("line 1: the runtime or its capabilities are missing")),
        }
    }
}

/// Builds the error for a recording that cannot be replayed.
pub(crate) fn refusal(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidRequest, "open the recording", message)
}

/// Returns what a recording has of the runtime's capabilities. A command that is spawned is
/// recorded as a bridged one, without signals.
pub(crate) fn recorded_capabilities(runtime: &dyn ContainerRuntime) -> Capabilities {
    runtime.capabilities().without(Capability::Spawn).without(Capability::SendSignal)
}
