//! The programs that `ci` needs: from PATH, or built once into `target/tools`. Nothing is installed
//! anywhere else.

use std::path::PathBuf;
use std::time::Duration;

use crate::failure::Result;
use crate::programs;
use crate::workspace::Workspace;

/// A tool, with the version that is built when PATH has none.
#[derive(Debug)]
pub(super) struct Tool {
    /// The package at the registry.
    package: &'static str,
    version: &'static str,
    program: &'static str,
}

impl Tool {
    /// A subcommand of cargo: package and program have one name.
    const fn of_cargo(name: &'static str, version: &'static str) -> Self {
        Self { package: name, version, program: name }
    }
}

/// Licenses, bans and sources.
pub(super) const DENY: Tool = Tool::of_cargo("cargo-deny", "0.20.2");
/// All subsets of features.
pub(super) const HACK: Tool = Tool::of_cargo("cargo-hack", "0.6.46");
/// Dependencies that no source names. It reads words and builds nothing, unlike cargo-udeps, and
/// brings fewer crates than cargo-shear.
pub(super) const MACHETE: Tool = Tool::of_cargo("cargo-machete", "0.9.2");
/// Words that are often misspelled.
pub(super) const TYPOS: Tool = Tool { package: "typos-cli", version: "1.52.0", program: "typos" };

/// The program's path.
pub(super) fn get(workspace: &Workspace, tool: &Tool) -> Result<PathBuf> {
    if let Some(path) = programs::find(tool.program) {
        return Ok(path);
    }
    let root = workspace.target.join("tools").join(format!("{}-{}", tool.package, tool.version));
    let path = root.join("bin").join(tool.program);
    if path.is_file() {
        return Ok(path);
    }
    // They run for seconds, and take longer to be built: without optimisation, in half the time.
    workspace
        .cargo(["install", "--locked", tool.package, "--version", tool.version, "--root"])
        .args([&root])
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", Some("0"))
        .env("CARGO_PROFILE_RELEASE_LTO", Some("false"))
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", Some("16"))
        .limit(Duration::from_secs(30 * 60))
        .run_checked()?;
    Ok(path)
}
