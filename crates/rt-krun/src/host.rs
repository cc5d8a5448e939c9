//! Checks whether a host has what krun guests need: podman's OCI runtime, KVM, the SSH client.
//! Starts no guest.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::ErrorKind as IoErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::time::Duration;

use rt_podman::PodmanRuntime;
use rt_process::{ProcessError, ProcessSpec, Program};
use rt_protocol::{Error, ErrorKind, OutputLimit, Result, Source, Until};

use crate::runtime::OCI_RUNTIME;

/// A host, checked for what krun guests need.
///
/// Each check looks again, changes nothing and leaves nothing behind. Successful checks do not
/// guarantee that a guest boots.
///
/// ```
/// use rt_krun::KrunHost;
///
/// let host = KrunHost::new().kvm_device("/nowhere/kvm");
/// let missing = host.check_kvm().unwrap_err();
/// assert!(missing.to_string().contains("/nowhere/kvm") && missing.hint().is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KrunHost {
    podman: OsString,
    kvm: PathBuf,
    ssh: OsString,
}

/// How long a program may take to print its version.
const VERSION_LIMIT: Duration = Duration::from_secs(5);

/// How much of this output is kept, in bytes.
const VERSION_BYTES: usize = 4 << 10;

impl KrunHost {
    /// Returns this host: `podman` and `ssh` from PATH, and `/dev/kvm`.
    pub fn new() -> Self {
        Self { podman: OsString::from("podman"), kvm: PathBuf::from("/dev/kvm"), ssh: OsString::from("ssh") }
    }

    /// Sets another podman: a name that is looked up on PATH, or a path.
    #[must_use]
    pub fn podman_binary(self, podman: impl AsRef<OsStr>) -> Self {
        Self { podman: podman.as_ref().to_owned(), ..self }
    }

    /// Sets another device in place of `/dev/kvm`.
    #[must_use]
    pub fn kvm_device(self, device: impl Into<PathBuf>) -> Self {
        Self { kvm: device.into(), ..self }
    }

    /// Sets another OpenSSH client: a name that is looked up on PATH, or a path.
    #[must_use]
    pub fn ssh_binary(self, ssh: impl AsRef<OsStr>) -> Self {
        Self { ssh: ssh.as_ref().to_owned(), ..self }
    }

    /// Checks whether podman knows an OCI runtime named `krun` and finds its program. Without a
    /// deadline in `until`, each of two calls of podman has
    /// [`TimeLimits::info`](rt_protocol::TimeLimits::info) (10 s).
    ///
    /// # Errors
    /// - [`BackendMissing`](ErrorKind::BackendMissing): podman is missing or knows no such OCI
    ///   runtime.
    /// - The other errors of [`PodmanRuntime::profile_until`].
    pub fn check_oci_runtime(&self, until: &Until) -> Result<()> {
        const OPERATION: &str = "find the OCI runtime";
        let podman = PodmanRuntime::builder()
            .binary(&self.podman)
            .global_arg(format!("--runtime={OCI_RUNTIME}"))
            .build()
            .map_err(|error| error.during(OPERATION))?;
        match podman.profile_until(until) {
            Ok(_) => Ok(()),
            Err(error) if names_no_runtime(error.message()) => {
                Err(Error::new(ErrorKind::BackendMissing, OPERATION, "podman finds no such program")
                    .with_subject(format!("`{OCI_RUNTIME}`"))
                    .with_hint("install crun with krun support, or name its path in containers.conf"))
            }
            Err(error) => Err(error.during(OPERATION)),
        }
    }

    /// Checks whether this user may use KVM: the device exists and can be opened for reading and
    /// writing.
    ///
    /// # Errors
    /// [`NoSuchPath`](ErrorKind::NoSuchPath) or [`System`](ErrorKind::System), with a hint.
    pub fn check_kvm(&self) -> Result<()> {
        let refused = |kind, message: &str, hint: &'static str| {
            Error::new(kind, "use", message).with_subject(self.kvm.display().to_string()).with_hint(hint)
        };
        let absent = |_| {
            let hint = "load kvm_intel or kvm_amd, and turn virtualisation on in the firmware or for the outer machine";
            refused(ErrorKind::NoSuchPath, "there is no such device", hint)
        };
        // Opening a named pipe would block.
        if !fs::metadata(&self.kvm).map_err(absent)?.file_type().is_char_device() {
            return Err(refused(ErrorKind::System, "it is no device", "see what has made it"));
        }
        match OpenOptions::new().read(true).write(true).open(&self.kvm) {
            Ok(_) => Ok(()),
            Err(cause) if cause.kind() == IoErrorKind::PermissionDenied => {
                let hint = "add this user to the device's group, which is kvm by custom";
                Err(refused(ErrorKind::System, "this user may not open it", hint).with_source(cause))
            }
            Err(cause) => {
                let hint = "see the kernel's log; the device is there and KVM is not";
                Err(refused(ErrorKind::System, "it cannot be opened", hint).with_source(cause))
            }
        }
    }

    /// Returns the version text of the OpenSSH client: `OpenSSH_9.2p1 …`. Takes at most 5 s, or
    /// `until` if that is earlier. Commands do not need the client; only
    /// [`login_command`](crate::KrunTransport::login_command) names it.
    ///
    /// # Errors
    /// - [`BackendMissing`](ErrorKind::BackendMissing),
    ///   [`BackendNotExecutable`](ErrorKind::BackendNotExecutable): the client cannot be started.
    /// - [`InvalidResponse`](ErrorKind::InvalidResponse): it prints no version.
    /// - [`TimedOut`](ErrorKind::TimedOut), [`Cancelled`](ErrorKind::Cancelled),
    ///   [`System`](ErrorKind::System).
    pub fn ssh_version(&self, until: &Until) -> Result<String> {
        const OPERATION: &str = "ask the SSH client for its version";
        let failed = |error: ProcessError| match error {
            ProcessError::NotFound { .. } => {
                Error::new(ErrorKind::BackendMissing, OPERATION, error.to_string())
                    .with_hint("install OpenSSH's client; commands work without it")
            }
            ProcessError::NotExecutable { .. } => {
                Error::new(ErrorKind::BackendNotExecutable, OPERATION, error.to_string())
                    .with_hint("give it execute permission, or the path of another client")
            }
            ProcessError::Interrupted { interruption, .. } => interruption.into_error(OPERATION),
            error => Error::out_of_resources(OPERATION, error.to_string()),
        };
        let spec = ProcessSpec::new(&Program::find(&self.ssh).map_err(failed)?).args(["-V"]);
        let limit = OutputLimit::bytes(VERSION_BYTES);
        let until = until.clone().or_after(VERSION_LIMIT);
        let done = rt_process::capture(&spec, Source::empty(), limit, limit, &until).map_err(failed)?;
        // The client prints it to stderr.
        let text = done.stderr_capture.text();
        let version = text.lines().next().unwrap_or_default().trim();
        if version.is_empty() {
            return Err(Error::new(ErrorKind::InvalidResponse, OPERATION, "it said nothing")
                .with_hint("name the OpenSSH client"));
        }
        Ok(version.to_owned())
    }
}

impl Default for KrunHost {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns whether podman's text is about a runtime that it does not know, or whose program it does
/// not find (measured on 4.3.1): `default OCI runtime "krun" not found: invalid argument`.
fn names_no_runtime(message: &str) -> bool {
    message.contains("OCI runtime") && message.contains("not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_missing_or_none_is_told_with_the_hint() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("kvm");
        fs::write(&file, "").unwrap();
        for (device, kind) in [(home.path().join("none"), ErrorKind::NoSuchPath), (file, ErrorKind::System)] {
            let error = KrunHost::new().kvm_device(&device).check_kvm().unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.hint().is_some() && error.to_string().contains(&*device.to_string_lossy()));
        }
        // Any device that everybody may open stands for KVM.
        KrunHost::new().kvm_device("/dev/null").check_kvm().unwrap();
    }

    #[test]
    fn a_client_that_is_missing_silent_or_slow_is_told_apart() {
        let ask = |ssh: &str, until: &Until| KrunHost::new().ssh_binary(ssh).ssh_version(until);
        let kind = |ssh: &str, until: &Until| ask(ssh, until).unwrap_err().kind();
        assert_eq!(kind("rt-no-such-ssh", &Until::forever()), ErrorKind::BackendMissing);
        assert_eq!(kind("/etc/passwd", &Until::forever()), ErrorKind::BackendNotExecutable);
        assert_eq!(kind("true", &Until::forever()), ErrorKind::InvalidResponse);
        assert_eq!(kind("true", &Until::after(Duration::ZERO)), ErrorKind::TimedOut);
    }

    #[test]
    fn a_podman_that_is_missing_is_told() {
        let host = KrunHost::new().podman_binary("rt-no-such-podman");
        let error = host.check_oci_runtime(&Until::forever()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BackendMissing);
    }

    #[test]
    fn only_podmans_own_words_say_that_there_is_no_krun() {
        assert!(names_no_runtime("default OCI runtime \"krun\" not found: invalid argument"));
        assert!(!names_no_runtime("unknown flag: --runtime"));
        assert!(!names_no_runtime("container not found"));
    }
}
