//! What is right and wrong with this host for the backends, as findings. What each check looks at stands in its area's
//! module; opening backends stands in `open`.

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

/// Looks at everything that the backends need on this host, and says what to do about what is wrong.
///
/// Never fails and never panics: what cannot be found out is a finding too. Nothing is left behind; one container is run
/// and removed, as by [`detect()`](crate::detect()). Takes about a second. Without a deadline in the options each of podman's
/// answers has 10 s, the container 60 s, and the SSH client 5 s.
///
/// Every check has a finding in every build, always in the same order: where the feature of a check is not compiled in,
/// the finding is [`NotApplicable`](Verdict::NotApplicable) and names the feature. The codes are stable:
///
/// | code | what it is about |
/// | --- | --- |
/// | `podman-version` | which podman is on PATH, and whether it is 4.3 or newer |
/// | `podman-rights` | whether containers run with root's rights |
/// | `podman-place` | whether containers run on this machine |
/// | `podman-cgroups` | the version of cgroups, and who manages them |
/// | `podman-oci-runtime` | which OCI runtime containers have by default |
/// | `podman-network` | what connects containers to the outside |
/// | `podman-events` | whether podman keeps a log of events |
/// | `podman-container` | whether a container, and a command in it, really run |
/// | `krun-oci-runtime` | whether podman knows the OCI runtime `krun` |
/// | `krun-kvm` | whether this user may use `/dev/kvm` |
/// | `krun-libssh2` | which libssh2 is linked in |
/// | `krun-identity` | whether the identity of the options can be used, and who may read it |
/// | `krun-ssh-client` | which SSH client `login_command` would find |
/// | `gpu-cdi-specs` | where CDI specs are read from, and whether they can be read |
/// | `gpu-cdi-devices` | whether what the specs declare is there, or a spec is stale |
///
/// ```
/// use std::time::Duration;
/// use rt::{DoctorOptions, Until, Verdict};
///
/// let diagnosis = rt::doctor(&DoctorOptions::new().until(Until::after(Duration::from_secs(30))));
/// for finding in &diagnosis.findings {
///     println!("{finding}");
/// }
/// let podman = diagnosis.finding("podman-version").unwrap();
/// assert!(cfg!(feature = "podman") || podman.verdict == Verdict::NotApplicable);
/// ```
pub fn doctor(options: &DoctorOptions) -> Diagnosis {
    // Unused where nothing is compiled in.
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
            // That a program is not there is seen without asking it.
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
