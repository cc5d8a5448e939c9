//! Why the state of a runtime does not allow a call.

use rt_protocol::{ContainerState, Error, ErrorKind};

/// Why something was refused: the kind, and the cause as text.
pub(crate) type Refusal = (ErrorKind, String);

/// The refusal for a container that does not exist.
pub(crate) fn no_such_container() -> Refusal {
    (ErrorKind::NoSuchContainer, String::new())
}

/// The refusal for a container that does not support the call in this state.
pub(crate) fn not_in_state(state: &ContainerState) -> Refusal {
    (Error::in_state(state, "").kind(), format!("it is {state}"))
}
