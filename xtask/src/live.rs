//! A real podman in a store of its own, and the variables that lead a process to it. The parts
//! (store, configuration, probe, removal, packages) stand in the modules below; what is tested with
//! it does not.

mod account;
mod cgroup_view;
mod containers_conf;
mod debian;
mod enter;
mod environment;
pub(crate) mod guests;
mod host_state;
mod leftovers;
pub(crate) mod live_options;
mod mode;
mod mounts;
mod network;
mod note;
pub(crate) mod packages;
mod podman;
mod probe;
mod removal;
mod rootfs;
pub(crate) mod shards;
mod store;
mod variables;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rt_process::ExitStatus;

use crate::child::Task;
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::programs;
pub(crate) use environment::Environment;
use host_state::HostState;
use leftovers::Scope;
use mode::{Mode, RUNC};
use note::note;
use podman::Podman;
use store::Store;
use variables::{Variables, quoted};

/// What `live` is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LiveAction {
    Run(Vec<OsString>),
    Up(PathBuf),
    Down(PathBuf),
}

/// An environment in which containers run. Removed on drop; [`close`](Self::close) also says what
/// went wrong with that.
#[derive(Debug)]
pub(crate) struct Live {
    store: Store,
    podman: Podman,
    busybox: PathBuf,
    mode: Mode,
    host_state: HostState,
}

impl Live {
    /// Makes one in the directory for temporary files.
    pub(crate) fn make() -> Result<Self> {
        let (program, busybox) = tools()?;
        store::sweep(&program);
        Self::prepare(Store::temporary(&program)?, &program, busybox)
    }

    /// Makes one in `dir`, which must be new or empty.
    fn make_in(dir: &Path) -> Result<Self> {
        let (program, busybox) = tools()?;
        Self::prepare(Store::at(dir, &program)?, &program, busybox)
    }

    fn prepare(store: Store, program: &Path, busybox: PathBuf) -> Result<Self> {
        let podman = Podman::new(program, store.dir());
        note(&format!("trying {} in {}", program.display(), store.dir().display()));
        let found = probe::find(store.dir(), &podman, &busybox)?;
        let host_state = HostState::read(&podman, found)?;
        note(&host_state.to_string());
        Ok(Self { store, podman, busybox, mode: found, host_state })
    }

    /// What a process needs to be led to this store, and to nothing of the user's.
    pub(crate) fn variables(&self, require: bool) -> Variables {
        let mut variables = self.podman.variables().clone();
        variables.extend([
            ("RT_LIVE", Some(if require { "require" } else { "available" }.into())),
            ("RT_LIVE_UNAVAILABLE", None),
            ("RT_LIVE_PODMAN", Some(self.podman.program().into())),
            ("RT_LIVE_DIR", Some(self.store.dir().into())),
            ("RT_LIVE_MODE", Some(self.mode.name().into())),
            ("RT_LIVE_BUSYBOX", Some(self.busybox.clone().into())),
        ]);
        variables.extend(guests::variables(self.mode));
        variables
    }

    /// Where this is, in one line.
    pub(crate) fn host_state(&self) -> String {
        self.host_state.to_string()
    }

    /// Removes the environment; the error says what is left.
    pub(crate) fn close(self) -> Result<()> {
        note(&format!("removing the store; this was {}", self.host_state));
        self.store.close()
    }
}

/// Runs a program of the target directory with an environment of its own, here or in another place.
pub(crate) fn run_in<S: AsRef<OsStr>>(
    place: Option<&Environment>,
    program: &Path,
    args: impl IntoIterator<Item = S>,
    limit: Duration,
) -> Result<()> {
    if let Some(place) = place {
        // There, this program does the same as below, with what it finds there.
        let status = place.live(program, args, &[])?.limit(limit).visible()?;
        // The whole line, with the script that enters the place, would hide what failed.
        let failed = || Failure::new(format!("{}: {}", program.display(), status));
        return status.success().then_some(()).ok_or_else(failed);
    }
    let live = Live::make()?;
    let outcome = Task::new(program).args(args).envs(&live.variables(true)).limit(limit).run_checked();
    outcome.and(live.close())
}

/// What the live suite gets when there is no environment: each test reports this reason.
pub(crate) fn unavailable(failure: &Failure) -> Variables {
    vec![
        ("RT_LIVE", Some("available".into())),
        ("RT_LIVE_UNAVAILABLE", Some(failure.one_line().into())),
        ("RT_LIVE_PODMAN", None),
        ("RT_LIVE_DIR", None),
        ("RT_LIVE_MODE", None),
        ("RT_LIVE_BUSYBOX", None),
    ]
}

/// `cargo xtask live`: the exit code of the command, or 0.
pub(crate) fn run(action: LiveAction) -> Result<u8> {
    match action {
        LiveAction::Run(words) => {
            let live = Live::make()?;
            let (program, arguments) = words.split_first().ok_or_else(|| Failure::new("no command"))?;
            let status = Task::new(program).args(arguments).envs(&live.variables(true)).interactive();
            let left = live.close();
            let status = status?;
            left?;
            // A command that a signal ended has no code; the shell's convention stands in.
            let code = match status {
                ExitStatus::Code(code) => code,
                ExitStatus::Signal(number) => 128 + number,
            };
            Ok(u8::try_from(code).unwrap_or(1))
        }
        LiveAction::Up(dir) => {
            let live = Live::make_in(&dir)?;
            for (name, value) in live.variables(true) {
                crate::report::say(&match value {
                    Some(value) => format!("export {name}={}", quoted(&value.to_string_lossy())),
                    None => format!("unset {name}"),
                });
            }
            // Interrupted at the last moment: then nobody holds the lines above.
            if interrupt::signal().is_none() {
                live.store.keep();
            }
            Ok(0)
        }
        LiveAction::Down(dir) => {
            let program = programs::find("podman");
            let dir = store::recognised(&dir)?;
            // A shell that took over the `export` lines is the user's, and stays.
            removal::remove(&dir, program.as_deref(), Scope::Podman)?;
            Ok(0)
        }
    }
}

fn tools() -> Result<(PathBuf, PathBuf)> {
    let podman = programs::find("podman").ok_or_else(|| {
        Failure::new("podman is not on PATH (`cargo xtask test --live` installs it on Debian, as root)")
    })?;
    let busybox = programs::find("busybox")
        .ok_or_else(|| Failure::new("there is no busybox on PATH (Debian: busybox-static)"))?;
    rootfs::must_be_static(&busybox)?;
    if std::env::var_os(RUNC).is_some() && programs::find("runc").is_none() {
        return Err(Failure::new("there is no runc on PATH"));
    }
    if programs::find("crun").or_else(|| programs::find("runc")).is_none() {
        return Err(Failure::new("there is neither crun nor runc on PATH"));
    }
    Ok((podman, busybox))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_one_line() {
        let variables = unavailable(&Failure::new("podman is\nnot on PATH"));
        assert!(variables.contains(&("RT_LIVE_UNAVAILABLE", Some("podman is not on PATH".into()))));
    }
}
