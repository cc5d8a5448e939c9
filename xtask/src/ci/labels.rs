//! The labels of features in the documentation: what is behind a feature says so, as on docs.rs.
//!
//! They are an unstable part of rustdoc, opened as for the lists of the public API.

use std::fs;
use std::path::Path;

use super::api;
use crate::failure::{Failure, Result};
use crate::workspace::{BUILD_LIMIT, VENDORED, Workspace};

/// Has the documentation written as docs.rs does, and looks for each feature's label in that of its
/// package.
pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let packages = workspace.published().flat_map(|name| ["--package", name]);
    workspace
        .cargo(["doc", "--no-deps", "--lib", "--features", &workspace.usual_features()])
        .args(packages)
        .env("RUSTDOC", Some(api::unstable_rustdoc(&workspace.target.join("tools"))?))
        .env("RUSTDOCFLAGS", Some("-D warnings --cfg docsrs"))
        .limit(BUILD_LIMIT)
        .run_checked()?;
    let mut missing = Vec::new();
    for name in workspace.published() {
        let pages = workspace.target.join("doc").join(name.replace('-', "_"));
        // These add no item to the crate's own: the facade hands `serde` on to the contract, where
        // it is labelled.
        let adds_none = |feature: &String| feature == VENDORED || (name, feature.as_str()) == ("rt", "serde");
        for feature in workspace.member(name)?.features.iter().filter(|feature| !adds_none(feature)) {
            if !stands_below(&pages, &labels(feature))? {
                missing.push(format!("{name}: nothing is labelled with its feature `{feature}`"));
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Failure::new(missing.join("\n"))) }
}

/// How rustdoc writes it: on the page of an item, and beside the name of a re-export.
fn labels(feature: &str) -> [String; 2] {
    [
        format!("Available on <strong>crate feature <code>{feature}</code></strong> only"),
        format!("Available on crate feature `{feature}` only"),
    ]
}

fn stands_below(dir: &Path, texts: &[String]) -> Result<bool> {
    for entry in fs::read_dir(dir).map_err(|error| Failure::io("read", dir, &error))? {
        let path = entry.map_err(|error| Failure::io("read", dir, &error))?.path();
        let stands = if path.is_dir() {
            stands_below(&path, texts)?
        } else {
            fs::read(&path)
                .map_err(|error| Failure::io("read", &path, &error))
                .map(|page| texts.iter().any(|text| String::from_utf8_lossy(&page).contains(text.as_str())))?
        };
        if stands {
            return Ok(true);
        }
    }
    Ok(false)
}
