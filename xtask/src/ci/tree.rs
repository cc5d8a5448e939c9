//! How much a crate brings along: the number of crates in `cargo tree`, and that none of them needs
//! a C compiler or an async runtime. Which of our own crates may depend on each other is
//! `layering`'s.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::report::say;
use crate::workspace::Workspace;

/// A crate with some of its features, and what it may bring along.
struct Bound {
    package: &'static str,
    features: &'static [&'static str],
    /// The crate itself counts.
    below: usize,
}

const BOUNDS: [Bound; 2] = [
    Bound { package: "rt-protocol", features: &[], below: 10 },
    Bound { package: "rt", features: &["--no-default-features", "--features", "podman"], below: 32 },
];

/// The executor of `rt-tokio`, which is there by a feature alone.
const EXECUTOR: &str = "tokio";

/// Build dependencies by which a crate compiles C, or looks for a library that was.
const COMPILERS: [&str; 8] =
    ["bindgen", "cc", "cmake", "meson", "nasm-rs", "openssl-src", "pkg-config", "vcpkg"];

/// `links` keys without C behind them: crates that only keep a second version of themselves out.
const PURE_LINKS: [&str; 2] = ["rayon-core", "wasm-bindgen"];

pub(super) fn bounds(workspace: &Workspace) -> Result<()> {
    let mut wrong = Vec::new();
    for bound in &BOUNDS {
        let normal = tree(workspace, bound, "normal")?;
        say(&format!("{}: {} crates, fewer than {} allowed", bound.package, normal.len(), bound.below));
        if normal.len() >= bound.below {
            wrong.push(format!("{} brings {} crates: {}", bound.package, normal.len(), names(&normal)));
        }
        if normal.iter().any(|(name, _)| name == EXECUTOR) {
            wrong.push(format!("{} brings {EXECUTOR}", bound.package));
        }
        let built = tree(workspace, bound, "normal,build")?;
        wrong.extend(c_in(&built, workspace).map(|reason| format!("{}: {reason}", bound.package)));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::new(wrong.join("; "))) }
}

/// A crate of a tree: name and version.
type Crate = (String, String);

fn tree(workspace: &Workspace, bound: &Bound, edges: &str) -> Result<BTreeSet<Crate>> {
    let got = workspace
        .cargo(["tree", "--package", bound.package, "--edges", edges, "--prefix", "none"])
        .args(["--format", "{p}"])
        .args(bound.features)
        .limit(Duration::from_secs(300))
        .captured()?;
    if !got.status.success() {
        return Err(Failure::new(format!("cargo tree: {}", got.complaint())));
    }
    Ok(parse(&got.stdout))
}

/// Lines such as `thiserror-impl v2.0.17 (proc-macro)`; repeated crates end in `(*)`.
fn parse(text: &str) -> BTreeSet<Crate> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        Some((name.to_owned(), version.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn c_in(crates: &BTreeSet<Crate>, workspace: &Workspace) -> impl Iterator<Item = String> {
    crates.iter().filter_map(|key| {
        let name = &key.0;
        if COMPILERS.contains(&name.as_str()) {
            return Some(format!("{name} stands for a C compiler"));
        }
        let library = workspace.links.get(key).filter(|library| !PURE_LINKS.contains(&library.as_str()))?;
        Some(format!("{name} links {library}"))
    })
}

fn names(crates: &BTreeSet<Crate>) -> String {
    crates.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
rt-protocol v0.1.0 (/w/crates/rt-protocol)
thiserror v2.0.17
thiserror-impl v2.0.17 (proc-macro)
syn v2.0.110
syn v1.0.109
thiserror v2.0.17 (*)
";

    fn workspace(links: &[(&str, &str, &str)]) -> Workspace {
        let key = |(name, version, library): &(&str, &str, &str)| {
            (((*name).to_owned(), (*version).to_owned()), (*library).to_owned())
        };
        Workspace {
            root: "/w".into(),
            target: "/w/target".into(),
            members: [].into(),
            links: links.iter().map(key).collect(),
        }
    }

    #[test]
    fn repeated_lines_count_once_and_two_versions_twice() {
        let crates = parse(TREE);
        assert_eq!(crates.len(), 5);
        assert!(crates.contains(&("thiserror-impl".into(), "2.0.17".into())));
    }

    #[test]
    fn a_c_compiler_is_seen_by_its_crate_and_by_a_links_key() {
        let crates = parse("a v1.0.0\ncc v1.2.0\nlibz-sys v1.1.0\nrayon-core v1.0.0\n");
        let workspace = workspace(&[("libz-sys", "1.1.0", "z"), ("rayon-core", "1.0.0", "rayon-core")]);
        let reasons: Vec<_> = c_in(&crates, &workspace).collect();
        assert_eq!(reasons, ["cc stands for a C compiler", "libz-sys links z"]);
    }

    #[test]
    fn another_version_of_a_linking_crate_does_not_count() {
        let workspace = workspace(&[("syn", "3.0.0", "x")]);
        assert_eq!(c_in(&parse(TREE), &workspace).count(), 0);
    }
}
