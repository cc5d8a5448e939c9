//! The live environment: an isolated podman, or the reason why there is none.

use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rt_podman::{ExecPath, PodmanRuntime, PodmanRuntimeBuilder};
use rt_protocol::{Image, ImageRef, Result, Until};
use rustix::fs::{Access, access};

use crate::busybox_image;
use crate::ssh_lab::machine_parts::MachineParts;

/// An isolated podman that `cargo xtask` has made and proved.
#[derive(Clone, Debug)]
pub struct Live {
    /// The podman; its store is chosen by variables that every process of the test inherits.
    pub podman: PathBuf,
    /// A static BusyBox of the host.
    pub busybox: PathBuf,
    /// A runtime over that podman.
    pub runtime: PodmanRuntime,
    /// An image with BusyBox, its links and a user `dev`.
    pub image: ImageRef,
    /// An image with one program and no shell: `/bin/sleep`.
    pub bare_image: ImageRef,
    exec_path: ExecPath,
    has_cgroups: bool,
    sshd: std::result::Result<PathBuf, String>,
    machine: std::result::Result<MachineParts, String>,
    /// Whether a guest that is not there is a failure, and not a reason to ignore a test.
    pub guests_are_required: bool,
}

/// Why the live tests cannot run.
#[derive(Debug)]
pub struct Unavailable {
    /// In words.
    pub reason: String,
    /// Whether they are required all the same.
    pub required: bool,
}

impl Live {
    /// Reads the environment and imports the images.
    ///
    /// # Errors
    /// Why there is no podman to test on.
    pub fn from_environment() -> std::result::Result<Self, Unavailable> {
        let required = std::env::var("RT_LIVE").is_ok_and(|word| word == "require");
        let unavailable = |reason: String| Unavailable { reason, required };
        if let Ok(reason) = std::env::var("RT_LIVE_UNAVAILABLE") {
            return Err(unavailable(reason));
        }
        let path = |name: &str| {
            std::env::var_os(name).map(PathBuf::from).ok_or_else(|| {
                unavailable(String::from("no isolated podman; run `cargo xtask test`, which makes one"))
            })
        };
        let (podman, busybox) = (path("RT_LIVE_PODMAN")?, path("RT_LIVE_BUSYBOX")?);
        let make = || -> Result<Self> {
            let live = Self {
                runtime: PodmanRuntime::builder().binary(&podman).exec_path(exec_path()).build()?,
                exec_path: exec_path(),
                podman,
                busybox,
                image: ImageRef::new("localhost/rt-test:full")?,
                bare_image: ImageRef::new("localhost/rt-test:bare")?,
                // The name of the mode is `cargo xtask`'s.
                has_cgroups: std::env::var("RT_LIVE_MODE").is_ok_and(|mode| mode != "nocgroups")
                    && (rustix::process::geteuid().is_root() || may_make_cgroups()),
                sshd: part("SSHD").map(|[sshd]| sshd),
                machine: part("MACHINE").map(|[qemu, kernel, modules]| MachineParts {
                    qemu,
                    kernel,
                    modules,
                }),
                guests_are_required: std::env::var("RT_LIVE_GUESTS").is_ok_and(|word| word == "require"),
            };
            let full = busybox_image::archive(&live.busybox).map_err(archive_error)?;
            live.import(full, &live.image)?;
            let bare = bare_archive(&live.busybox).map_err(archive_error)?;
            live.import(bare, &live.bare_image)?;
            Ok(live)
        };
        make().map_err(|error| unavailable(error.to_string()))
    }

    /// Another runtime over the same podman.
    pub fn builder(&self) -> PodmanRuntimeBuilder {
        PodmanRuntime::builder().binary(&self.podman).exec_path(self.exec_path)
    }

    /// The same podman by the cold path, whatever path was chosen.
    ///
    /// # Errors
    /// Never in practice: the podman is the same.
    pub fn cold(&self) -> Result<Self> {
        let mut cold = Self { exec_path: ExecPath::Cold, ..self.clone() };
        cold.runtime = cold.builder().build()?;
        Ok(cold)
    }

    /// Whether containers have cgroups of their own, without which there is no pause, no stats and
    /// no limit.
    ///
    /// # Errors
    /// Why they have none.
    pub fn cgroups(&self) -> std::result::Result<(), &'static str> {
        if self.has_cgroups {
            return Ok(());
        }
        Err("containers have no cgroups of their own here: no pause, no stats, no limits")
    }

    /// Whether new containers are runc's, which differs from crun in a few things.
    ///
    /// # Errors
    /// When podman does not tell.
    pub fn has_runc(&self) -> crate::ssh_lab::Result<bool> {
        Ok(self.plain(&["info", "--format={{.Host.OCIRuntime.Name}}"])?.trim() == "runc")
    }

    /// What plain podman answers to these words: the truth that a test compares with. It must end
    /// with 0.
    ///
    /// # Errors
    /// When it does not, with its own words.
    pub fn plain(&self, words: &[&str]) -> crate::ssh_lab::Result<String> {
        let answer = crate::ssh_lab::answer(&self.podman, words.iter().copied())?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// An OpenSSH server.
    ///
    /// # Errors
    /// Why there is none, or why it cannot be used here.
    pub fn sshd(&self) -> std::result::Result<&Path, &str> {
        self.sshd.as_deref().map_err(String::as_str)
    }

    /// What a virtual machine is made of.
    ///
    /// # Errors
    /// Why there is none.
    pub fn machine(&self) -> std::result::Result<&MachineParts, &str> {
        self.machine.as_ref().map_err(String::as_str)
    }

    fn import(&self, archive: Vec<u8>, reference: &ImageRef) -> Result<()> {
        let changes = [r#"CMD ["/bin/sh"]"#, "LABEL made-by=rt-tests", "ENV RT_IMAGE=image"];
        let until = Until::after(Duration::from_secs(60));
        self.runtime.import_image(Cursor::new(archive), reference, &changes, &until)?;
        Ok(())
    }

    /// A handle on an image.
    pub fn image_handle(&self, reference: &ImageRef) -> std::sync::Arc<dyn Image> {
        rt_protocol::ContainerRuntime::image(&self.runtime, reference)
    }
}

/// Returns how all commands of the suite get into containers, if that was chosen:
/// `RT_LIVE_EXEC_PATH`.
///
/// # Panics
/// If the variable names no path.
pub fn chosen_exec_path() -> Option<ExecPath> {
    let path = std::env::var("RT_LIVE_EXEC_PATH").ok()?;
    Some(path.parse().expect("an exec path"))
}

/// Returns whether it was chosen that commands go by agents: then cases that no path concerns are
/// left to another run.
pub fn goes_by_agents() -> bool {
    chosen_exec_path().is_some_and(|path| path != ExecPath::Cold)
}

/// Returns how the commands of the cases get into containers and guests. The default is cold, since
/// most cases are about podman's client and its command, or about channels.
pub(crate) fn exec_path() -> ExecPath {
    chosen_exec_path().unwrap_or(ExecPath::Cold)
}

/// Returns whether a user other than root may make cgroups here: below its own one of version 2, if
/// that was delegated to it.
fn may_make_cgroups() -> bool {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    own.is_some_and(|own| {
        let place = Path::new("/sys/fs/cgroup").join(own);
        place.join("cgroup.controllers").exists() && access(&place, Access::WRITE_OK).is_ok()
    })
}

/// The files of a part of the environment, one on each line, or why it is not there.
fn part<const N: usize>(name: &str) -> std::result::Result<[PathBuf; N], String> {
    if let Ok(reason) = std::env::var(format!("RT_LIVE_{name}_UNAVAILABLE")) {
        return Err(reason);
    }
    let files = std::env::var(format!("RT_LIVE_{name}")).unwrap_or_default();
    let files: Vec<PathBuf> = files.lines().map(PathBuf::from).collect();
    files.try_into().map_err(|_| format!("RT_LIVE_{name} does not name {N} files"))
}

/// An image that has `/bin/sleep` and no shell.
fn bare_archive(busybox: &Path) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for directory in ["bin", "dev", "etc", "proc", "run", "sys", "tmp"] {
        busybox_image::append(&mut archive, directory, tar::EntryType::Directory, 0o755, &[])?;
    }
    let program = std::fs::read(busybox)?;
    busybox_image::append(&mut archive, "bin/sleep", tar::EntryType::Regular, 0o755, &program)?;
    archive.into_inner()
}

fn archive_error(error: io::Error) -> rt_protocol::Error {
    rt_protocol::Error::new(rt_protocol::ErrorKind::System, "make an image archive", error.to_string())
}
