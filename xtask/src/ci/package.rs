//! Whether each published crate packs, and builds from its package, with the others as they would
//! be at the registry.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::workspace::{BUILD_LIMIT, Workspace, remove_folder};

pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let home = UnpackingHome::make(&cargo_home()?, workspace.target.join("package-home"))?;
    let packages = workspace.published().flat_map(|name| ["--package", name]);
    // Uncommitted changes are what is being checked.
    workspace
        .cargo(["package", "--allow-dirty"])
        .args(packages)
        .env("CARGO_HOME", Some(&home.0))
        .limit(BUILD_LIMIT)
        .run_checked()
}

/// A home directory for cargo: the user's, but with no unpacked sources.
///
/// cargo unpacks our packages into its home, in a directory named after the path of the workspace.
/// If a package of the same name and version is already there, cargo uses it. Our versions do not
/// change from commit to commit, so a second check in the same workspace would build each crate
/// with old copies of the others.
#[derive(Debug)]
struct UnpackingHome(PathBuf);

impl UnpackingHome {
    fn make(user: &Path, own: PathBuf) -> Result<Self> {
        remove_folder(&own)?;
        let registry = own.join("registry");
        fs::create_dir_all(&registry).map_err(|error| Failure::io("make", &registry, &error))?;
        let home = Self(own);
        // `.global-cache` is a list of what lies in the home, for its own tidying.
        link_all(user, &home.0, &["registry", ".global-cache"])?;
        link_all(&user.join("registry"), &registry, &["src"])?;
        Ok(home)
    }
}

impl Drop for UnpackingHome {
    fn drop(&mut self) {
        let _ = remove_folder(&self.0);
    }
}

/// Links to everything in a directory but some names. A directory that is not there has nothing in
/// it.
fn link_all(from: &Path, to: &Path, but: &[&str]) -> Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| Failure::io("read", from, &error))?,
    };
    for entry in entries {
        let name = entry.map_err(|error| Failure::io("read", from, &error))?.file_name();
        if !but.iter().any(|left_out| name == *left_out) {
            let link = to.join(&name);
            symlink(from.join(&name), &link).map_err(|error| Failure::io("link", &link, &error))?;
        }
    }
    Ok(())
}

/// Where cargo keeps its things: as it documents, `CARGO_HOME`, or `.cargo` in the user's home.
fn cargo_home() -> Result<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let home = set.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let home = home.ok_or_else(|| Failure::new("neither CARGO_HOME nor HOME is set"))?;
    std::path::absolute(&home).map_err(|error| Failure::io("find", &home, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_the_users_but_the_unpacked_sources() {
        let dir = tempfile::tempdir().unwrap();
        let user = dir.path().join("user");
        fs::create_dir_all(user.join("registry/src/-0123/rt-protocol-0.1.0")).unwrap();
        fs::create_dir_all(user.join("registry/cache")).unwrap();
        fs::write(user.join("config.toml"), "set").unwrap();
        fs::write(user.join(".global-cache"), "list").unwrap();
        let own = dir.path().join("own");
        // What an interrupted run left.
        fs::create_dir_all(own.join("registry/src/-0123/rt-protocol-0.1.0")).unwrap();

        let home = UnpackingHome::make(&user, own.clone()).unwrap();
        assert_eq!(fs::read_to_string(own.join("config.toml")).unwrap(), "set");
        fs::write(own.join("registry/cache/downloaded"), "").unwrap();
        assert!(user.join("registry/cache/downloaded").exists());
        assert!(!own.join("registry/src").exists());
        assert!(!own.join(".global-cache").exists());

        drop(home);
        assert!(!own.exists());
        assert!(user.join("registry/src/-0123/rt-protocol-0.1.0").exists());
        assert!(user.join("config.toml").exists());
    }

    #[test]
    fn a_home_with_nothing_in_it_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let home = UnpackingHome::make(&dir.path().join("nothing"), dir.path().join("own")).unwrap();
        assert!(home.0.join("registry").is_dir());
    }
}
