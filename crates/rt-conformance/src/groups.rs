//! The facts, one file for each group. [`crate::suite`] runs the cases.

mod bulk;
mod claims;
mod copy;
mod errors;
mod events;
mod exec;
mod file_links;
mod file_systems;
mod files;
mod held_command;
mod identity;
mod images;
mod launch;
mod launch_settings;
mod lifecycle;
mod limits;
mod logs;
mod main_process;
mod misuse;
mod ports;
mod pulls;
mod readiness;
mod settings;
mod signals;
mod spawn;
mod stdio;
mod surroundings;
mod terminals;
mod timeouts;
mod wrappers;

use std::sync::OnceLock;

use crate::Case;

/// All groups, in the order of a report.
const ALL: &[&[Case]] = &[
    identity::CASES,
    lifecycle::CASES,
    main_process::CASES,
    launch::CASES,
    launch_settings::CASES,
    exec::CASES,
    settings::CASES,
    surroundings::CASES,
    stdio::calls::CASES,
    stdio::sinks::CASES,
    stdio::streams::CASES,
    spawn::CASES,
    terminals::CASES,
    signals::CASES,
    timeouts::CASES,
    limits::CASES,
    logs::CASES,
    readiness::CASES,
    copy::CASES,
    files::CASES,
    file_links::CASES,
    file_systems::CASES,
    images::CASES,
    pulls::CASES,
    ports::CASES,
    bulk::CASES,
    events::CASES,
    errors::CASES,
    misuse::CASES,
    wrappers::CASES,
    claims::CASES,
];

/// Returns all cases, group by group.
pub fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| ALL.concat())
}

/// Returns the cases for a guest that can only exec, such as a sealed virtual machine.
pub fn core() -> impl Iterator<Item = &'static Case> {
    cases().iter().filter(|case| case.is_core())
}

/// Returns the case with this name.
pub fn find(name: &str) -> Option<&'static Case> {
    cases().iter().find(|case| case.name() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rt_protocol::Capability;

    use super::*;
    use crate::Group;

    #[test]
    fn names_are_facts_of_their_group_and_unique() {
        let mut seen = BTreeSet::new();
        for case in cases() {
            let (group, fact) = case.name().split_once(": ").unwrap();
            assert_eq!(group, case.group().word(), "{}", case.name());
            assert!(fact.contains(' ') && !fact.ends_with('.'), "{}", case.name());
            assert!(seen.insert(case.name()), "{} is there twice", case.name());
        }
        assert!(seen.len() >= 120, "{}", seen.len());
    }

    #[test]
    fn every_group_has_cases_and_the_core_needs_no_new_container() {
        for group in Group::ALL {
            assert!(cases().iter().any(|case| case.group() == *group), "{group}");
        }
        assert!(core().count() >= 30, "{}", core().count());
        for case in core() {
            assert!(!case.capabilities().contains(Capability::Create), "{}", case.name());
        }
    }
}
