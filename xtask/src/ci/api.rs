//! The public API of each published crate, as a list of its items, compared with the list in
//! `api/`. What a change of the list means for the version is for people to judge.
//!
//! rustdoc tells the API as JSON, which is an unstable option of it. `RUSTC_BOOTSTRAP` opens that
//! to the stable toolchain; it is set for rustdoc alone, because build scripts ask for it too and
//! everything would be built anew. A list made from the sources would not know what is reachable,
//! and another toolchain is not to be needed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::child::Task;
use crate::failure::{Failure, Result};
use crate::report::Verdict;
use crate::workspace::{BUILD_LIMIT, VENDORED, Workspace};

/// The format that `public-api` reads: that of Rust 1.95.
const FORMAT: u64 = 57;

/// What is behind it is mockall's work, and changes with mockall.
const MOCK: &str = "mock";

/// The program that makes a list.
const LISTER: &str = "api-list";

/// The lists, from the root of the workspace.
const LISTS: &str = "api";

/// Compares all lists. Ignored on a toolchain of another format.
pub(super) fn compare(workspace: &Workspace) -> Result<Verdict> {
    describe(workspace)?;
    let build = ["build", "--package", "xtask", "--features", "api", "--bin", LISTER].map(str::to_owned);
    let program = workspace.built(&build, LISTER)?;
    let news = workspace.target.join(LISTS);
    fs::create_dir_all(&news).map_err(|error| Failure::io("make", &news, &error))?;
    let mut changed = Vec::new();
    for name in workspace.published() {
        let json = workspace.target.join("doc").join(format!("{}.json", name.replace('-', "_")));
        let format = format_of(&json)?;
        if format != Some(FORMAT) {
            let reason = format!("this rustdoc writes format {format:?}, and {FORMAT} is read");
            return Ok(Verdict::Ignored(reason));
        }
        let list = list(&program, &json)?;
        let file = format!("{name}.txt");
        // A list that is not there yet is an empty one.
        if fs::read_to_string(workspace.root.join(LISTS).join(&file)).unwrap_or_default() != list {
            let new = news.join(&file);
            fs::write(&new, list).map_err(|error| Failure::io("write", &new, &error))?;
            changed.push(format!("diff -u {LISTS}/{file} {}", new.display()));
        }
    }
    if changed.is_empty() {
        return Ok(Verdict::Passed);
    }
    Err(Failure::new(format!(
        "the public API has changed; look, and copy the new lists if it is meant:\n{}",
        changed.join("\n")
    )))
}

/// Has rustdoc write the JSON of every published crate below `target/doc`.
fn describe(workspace: &Workspace) -> Result<()> {
    let rustdoc = unstable_rustdoc(&workspace.target.join("tools"))?;
    let packages = workspace.published().flat_map(|name| ["--package", name]);
    workspace
        .cargo(["doc", "--no-deps", "--lib", "--features", &workspace.features_but(&[VENDORED, MOCK])])
        .args(packages)
        .env("RUSTDOC", Some(rustdoc))
        .env("RUSTDOCFLAGS", Some("-Zunstable-options --output-format=json"))
        .limit(BUILD_LIMIT)
        .run_checked()
}

/// A rustdoc that takes unstable options.
pub(super) fn unstable_rustdoc(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("rustdoc-unstable");
    let script = "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n";
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(&path, script))
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
        .map_err(|error| Failure::io("write", &path, &error))?;
    Ok(path)
}

fn format_of(json: &Path) -> Result<Option<u64>> {
    let text = fs::read_to_string(json).map_err(|error| Failure::io("read", json, &error))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("{} is no JSON: {error}", json.display())))?;
    Ok(value["format_version"].as_u64())
}

/// One item a line, as the program beside this one reads it.
fn list(program: &Path, json: &Path) -> Result<String> {
    let got = Task::new(program).args([json]).limit(BUILD_LIMIT).captured()?;
    if got.status.success() { Ok(got.stdout) } else { Err(Failure::new(got.complaint())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_a_description_is_read_and_what_is_none_is_told() {
        let home = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let path = home.path().join("a.json");
            fs::write(&path, text).unwrap();
            path
        };
        assert_eq!(format_of(&file(r#"{"format_version":57}"#)), Ok(Some(57)));
        assert_eq!(format_of(&file("{}")), Ok(None));
        assert!(format_of(&file("<html>")).is_err());
    }
}
