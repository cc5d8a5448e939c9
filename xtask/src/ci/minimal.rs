//! Whether the versions that the manifests name are enough: a copy of the workspace is built with
//! the smallest version of each direct dependency that they allow.
//!
//! Resolving so is an unstable option of cargo, which `RUSTC_BOOTSTRAP` opens to the stable
//! toolchain; the build itself goes without it.

use std::fs;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::workspace::{BUILD_LIMIT, Workspace, remove_folder};

/// What cargo needs to see of the workspace.
const PARTS: [&str; 6] = ["Cargo.toml", "Cargo.lock", "README.md", "crates", "tests", "xtask"];

pub(super) fn check(workspace: &Workspace) -> Result<()> {
    // In a copy: the lock file of the workspace stays as it is, also when this is interrupted.
    let dir = workspace.target.join("minimal");
    let copy = dir.join("workspace");
    remove_folder(&copy)?;
    fs::create_dir_all(&copy).map_err(|error| Failure::io("make", &copy, &error))?;
    for part in PARTS {
        copy_tree(&workspace.root.join(part), &copy.join(part))?;
    }
    let cargo = |words: &[&str]| workspace.cargo(words).dir(&copy).limit(BUILD_LIMIT);
    cargo(&["update", "-Zdirect-minimal-versions"]).env("RUSTC_BOOTSTRAP", Some("1")).run_checked()?;
    let packages = workspace.published().flat_map(|name| ["--package", name]);
    cargo(&["check", "--locked", "--lib", "--features", &workspace.usual_features()])
        .args(packages)
        // Kept from run to run; the copy is not.
        .env("CARGO_TARGET_DIR", Some(dir.join("target")))
        .run_checked()
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let io = |error: std::io::Error| Failure::io("copy", from, &error);
    if !from.is_dir() {
        return fs::copy(from, to).map(drop).map_err(io);
    }
    fs::create_dir_all(to).map_err(io)?;
    for entry in fs::read_dir(from).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        copy_tree(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_copied_with_what_its_links_lead_to() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        fs::create_dir_all(from.join("below")).unwrap();
        fs::write(from.join("licence"), "text").unwrap();
        std::os::unix::fs::symlink("../licence", from.join("below/licence")).unwrap();
        copy_tree(&from, &to).unwrap();
        fs::remove_dir_all(&from).unwrap();
        assert_eq!(fs::read_to_string(to.join("below/licence")).unwrap(), "text");
    }
}
