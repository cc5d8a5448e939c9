//! The first line of a recording: format, version, and what stays the same in a runtime.

use rt_protocol::{Capabilities, ContainerRuntime, Error, ErrorKind, Result, RuntimeId};
use serde_json::Value;

use super::json::{JsonCodec, line};

/// What a recording calls its format.
const FORMAT: &str = "rt-recording";

/// The version of the format that is written, and the only one that is read. It grows when an older reader would get
/// something wrong; a field that it may skip leaves it as it is.
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
            ("capabilities", runtime.capabilities().encode()),
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

/// The error for a recording that cannot be replayed.
pub(crate) fn refusal(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidRequest, "open the recording", message)
}
