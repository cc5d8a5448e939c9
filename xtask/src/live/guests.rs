//! What the sealed guests of the live suite are made of: an SSH server, an emulator, a kernel with
//! its modules. Only whether and where they are; the guests are the suite's.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::mode::Mode;
use super::variables::Variables;
use crate::programs;

/// The variables that name each part's files, one on a line, or the reason why it cannot be had.
pub(super) fn variables(mode: Mode) -> Variables {
    let sshd = sshd();
    let machine = sshd.clone().and_then(|_| machine(mode));
    [
        ("RT_LIVE_SSHD", "RT_LIVE_SSHD_UNAVAILABLE", sshd),
        ("RT_LIVE_MACHINE", "RT_LIVE_MACHINE_UNAVAILABLE", machine),
    ]
    .into_iter()
    .flat_map(|(files, unavailable, part)| match part {
        Ok(paths) => [(files, Some(lines(&paths))), (unavailable, None)],
        Err(reason) => [(files, None), (unavailable, Some(reason.into()))],
    })
    .collect()
}

/// Says that a guest which is not there is a failure: where the suite is required, and has the
/// rights for guests.
pub(crate) fn require(suite_is_required: bool) -> Variables {
    let required = suite_is_required && rustix::process::geteuid().is_root();
    vec![("RT_LIVE_GUESTS", required.then(|| "require".into()))]
}

fn lines(paths: &[PathBuf]) -> OsString {
    paths.iter().map(|path| path.as_os_str()).collect::<Vec<_>>().join("\n".as_ref())
}

fn found(name: &str) -> Result<PathBuf, String> {
    programs::find(name).ok_or_else(|| format!("there is no {name} on PATH"))
}

fn sshd() -> Result<Vec<PathBuf>, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root gives an sshd users and a file tree of its own".into());
    }
    for tool in ["ssh", "ssh-keygen", "setpriv", "unshare"] {
        found(tool)?;
    }
    Ok(vec![found("sshd")?])
}

fn machine(mode: Mode) -> Result<Vec<PathBuf>, String> {
    if mode == Mode::Runc {
        return Err("a krun container needs crun".into());
    }
    // The accelerator is the emulator itself, which knows every processor; the kernel and its
    // packages are named for one.
    if std::env::consts::ARCH != "x86_64" {
        return Err(format!("no virtual machine is described for {}", std::env::consts::ARCH));
    }
    let qemu = found("qemu-system-x86_64")?;
    let (kernel, modules) = kernel(Path::new("/"))
        .ok_or("there is no kernel of Debian's package linux-image-cloud-amd64, or it has no modules")?;
    Ok(vec![qemu, kernel, modules])
}

/// The youngest cloud kernel below `root` that has modules, and their directory.
fn kernel(root: &Path) -> Option<(PathBuf, PathBuf)> {
    let entries = fs::read_dir(root.join("boot")).ok()?.flatten();
    let kernels = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let version = name.strip_prefix("vmlinuz-")?;
        let modules = root.join("lib/modules").join(version);
        let usable = version.ends_with("-cloud-amd64") && modules.join("modules.dep").is_file();
        usable.then_some((entry.metadata().ok()?.modified().ok()?, entry.path(), modules))
    });
    kernels.max().map(|(_, kernel, modules)| (kernel, modules))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_modules_or_of_another_kind_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        put("boot/vmlinuz-6.1.0-2-cloud-amd64");
        put("boot/vmlinuz-6.1.0-3-amd64");
        put("lib/modules/6.1.0-3-amd64/modules.dep");
        assert_eq!(kernel(root.path()), None);
        put("boot/vmlinuz-6.1.0-1-cloud-amd64");
        put("lib/modules/6.1.0-1-cloud-amd64/modules.dep");
        let (kernel, modules) = kernel(root.path()).unwrap();
        assert!(kernel.ends_with("boot/vmlinuz-6.1.0-1-cloud-amd64"), "{kernel:?}");
        assert!(modules.ends_with("lib/modules/6.1.0-1-cloud-amd64"), "{modules:?}");
    }
}
