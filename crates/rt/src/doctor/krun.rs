//! The findings about krun guests: what starts them, and what connects to them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rt_krun::KrunHost;
use rt_protocol::{Error, ErrorKind, Result};

use super::{DoctorOptions, Finding, Verdict};

pub(super) fn findings(options: &DoctorOptions) -> Vec<Finding> {
    let host = KrunHost::new();
    let identity = options.identity.as_ref().map(|file| {
        let mode = fs::metadata(file).ok().map(|metadata| metadata.permissions().mode());
        identity(&file.display().to_string(), rt_krun::check_identity(file), mode)
    });
    vec![
        oci_runtime(host.check_oci_runtime(&options.until)),
        kvm(host.check_kvm()),
        libssh2(&rt_krun::linked_libssh2()),
        identity.unwrap_or_else(|| {
            Finding::new("krun-identity", Verdict::NotApplicable, "no identity was given to look at")
        }),
        ssh_client(host.ssh_version(&options.until)),
    ]
}

fn oci_runtime(found: Result<()>) -> Finding {
    match found {
        Ok(()) => Finding::good("krun-oci-runtime", "podman knows the OCI runtime krun"),
        // Other failures are podman's own, and say nothing about krun.
        Err(error) if error.kind() == ErrorKind::BackendMissing => problem("krun-oci-runtime", &error),
        Err(error) => Finding::from_error("krun-oci-runtime", Verdict::Unknown, &error),
    }
}

fn kvm(usable: Result<()>) -> Finding {
    match usable {
        Ok(()) => Finding::good("krun-kvm", "/dev/kvm can be opened; whether a guest boots was not tried"),
        Err(error) => problem("krun-kvm", &error),
    }
}

/// This version and newer ones have none of the known vulnerabilities of older ones.
const MIN_SAFE_LIBSSH2: [u32; 3] = [1, 11, 2];

fn libssh2(version: &str) -> Finding {
    const CODE: &str = "krun-libssh2";
    // The bundled version is `1.11.2_DEV`.
    let mut numbers = version.split(['.', '_', '-']).map_while(|part| part.parse::<u32>().ok());
    match [numbers.next(), numbers.next(), numbers.next()] {
        [Some(major), Some(minor), patch] if [major, minor, patch.unwrap_or(0)] >= MIN_SAFE_LIBSSH2 => {
            Finding::good(CODE, format!("libssh2 {version}"))
        }
        [Some(_), Some(_), _] => {
            Finding::new(CODE, Verdict::Problem, format!("libssh2 {version}, which has known holes"))
                .with_hint("build without LIBSSH2_SYS_USE_PKG_CONFIG")
        }
        _ => Finding::new(CODE, Verdict::Unknown, "libssh2 names no version")
            .with_hint("build without LIBSSH2_SYS_USE_PKG_CONFIG"),
    }
}

/// The permission bits of everyone except the owner.
const OTHERS: u32 = 0o077;

fn identity(file: &str, usable: Result<()>, mode: Option<u32>) -> Finding {
    const CODE: &str = "krun-identity";
    match (usable, mode) {
        (Err(error), _) => problem(CODE, &error),
        (Ok(()), Some(mode)) if mode & OTHERS == 0 => {
            Finding::good(CODE, format!("{file} has a key that can be used, for its owner alone"))
        }
        (Ok(()), mode) => {
            let mode = mode.map(|mode| format!(" (mode {:o})", mode & 0o777)).unwrap_or_default();
            let seen = format!("others than its owner may touch {file}{mode}");
            Finding::new(CODE, Verdict::Warning, seen)
                .with_hint("chmod 600; the ssh of a login refuses such a key, commands do not")
        }
    }
}

fn ssh_client(version: Result<String>) -> Finding {
    match version {
        Ok(version) => Finding::good("krun-ssh-client", format!("{version}, for logins only")),
        // Commands do not need the client.
        Err(error) => Finding::from_error("krun-ssh-client", Verdict::Warning, &error),
    }
}

fn problem(code: &'static str, error: &Error) -> Finding {
    Finding::from_error(code, Verdict::Problem, error)
}

#[cfg(test)]
mod tests {
    use Verdict::{Good, Problem, Unknown, Warning};

    use super::*;

    fn check(finding: &Finding, verdict: Verdict, word: &str) {
        assert_eq!(finding.verdict, verdict, "{finding}");
        assert!(finding.to_string().contains(word), "{finding}");
        assert_eq!(finding.hint.is_none(), verdict == Good, "{finding}");
    }

    fn refused<T>(kind: ErrorKind) -> Result<T> {
        Err(Error::new(kind, "look at", "as it is").with_hint("mend it"))
    }

    #[test]
    fn an_unknown_oci_runtime_is_a_problem_no_answer_is_not() {
        check(&oci_runtime(Ok(())), Good, "krun");
        check(&oci_runtime(refused(ErrorKind::BackendMissing)), Problem, "mend it");
        check(&oci_runtime(refused(ErrorKind::BackendUnresponsive)), Unknown, "mend it");
        check(&oci_runtime(refused(ErrorKind::Cancelled)), Unknown, "mend it");
    }

    #[test]
    fn kvm_must_be_usable_and_the_client_of_logins_may_be_missing() {
        check(&kvm(Ok(())), Good, "/dev/kvm");
        check(&kvm(refused(ErrorKind::NoSuchPath)), Problem, "as it is");
        check(&ssh_client(Ok(String::from("OpenSSH_9.2p1"))), Good, "OpenSSH_9.2p1");
        check(&ssh_client(refused(ErrorKind::BackendMissing)), Warning, "as it is");
        check(&ssh_client(refused(ErrorKind::TimedOut)), Unknown, "as it is");
    }

    #[test]
    fn a_libssh2_with_known_holes_is_a_problem() {
        for sound in ["1.11.2", "1.11.2_DEV", "1.12", "2.0.0-rc1"] {
            check(&libssh2(sound), Good, sound);
        }
        for hole in ["1.11.1", "1.10.0", "1.11", "0.99.9"] {
            check(&libssh2(hole), Problem, hole);
        }
        for none in ["", "dev", "1"] {
            check(&libssh2(none), Unknown, "LIBSSH2_SYS_USE_PKG_CONFIG");
        }
    }

    #[test]
    fn an_identity_is_for_its_owner_alone() {
        check(&identity("/k", Ok(()), Some(0o100_600)), Good, "/k");
        check(&identity("/k", Ok(()), Some(0o100_400)), Good, "/k");
        check(&identity("/k", Ok(()), Some(0o100_644)), Warning, "mode 644");
        check(&identity("/k", Ok(()), Some(0o100_620)), Warning, "mode 620");
        check(&identity("/k", refused(ErrorKind::BadIdentity), Some(0o100_644)), Problem, "as it is");
    }
}
