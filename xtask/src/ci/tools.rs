//! The two cargo subcommands that `ci` needs: from PATH, or built once into `target/tools`. Nothing is
//! installed anywhere else.

use std::path::PathBuf;
use std::time::Duration;

use crate::failure::Result;
use crate::programs;
use crate::workspace::Workspace;

/// A tool, with the version that is built when PATH has none.
#[derive(Debug)]
pub(super) struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Licences, bans and sources.
pub(super) const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
/// All subsets of features.
pub(super) const HACK: Tool = Tool { name: "cargo-hack", version: "0.6.46" };

/// The program's path.
pub(super) fn get(workspace: &Workspace, tool: &Tool) -> Result<PathBuf> {
    if let Some(path) = programs::find(tool.name) {
        return Ok(path);
    }
    let root = workspace.target.join("tools").join(format!("{}-{}", tool.name, tool.version));
    let path = root.join("bin").join(tool.name);
    if path.is_file() {
        return Ok(path);
    }
    // Only run for seconds: little optimisation, and a build in half the time.
    workspace
        .cargo(["install", "--locked", tool.name, "--version", tool.version, "--root"])
        .args([&root])
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", Some("1"))
        .env("CARGO_PROFILE_RELEASE_LTO", Some("false"))
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", Some("16"))
        .limit(Duration::from_secs(30 * 60))
        .must()?;
    Ok(path)
}
