//! Why the state of a runtime does not allow a call.

use rt_protocol::{ContainerState, Error, ErrorKind};

/// Why something did not happen: the kind, and the cause in words.
pub(crate) type Refusal = (ErrorKind, String);

/// What is answered of a container that there is none of.
pub(crate) fn no_such_container() -> Refusal {
    (ErrorKind::NoSuchContainer, String::new())
}

/// What a container answers that does not serve a call in this state.
pub(crate) fn not_in_state(state: &ContainerState) -> Refusal {
    (Error::in_state(state, "").kind(), format!("it is {state}"))
}
