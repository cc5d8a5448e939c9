//! Where a live suite runs when it is not to run as it was called: in a Debian tree, as a user
//! without root's rights, or both. What runs there is `xtask live` itself, so every place is probed
//! and cleaned up in the same way.

use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::account::Account;
use super::cgroup_view::CgroupView;
use super::debian::Tree;
use super::enter::{PATH, enter};
use super::live_options::{LiveOptions, PodmanVersion};
use super::mode::RUNC;
use super::note::note;
use crate::child::Task;
use crate::failure::{Failure, Result};

/// Where the target directory stands in the tree.
const TARGET: &str = "/mnt";

/// What a clean-up may take after a signal: removing thirty containers, one after the other.
const GRACE: Duration = Duration::from_secs(60);

/// Another place than here.
#[derive(Debug)]
pub(crate) struct Environment {
    tree: Option<Tree>,
    view: Option<CgroupView>,
    account: Option<Account>,
    target: PathBuf,
    runc: bool,
}

impl Environment {
    /// What was asked for; `None` is here, as the caller is.
    pub(crate) fn find(live_options: LiveOptions, target: &Path) -> Result<Option<Self>> {
        let place = Self::make(live_options, target)?;
        let is_elsewhere = place.tree.is_some() || place.account.is_some() || place.runc;
        Ok(is_elsewhere.then_some(place))
    }

    /// What was asked for, with an environment of its own also where it is here.
    pub(crate) fn make(live_options: LiveOptions, target: &Path) -> Result<Self> {
        let tree = live_options.podman.map(|version| Tree::make(version, target)).transpose()?;
        let view = match live_options.podman {
            Some(PodmanVersion::Six) => CgroupView::make()?,
            _ => None,
        };
        let root = tree.as_ref().map_or(Path::new("/"), Tree::dir);
        let account = if live_options.rootless { Account::without_root(root)? } else { None };
        let place = Self { tree, view, account, target: target.to_owned(), runc: live_options.runc };
        if let Some(account) = &place.account {
            note(&format!("as the user {}", account.name));
            place.check_devices()?;
        }
        Ok(place)
    }

    /// `xtask live -- PROGRAM ARGUMENT…` there, with these variables. `program` stands in the
    /// target directory.
    pub(crate) fn live<S: AsRef<OsStr>>(
        &self,
        program: &Path,
        args: impl IntoIterator<Item = S>,
        variables: &[(&str, &OsStr)],
    ) -> Result<Task> {
        let this = std::env::current_exe()
            .map_err(|error| Failure::new(format!("where xtask stands is unknown: {error}")))?;
        let mut words = self.as_account();
        // The words end in those of `env`.
        words.extend(self.runc.then(|| OsString::from(format!("{RUNC}=yes"))));
        words.extend(
            variables
                .iter()
                .map(|(name, value)| [OsStr::new(name), OsStr::new("="), value].into_iter().collect()),
        );
        words.extend([self.seen(&this)?, "live".into(), "--".into(), self.seen(program)?]);
        words.extend(args.into_iter().map(|word| word.as_ref().to_owned()));
        Ok(self.task(words).grace(GRACE))
    }

    /// A directory that every process there may write to, and what it is called there.
    pub(super) fn shared_directory(&self) -> Result<(TempDir, OsString)> {
        let make = || {
            let dir = tempfile::Builder::new().prefix("live-claims-").tempdir_in(&self.target)?;
            // The account is not this one.
            std::fs::set_permissions(dir.path(), Permissions::from_mode(0o777))?;
            Ok::<_, std::io::Error>(dir)
        };
        let dir = make().map_err(|error| Failure::new(format!("cannot make a directory: {error}")))?;
        let seen = self.seen(dir.path())?;
        Ok((dir, seen))
    }

    /// These words there.
    fn task(&self, words: Vec<OsString>) -> Task {
        let task = match &self.tree {
            Some(tree) => enter(tree.dir(), &self.target, self.view.as_ref()),
            None => Task::new("env"),
        };
        task.args(words)
    }

    /// The words before a command that is to run as the account, with an environment of its own.
    fn as_account(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["setpriv".into(), "--reset-env".into()];
        if let Some(Account { uid, gid, .. }) = &self.account {
            words.extend([format!("--reuid={uid}").into(), format!("--regid={gid}").into()]);
            words.push("--init-groups".into());
        }
        words.extend(["env", "--chdir=/", &format!("PATH={PATH}")].map(OsString::from));
        words
    }

    /// A file of the target directory, as it is called there.
    fn seen(&self, path: &Path) -> Result<OsString> {
        if self.tree.is_some() { seen_in_tree(&self.target, path) } else { Ok(path.into()) }
    }

    /// Both network programs of rootless containers open this device.
    fn check_devices(&self) -> Result<()> {
        const TUN: &str = "/dev/net/tun";
        let mut words = self.as_account();
        words.extend(["test", "-r", TUN, "-a", "-w", TUN].map(OsString::from));
        let got = self.task(words).limit(Duration::from_secs(20)).captured()?;
        match got.status.code() {
            Some(0) => Ok(()),
            Some(1) => Err(Failure::new(format!(
                "rootless containers have no network here: {TUN} is not open to everybody"
            ))),
            _ => Err(Failure::new(format!("nothing runs as another user here: {}", got.complaint()))),
        }
    }
}

fn seen_in_tree(target: &Path, path: &Path) -> Result<OsString> {
    let below = path
        .strip_prefix(target)
        .map_err(|_| Failure::new(format!("{} does not stand in {}", path.display(), target.display())))?;
    Ok(Path::new(TARGET).join(below).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_another_name_in_the_tree() {
        let target = Path::new("/w/target");
        let seen = seen_in_tree(target, Path::new("/w/target/debug/deps/live"));
        assert_eq!(seen.unwrap(), "/mnt/debug/deps/live");
        assert!(seen_in_tree(target, Path::new("/usr/bin/live")).is_err());
    }

    #[test]
    fn another_user_gets_no_variable_of_ours() {
        let account = Account { name: "rt".into(), uid: 1000, gid: 1001 };
        let place =
            Environment { tree: None, view: None, account: Some(account), target: "/w".into(), runc: true };
        let line = place
            .live(Path::new("/w/live"), ["exec"], &[("RT_LIVE_CLAIMS", OsStr::new("/w/claims"))])
            .unwrap()
            .line();
        assert!(
            line.starts_with(
                "env setpriv --reset-env --reuid=1000 --regid=1001 --init-groups env --chdir=/ PATH="
            ),
            "{line}"
        );
        assert!(line.contains(" RT_LIVE_RUNC=yes RT_LIVE_CLAIMS=/w/claims "), "{line}");
        assert!(line.ends_with(" live -- /w/live exec"), "{line}");
    }
}
