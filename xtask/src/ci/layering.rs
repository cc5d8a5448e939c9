//! Which crate of the workspace may depend on which: the table of ARCHITECTURE.md, checked against
//! `cargo metadata`. What comes from outside the workspace is bounded in `tree`.

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

/// A crate and the workspace crates that its normal and build dependencies may name.
/// Dev-dependencies are free: a test may stand above what it tests.
const ARROWS: [(&str, &[&str]); 14] = [
    ("rt-protocol", &[]),
    ("rt-process", &["rt-protocol"]),
    ("rt-agent", &["rt-protocol", "rt-process"]),
    ("rt-gpu", &["rt-protocol"]),
    ("rt-conformance", &["rt-protocol"]),
    ("rt-null", &["rt-protocol", "rt-conformance"]),
    ("rt-record", &["rt-protocol", "rt-null"]),
    ("rt-tokio", &["rt-protocol"]),
    ("rt-podman", &["rt-protocol", "rt-process", "rt-agent", "rt-gpu"]),
    ("rt-krun", &["rt-protocol", "rt-process", "rt-agent", "rt-podman"]),
    (
        FACADE,
        &["rt-protocol", "rt-process", "rt-podman", "rt-krun", "rt-null", "rt-record", "rt-tokio", "rt-gpu"],
    ),
    (
        "rt-tests",
        &[
            "rt-protocol",
            "rt-process",
            "rt-gpu",
            "rt-null",
            "rt-conformance",
            "rt-podman",
            "rt-krun",
            "rt-tokio",
            FACADE,
        ],
    ),
    // It stands in for podman itself, so it knows none of us.
    ("rt-fake-podman", &[]),
    ("xtask", &["rt-protocol", "rt-process"]),
];

/// Here each backend stands behind a feature, so what is not the contract is optional.
const FACADE: &str = "rt";
const CONTRACT: &str = "rt-protocol";

pub(super) fn arrows(workspace: &Workspace) -> Result<()> {
    let wrong = wrong_arrows(workspace);
    if wrong.is_empty() { Ok(()) } else { Err(Failure::new(wrong.join("; "))) }
}

fn wrong_arrows(workspace: &Workspace) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, member) in &workspace.members {
        let Some((_, allowed)) = ARROWS.iter().find(|(have, _)| have == name) else {
            wrong.push(format!("{name} has no place in the table of crate arrows"));
            continue;
        };
        let ours = member
            .dependencies
            .iter()
            .filter(|dependency| dependency.normal && workspace.members.contains_key(&dependency.name));
        for dependency in ours {
            let on = dependency.name.as_str();
            if !allowed.contains(&on) {
                wrong.push(format!("{name} must not depend on {on}"));
            } else if name == FACADE && on != CONTRACT && !dependency.optional {
                wrong.push(format!("{name} must have {on} behind a feature"));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Dependency, Member};

    fn on(name: &str, optional: bool, normal: bool) -> Dependency {
        Dependency { name: name.into(), optional, normal }
    }

    fn workspace(members: &[(&str, &[Dependency])]) -> Workspace {
        let member =
            |dependencies: &[Dependency]| Member { dependencies: dependencies.to_vec(), ..Member::default() };
        Workspace {
            root: "/w".into(),
            target: "/w/target".into(),
            members: members.iter().map(|(name, list)| ((*name).to_owned(), member(list))).collect(),
            links: [].into(),
        }
    }

    fn check(members: &[(&str, &[Dependency])], expected: &[&str]) {
        assert_eq!(wrong_arrows(&workspace(members)), expected);
    }

    #[test]
    fn the_table_itself_has_no_cycle() {
        // In an order in which every arrow points back, none points round.
        for (place, (name, allowed)) in ARROWS.iter().enumerate() {
            for on in *allowed {
                let position = ARROWS.iter().position(|(have, _)| have == on);
                assert!(position.is_some_and(|position| position < place), "{name} -> {on}");
            }
        }
    }

    #[test]
    fn an_arrow_against_the_table_is_named() {
        check(
            &[("rt-protocol", &[on("rt-process", true, true)]), ("rt-process", &[])],
            &["rt-protocol must not depend on rt-process"],
        );
    }

    #[test]
    fn dev_dependencies_and_crates_from_outside_are_free() {
        check(&[("rt-null", &[on("rt", false, false), on("serde_json", false, true)]), ("rt", &[])], &[]);
    }

    #[test]
    fn the_facade_has_its_backends_behind_features() {
        let backends = [on("rt-podman", false, true), on("rt-null", true, true), on(CONTRACT, false, true)];
        check(
            &[("rt", &backends), ("rt-podman", &[]), ("rt-null", &[]), (CONTRACT, &[])],
            &["rt must have rt-podman behind a feature"],
        );
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        check(&[("rt-new", &[])], &["rt-new has no place in the table of crate arrows"]);
    }
}
