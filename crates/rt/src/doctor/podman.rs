//! The findings about podman: its own description, and whether it runs a container.

use std::fs;

use rt_podman::{ColdReason, ExecPath, PodmanProfile, PodmanRuntime, PodmanVersion, RootlessNetwork, Warmth};
use rt_protocol::Error;

use super::check_codes::PODMAN_CHECKS;
use super::{DoctorOptions, Finding, Verdict};

/// The oldest podman that is tested.
const MIN_VERSION: PodmanVersion = PodmanVersion::new(4, 3, 0);

pub(super) fn findings(options: &DoctorOptions) -> Vec<Finding> {
    // Whatever the default is: whether it works is asked.
    let podman = match PodmanRuntime::builder().exec_path(ExecPath::Auto).build() {
        Ok(podman) => podman,
        Err(error) => return not_answered(&error),
    };
    let profile = match podman.profile_until(&options.until) {
        Ok(profile) => profile,
        Err(error) => return not_answered(&error),
    };
    let mut findings = evaluate(profile);
    findings.extend(match podman.probe_warmth(&options.until) {
        Ok(warmth) => {
            let is_enforced = read("/sys/fs/selinux/enforce").as_deref() == Some("1");
            let container = Finding::good("podman-container", "a container and a command in it ran");
            [container, warm(&warmth, is_enforced)]
        }
        Err(error) => [
            Finding::from_error("podman-container", Verdict::Problem, &error),
            Finding::new("podman-warm", Verdict::Unknown, "not looked at: no container ran")
                .with_hint("see podman-container"),
        ],
    });
    findings
}

/// A word of the kernel about itself.
fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// Without an answer of podman there is only one finding to make.
fn not_answered(error: &Error) -> Vec<Finding> {
    let first = Finding::from_error(PODMAN_CHECKS[0], Verdict::Problem, error);
    let rest = Finding::skipped(
        &PODMAN_CHECKS[1..],
        Verdict::Unknown,
        "podman did not answer",
        "see podman-version",
    );
    std::iter::once(first).chain(rest).collect()
}

fn evaluate(profile: &PodmanProfile) -> Vec<Finding> {
    let text = Option::as_deref;
    vec![
        version(profile.version, profile.server_version),
        rights(profile.rootless),
        location(profile.remote),
        cgroups(text(&profile.cgroup_version), text(&profile.cgroup_manager), profile.rootless),
        oci_runtime(text(&profile.oci_runtime)),
        network(text(&profile.network_backend), profile.rootless, profile.rootless_network),
        events(text(&profile.events_logger), text(&profile.log_driver)),
    ]
}

fn version(own: PodmanVersion, server: Option<PodmanVersion>) -> Finding {
    let asked = server.unwrap_or(own);
    let seen = match server {
        None => format!("podman {own}"),
        Some(server) => format!("podman {own}, which asks a podman {server}"),
    };
    if asked.min(own) < MIN_VERSION {
        Finding::new("podman-version", Verdict::Problem, format!("{seen}, older than {MIN_VERSION}"))
            .with_hint("install podman 4.3 or newer")
    } else {
        Finding::good("podman-version", seen)
    }
}

fn rights(rootless: Option<bool>) -> Finding {
    match rootless {
        Some(true) => Finding::good("podman-rights", "rootless: containers have this user's rights"),
        Some(false) => Finding::good("podman-rights", "rootful: podman has root's rights"),
        None => not_reported("podman-rights"),
    }
}

fn location(remote: Option<bool>) -> Finding {
    match remote {
        Some(false) => Finding::good("podman-place", "containers run on this machine"),
        Some(true) => {
            let seen = "another process holds the containers, perhaps on another machine";
            Finding::new("podman-place", Verdict::Warning, seen)
                .with_hint("have `sh` and `grep` in the images: commands can only be ended from inside")
        }
        None => not_reported("podman-place"),
    }
}

fn cgroups(version: Option<&str>, manager: Option<&str>, rootless: Option<bool>) -> Finding {
    let managed_by = manager.map(|manager| format!(", managed by {manager}")).unwrap_or_default();
    match (version, rootless) {
        (Some("v2"), _) => Finding::good("podman-cgroups", format!("cgroups v2{managed_by}")),
        (Some("v1"), Some(true)) => {
            Finding::new("podman-cgroups", Verdict::Warning, format!("cgroups v1{managed_by}, rootless"))
                .with_hint("leave limits of memory, processors and processes out, or boot with cgroups v2")
        }
        (Some("v1"), _) => {
            Finding::new("podman-cgroups", Verdict::Warning, format!("cgroups v1{managed_by}"))
                .with_hint("boot with cgroups v2 when there is an occasion: podman 5 has deprecated v1")
        }
        (Some(other), _) => {
            Finding::new("podman-cgroups", Verdict::Unknown, format!("cgroups {other}{managed_by}"))
                .with_hint("see whether podman-container is good")
        }
        (None, _) => not_reported("podman-cgroups"),
    }
}

fn oci_runtime(name: Option<&str>) -> Finding {
    const CODE: &str = "podman-oci-runtime";
    match name {
        Some("crun" | "runc") => Finding::good(CODE, name.unwrap_or_default()),
        Some("krun") => Finding::new(CODE, Verdict::Warning, "krun: every container is a microVM")
            .with_hint("use the krun backend, or make crun the default: podman cannot enter a microVM"),
        Some(other) => Finding::new(CODE, Verdict::Warning, format!("{other}, which was never tried"))
            .with_hint("run the conformance suite on it, or use crun or runc"),
        None => not_reported(CODE),
    }
}

fn network(backend: Option<&str>, rootless: Option<bool>, way: RootlessNetwork) -> Finding {
    let Some(backend) = backend else { return not_reported("podman-network") };
    let seen = match (rootless, way) {
        (Some(true), RootlessNetwork::Pasta) => format!("{backend}, rootless by pasta"),
        (Some(true), _) => format!("{backend}, rootless by slirp4netns"),
        _ => backend.to_owned(),
    };
    if backend == "cni" {
        Finding::new("podman-network", Verdict::Warning, seen)
            .with_hint("change to netavark: podman 5 does not have CNI on most systems")
    } else {
        Finding::good("podman-network", seen)
    }
}

fn events(logger: Option<&str>, log_driver: Option<&str>) -> Finding {
    let warning =
        |seen: &str, hint: &str| Finding::new("podman-events", Verdict::Warning, seen).with_hint(hint);
    match (logger, log_driver) {
        (Some("none"), _) => warning(
            "podman keeps no events: its own 125, 126, 127 and 255 look like a command's",
            "set events_logger to journald or file in containers.conf",
        ),
        (Some(_), Some("none")) => {
            warning("new containers have no log", "set log_driver to journald or k8s-file in containers.conf")
        }
        (Some(logger), driver) => {
            let logs = driver.map(|driver| format!(", logs by {driver}")).unwrap_or_default();
            Finding::good("podman-events", format!("events by {logger}{logs}"))
        }
        (None, _) => not_reported("podman-events"),
    }
}

fn warm(warmth: &Warmth, selinux_enforces: bool) -> Finding {
    const CODE: &str = "podman-warm";
    let Warmth::Cold(reason) = warmth else { return Finding::good(CODE, warmth.to_string()) };
    let hint = match reason {
        ColdReason::NoProgram => "build for x86-64 or AArch64, by a toolchain that has rust-lld",
        ColdReason::NoMemory(_) => "set vm.memfd_noexec to 0 or 1, see sysctl(8)",
        ColdReason::NotSeen => "run this program where the containers run, and see their processes in /proc",
        ColdReason::MayTrace => "take SYS_PTRACE out of default_capabilities in containers.conf",
        _ if selinux_enforces => "see `ausearch -m avc`: SELinux enforces here, and may refuse the agent",
        _ => "leave it so: every command works, and takes as long as a `podman exec`",
    };
    Finding::new(CODE, Verdict::Warning, warmth.to_string()).with_hint(hint)
}

fn not_reported(code: &'static str) -> Finding {
    Finding::new(code, Verdict::Unknown, "podman does not say").with_hint("see `podman info`")
}

#[cfg(test)]
mod tests {
    use Verdict::{Good, Problem, Unknown, Warning};

    use super::*;

    /// The verdict, and a word that the line must have.
    fn check(finding: &Finding, verdict: Verdict, word: &str) {
        assert_eq!(finding.verdict, verdict, "{finding}");
        assert!(finding.to_string().contains(word), "{finding}");
        assert_eq!(finding.hint.is_none(), verdict == Good, "{finding}");
    }

    #[test]
    fn a_podman_before_4_3_is_a_problem_on_either_side() {
        let (old, new) = (PodmanVersion::new(4, 2, 9), PodmanVersion::new(5, 4, 2));
        check(&version(PodmanVersion::new(4, 3, 0), None), Good, "4.3.0");
        check(&version(new, None), Good, "5.4.2");
        check(&version(old, None), Problem, "4.2.9");
        check(&version(new, Some(old)), Problem, "asks a podman 4.2.9");
        check(&version(old, Some(new)), Problem, "4.2.9");
        check(&version(PodmanVersion::new(4, 3, 1), Some(new)), Good, "5.4.2");
    }

    #[test]
    fn either_rights_are_good_and_another_machine_is_a_limit() {
        check(&rights(Some(true)), Good, "rootless");
        check(&rights(Some(false)), Good, "rootful");
        check(&rights(None), Unknown, "podman info");
        check(&location(Some(false)), Good, "this machine");
        check(&location(Some(true)), Warning, "inside");
        check(&location(None), Unknown, "podman info");
    }

    #[test]
    fn cgroups_v1_is_a_limit_and_more_so_without_roots_rights() {
        check(&cgroups(Some("v2"), Some("systemd"), None), Good, "managed by systemd");
        check(&cgroups(Some("v1"), None, Some(false)), Warning, "deprecated");
        check(&cgroups(Some("v1"), None, Some(true)), Warning, "leave limits");
        check(&cgroups(Some("v3"), None, None), Unknown, "v3");
        check(&cgroups(None, Some("systemd"), None), Unknown, "does not say");
    }

    #[test]
    fn krun_by_default_and_strange_runtimes_are_limits() {
        check(&oci_runtime(Some("crun")), Good, "crun");
        check(&oci_runtime(Some("runc")), Good, "runc");
        check(&oci_runtime(Some("krun")), Warning, "krun backend");
        check(&oci_runtime(Some("youki")), Warning, "youki");
        check(&oci_runtime(None), Unknown, "does not say");
    }

    #[test]
    fn the_network_is_told_and_cni_is_a_limit() {
        check(&network(Some("netavark"), Some(false), RootlessNetwork::Pasta), Good, "netavark");
        check(&network(Some("netavark"), Some(true), RootlessNetwork::Pasta), Good, "by pasta");
        check(&network(Some("netavark"), Some(true), RootlessNetwork::Slirp4netns), Good, "by slirp4netns");
        check(&network(Some("cni"), None, RootlessNetwork::Slirp4netns), Warning, "netavark");
        check(&network(None, None, RootlessNetwork::Slirp4netns), Unknown, "does not say");
    }

    #[test]
    fn a_podman_without_events_or_logs_is_a_limit() {
        check(&events(Some("journald"), Some("journald")), Good, "logs by journald");
        check(&events(Some("file"), None), Good, "file");
        check(&events(Some("none"), Some("journald")), Warning, "events_logger");
        check(&events(Some("file"), Some("none")), Warning, "log_driver");
        check(&events(None, Some("none")), Unknown, "does not say");
    }

    #[test]
    fn commands_that_go_by_podman_are_a_limit_with_its_reason() {
        check(&warm(&Warmth::Warm, true), Good, "by an agent");
        let refused = ColdReason::Refused("crun: Permission denied".into());
        for (reason, selinux_enforces, word) in [
            (ColdReason::NoProgram, false, "rust-lld"),
            (ColdReason::NoMemory("EACCES".into()), false, "vm.memfd_noexec"),
            (ColdReason::NotSeen, false, "/proc"),
            (ColdReason::MayTrace, false, "SYS_PTRACE"),
            (refused.clone(), false, "crun: Permission denied (leave"),
            (refused, true, "SELinux"),
        ] {
            check(&warm(&Warmth::Cold(reason), selinux_enforces), Warning, word);
        }
    }

    #[test]
    fn a_missing_podman_is_one_problem_and_the_rest_is_unknown() {
        let error = PodmanRuntime::builder().binary("rt-no-such-podman").build().unwrap_err();
        let findings = not_answered(&error);
        assert_eq!(findings.len(), PODMAN_CHECKS.len());
        check(&findings[0], Problem, "rt-no-such-podman");
        assert!(findings[1..].iter().all(|finding| finding.verdict == Unknown));
    }
}
