//! The facts, one file for each group. How cases are run stands in [`crate::suite`].

mod bulk;
mod claims;
mod copy;
mod errors;
mod events;
mod exec;
mod identity;
mod images;
mod launch;
mod lifecycle;
mod limits;
mod logs;
mod misuse;
mod ports;
mod readiness;
mod settings;
mod signals;
mod stdio;
mod surroundings;
mod timeouts;

use crate::Case;

/// All groups in the order of a report.
pub(crate) const ALL: &[&[Case]] = &[
    identity::CASES,
    lifecycle::CASES,
    launch::CASES,
    exec::CASES,
    settings::CASES,
    surroundings::CASES,
    stdio::calls::CASES,
    stdio::streams::CASES,
    signals::CASES,
    timeouts::CASES,
    limits::CASES,
    logs::CASES,
    readiness::CASES,
    copy::CASES,
    images::CASES,
    ports::CASES,
    bulk::CASES,
    events::CASES,
    errors::CASES,
    misuse::CASES,
    claims::CASES,
];
