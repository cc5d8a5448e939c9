//! Checks this machine for all backends, and returns findings. The checks themselves are in the
//! module of each area.

mod check_codes;
mod finding;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "krun")]
mod krun;
mod options;
#[cfg(feature = "podman")]
mod podman;

#[cfg(not(feature = "gpu"))]
use check_codes::GPU_CHECKS;
#[cfg(not(feature = "krun"))]
use check_codes::KRUN_CHECKS;
#[cfg(not(feature = "podman"))]
use check_codes::PODMAN_CHECKS;
pub use finding::{Diagnosis, Finding, Verdict};
pub use options::DoctorOptions;

/// Checks everything that the backends need on this machine, and says how to fix what is wrong.
///
/// Never fails and never panics: a check that could not be made is a finding too. Like
/// [`detect()`](crate::detect()), it runs one container and removes it; nothing is left behind.
/// Takes about a second. Without a deadline in the options, each answer of podman has a limit of 10
/// seconds, the container one of 60 seconds, and the SSH client one of 5 seconds.
///
/// Every build reports all findings, in the same order. If the feature of a check is not compiled
/// in, the finding is [`NotApplicable`](Verdict::NotApplicable) and names the feature. The codes
/// are stable:
///
/// | code | what it is about |
/// | --- | --- |
/// | `podman-version` | which podman is on PATH, and whether it is 4.3 or newer |
/// | `podman-rights` | whether containers run as root |
/// | `podman-place` | whether containers run on this machine |
/// | `podman-cgroups` | the version of cgroups, and their manager |
/// | `podman-oci-runtime` | the default OCI runtime |
/// | `podman-network` | the network of containers |
/// | `podman-events` | whether podman keeps an event log |
/// | `podman-container` | whether a container and a command in it run |
/// | `podman-warm` | whether commands go by an agent in the container, or why not |
/// | `krun-oci-runtime` | whether podman knows the OCI runtime `krun` |
/// | `krun-kvm` | whether this user may use `/dev/kvm` |
/// | `krun-libssh2` | the version of libssh2 that is linked |
/// | `krun-identity` | whether the identity in the options is usable, and who may read it |
/// | `krun-ssh-client` | the SSH client that `login_command` would start |
/// | `gpu-cdi-specs` | the directories of CDI specs, and whether the specs can be read |
/// | `gpu-cdi-devices` | whether the devices and files that the specs name exist |
///
/// ```
/// use std::time::Duration;
/// use rt::{DoctorOptions, Until, Verdict};
///
/// let until = Until::after(Duration::from_secs(30));
/// let diagnosis = rt::doctor(&DoctorOptions::new().until(until));
/// for finding in &diagnosis.findings {
///     println!("{finding}");
/// }
/// let podman = diagnosis.finding("podman-version").unwrap();
/// assert!(cfg!(feature = "podman") || podman.verdict == Verdict::NotApplicable);
/// ```
pub fn doctor(options: &DoctorOptions) -> Diagnosis {
    // Only used if a backend is compiled in.
    let _ = options;
    #[cfg(feature = "podman")]
    let podman = podman::findings(options);
    #[cfg(not(feature = "podman"))]
    let podman = feature_disabled(&PODMAN_CHECKS, "build rt with its feature `podman`");
    #[cfg(feature = "krun")]
    let krun = krun::findings(options);
    #[cfg(not(feature = "krun"))]
    let krun = feature_disabled(&KRUN_CHECKS, "build rt with its feature `krun`");
    #[cfg(feature = "gpu")]
    let gpu = gpu::findings(options);
    #[cfg(not(feature = "gpu"))]
    let gpu = feature_disabled(&GPU_CHECKS, "build rt with its feature `gpu`");
    Diagnosis { findings: podman.into_iter().chain(krun).chain(gpu).collect() }
}

#[cfg(any(test, not(all(feature = "podman", feature = "krun", feature = "gpu"))))]
fn feature_disabled(codes: &[&'static str], hint: &str) -> Vec<Finding> {
    let reason = "this build does not have it";
    Finding::skipped(codes, Verdict::NotApplicable, reason, hint).collect()
}

#[cfg(test)]
mod tests {
    use rt_protocol::{CancelToken, Until};

    use super::check_codes::{GPU_CHECKS, KRUN_CHECKS, PODMAN_CHECKS};
    use super::{DoctorOptions, Verdict, doctor, feature_disabled};

    #[test]
    fn every_build_has_every_finding_in_order() {
        let token = CancelToken::new();
        token.cancel();
        let diagnosis = doctor(&DoctorOptions::new().until(Until::cancelled(&token)));
        let codes: Vec<_> = diagnosis.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [&PODMAN_CHECKS[..], &KRUN_CHECKS, &GPU_CHECKS].concat());
    }

    #[test]
    fn a_cancelled_doctor_runs_no_check() {
        let token = CancelToken::new();
        token.cancel();
        let diagnosis = doctor(&DoctorOptions::new().until(Until::cancelled(&token)));
        for code in ["podman-version", "podman-container", "krun-oci-runtime", "krun-ssh-client"] {
            let finding = diagnosis.finding(code).unwrap();
            // A missing program is noticed without running it.
            let is_missing = finding.to_string().contains("program is missing");
            assert!(
                is_missing || !matches!(finding.verdict, Verdict::Good | Verdict::Warning),
                "{diagnosis}"
            );
        }
    }

    #[test]
    fn a_finding_that_is_not_good_says_what_to_do() {
        for finding in
            feature_disabled(&KRUN_CHECKS, "build it").iter().chain(&doctor(&DoctorOptions::new()).findings)
        {
            let is_fine = matches!(finding.verdict, Verdict::Good | Verdict::NotApplicable);
            assert!(is_fine || finding.hint.is_some(), "{finding}");
        }
    }
}
