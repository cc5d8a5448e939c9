//! A command to run and what came of it.

pub(crate) mod capture;
pub(crate) mod failure;
pub(crate) mod interruption;
pub(crate) mod kill;
pub(crate) mod outcome;
pub(crate) mod partial;
pub(crate) mod request;
pub(crate) mod result;
pub(crate) mod stderr_tail;
pub(crate) mod stdio;
pub(crate) mod stream_report;
