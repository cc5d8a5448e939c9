//! What is right and wrong with this host for the backends, as findings. What each check looks at stands in its area's
//! module; opening backends stands in `open`.

mod finding;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "krun")]
mod krun;
#[cfg(feature = "podman")]
mod podman;

use std::path::PathBuf;

use rt_protocol::Until;

pub use finding::{Diagnosis, Finding, Verdict};

/// What [`doctor()`] is told beforehand.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[cfg_attr(not(feature = "krun"), allow(dead_code, reason = "each area reads what concerns it"))]
pub struct DoctorOptions {
    identity: Option<PathBuf>,
    until: Until,
}

impl DoctorOptions {
    /// No identity, and no limit beyond that of each check.
    pub fn new() -> Self {
        Self::default()
    }

    /// The private key with which krun guests are to be entered, to be looked at too.
    #[must_use]
    pub fn identity(self, file: impl Into<PathBuf>) -> Self {
        Self { identity: Some(file.into()), ..self }
    }

    /// When to be done. What was not looked at by then is [`Unknown`](Verdict::Unknown), and says so.
    #[must_use]
    pub fn until(self, until: Until) -> Self {
        Self { until, ..self }
    }
}

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
    let podman = compiled_out(&PODMAN, "build rt with its feature `podman`");
    #[cfg(feature = "krun")]
    let krun = krun::findings(options);
    #[cfg(not(feature = "krun"))]
    let krun = compiled_out(&KRUN, "build rt with its feature `krun`");
    #[cfg(feature = "gpu")]
    let gpu = gpu::findings(options);
    #[cfg(not(feature = "gpu"))]
    let gpu = compiled_out(&GPU, "build rt with its feature `gpu`");
    Diagnosis { findings: podman.into_iter().chain(krun).chain(gpu).collect() }
}

#[cfg(any(test, not(all(feature = "podman", feature = "krun", feature = "gpu"))))]
fn compiled_out(codes: &[&'static str], remedy: &str) -> Vec<Finding> {
    let reason = "this build does not have it";
    Finding::not_made(codes, Verdict::NotApplicable, reason, remedy).collect()
}

/// The checks of podman; all but the first need its answer.
const PODMAN: [&str; 8] = [
    "podman-version",
    "podman-rights",
    "podman-place",
    "podman-cgroups",
    "podman-oci-runtime",
    "podman-network",
    "podman-events",
    "podman-container",
];

#[cfg(any(test, not(feature = "krun")))]
const KRUN: [&str; 5] = ["krun-oci-runtime", "krun-kvm", "krun-libssh2", "krun-identity", "krun-ssh-client"];

#[cfg(any(test, not(feature = "gpu")))]
const GPU: [&str; 2] = ["gpu-cdi-specs", "gpu-cdi-devices"];

#[cfg(test)]
mod tests {
    use rt_protocol::CancelToken;

    use super::*;

    #[test]
    fn every_build_has_every_finding_in_order() {
        let token = CancelToken::new();
        token.cancel();
        let diagnosis = doctor(&DoctorOptions::new().until(Until::cancelled(&token)));
        let codes: Vec<_> = diagnosis.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [&PODMAN[..], &KRUN, &GPU].concat());
    }

    #[test]
    fn a_doctor_who_is_called_off_asks_nobody_and_says_so() {
        let token = CancelToken::new();
        token.cancel();
        let diagnosis = doctor(&DoctorOptions::new().until(Until::cancelled(&token)));
        for code in ["podman-version", "podman-container", "krun-oci-runtime", "krun-ssh-client"] {
            let verdict = diagnosis.finding(code).unwrap().verdict;
            assert!(!matches!(verdict, Verdict::Good | Verdict::Warning), "{diagnosis}");
        }
    }

    #[test]
    fn who_has_no_good_finding_is_told_what_to_do() {
        for finding in compiled_out(&KRUN, "build it").iter().chain(&doctor(&DoctorOptions::new()).findings) {
            let is_fine = matches!(finding.verdict, Verdict::Good | Verdict::NotApplicable);
            assert!(is_fine || finding.remedy.is_some(), "{finding}");
        }
    }
}
