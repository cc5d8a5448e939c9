//! What a step of a measurement answers.

/// What any step of a measurement may answer.
pub type Outcome<T = ()> = crate::ssh_lab::Result<T>;
