//! Calls of podman in one store: its variables, a time limit for each call, a process group for
//! each call. What is asked is the caller's.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::variables::Variables;
use crate::child::{Captured, Task};
use crate::failure::{Failure, Result};

/// podman answers in tenths of a second; one that hangs must not hang us.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Podman {
    program: PathBuf,
    variables: Variables,
    deaf: bool,
}

impl Podman {
    pub(super) fn new(program: &Path, dir: &Path) -> Self {
        Self { program: program.to_owned(), variables: isolation(dir), deaf: false }
    }

    /// For cleaning up, which goes on after a signal.
    pub(super) fn ignore_signals(mut self) -> Self {
        self.deaf = true;
        self
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The 5 of 5.4.2. Fails for a podman that does not answer at all: one that hangs is found out
    /// here, and not once for each thing that would be tried with it.
    pub(super) fn major_version(&self) -> Result<u32> {
        let task = self.task(&["--version"]).limit(Duration::from_secs(10));
        let text = Self::judged(&["--version"], task)?;
        major_version(&text).ok_or_else(|| Failure::new(format!("podman --version answered {text:?}")))
    }

    /// Standard output of a call that answered 0.
    pub(super) fn ask(&self, args: &[&str]) -> Result<String> {
        Self::judged(args, self.task(args))
    }

    /// As [`ask`](Self::ask), with a file as standard input.
    pub(super) fn feed(&self, args: &[&str], file: File) -> Result<String> {
        Self::judged(args, self.task(args).stdin(file))
    }

    fn task<S: AsRef<OsStr>>(&self, args: &[S]) -> Task {
        let task = Task::new(&self.program).args(args).envs(&self.variables).limit(LIMIT);
        if self.deaf { task.ignore_signals() } else { task }
    }

    fn judged(args: &[&str], task: Task) -> Result<String> {
        let got: Captured = task.captured()?;
        if got.status.success() {
            return Ok(got.stdout);
        }
        let verb = args.first().copied().unwrap_or_default();
        Err(Failure::new(format!("podman {verb}: {}", got.complaint())))
    }
}

/// `podman version 5.4.2`.
fn major_version(text: &str) -> Option<u32> {
    text.trim().rsplit(' ').next()?.split('.').next()?.parse().ok()
}

/// Variables that podman and what it starts read themselves; nothing on the machine is changed.
fn isolation(dir: &Path) -> Variables {
    let at = |name: &str| Some(dir.join(name).into_os_string());
    let mut variables = vec![
        ("CONTAINERS_CONF", at("containers.conf")),
        ("CONTAINERS_STORAGE_CONF", at("storage.conf")),
        // podman 5 warns in front of every answer on hosts with cgroups of version 1.
        ("PODMAN_IGNORE_CGROUPSV1_WARNING", Some("1".into())),
        // Each of these would lead back to a store, a configuration or a service of the user's.
        ("CONTAINERS_CONF_OVERRIDE", None),
        ("CONTAINER_HOST", None),
        ("CONTAINER_CONNECTION", None),
        ("STORAGE_DRIVER", None),
        ("STORAGE_OPTS", None),
    ];
    if !rustix::process::geteuid().is_root() {
        // Without root, podman keeps its run root and its pause process here, whatever storage.conf
        // says.
        variables.push(("XDG_RUNTIME_DIR", at("xdg")));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major_version("podman version 6.1.1\n"), Some(6));
        assert_eq!(major_version("podman version 4.3.1+ds1"), Some(4));
        assert_eq!(major_version("no podman"), None);
    }

    #[test]
    fn what_leads_back_to_the_user_is_removed() {
        let variables = isolation(Path::new("/tmp/s"));
        let value = |name| variables.iter().find(|(have, _)| *have == name).map(|(_, value)| value.clone());
        assert_eq!(value("CONTAINERS_CONF"), Some(Some("/tmp/s/containers.conf".into())));
        for name in ["CONTAINERS_CONF_OVERRIDE", "CONTAINER_HOST", "CONTAINER_CONNECTION", "STORAGE_DRIVER"] {
            assert_eq!(value(name), Some(None), "{name}");
        }
    }
}
