//! The findings about GPUs: the CDI specs that an engine would read, and whether what they name
//! exists.

use rt_gpu::{CdiRegistry, CdiSource, DeviceState, GpuHost, SpecCheck};

use super::{DoctorOptions, Finding, Verdict};

pub(super) fn findings(options: &DoctorOptions) -> Vec<Finding> {
    let source = cdi_source(options);
    let host = GpuHost::new().cdi_source(source.clone());
    let registry = host.cdi();
    vec![specs(&source, &registry), devices(&registry.check(host.root()))]
}

/// Returns what the podman of this machine reads, or the specification's default without podman.
fn cdi_source(options: &DoctorOptions) -> CdiSource {
    #[cfg(feature = "podman")]
    if let Ok(podman) = rt_podman::PodmanRuntime::new()
        && let Ok(profile) = podman.profile_until(&options.until)
    {
        return profile.cdi_source();
    }
    // Only used with podman.
    let _ = options;
    CdiSource::default()
}

fn specs(source: &CdiSource, registry: &CdiRegistry) -> Finding {
    const CODE: &str = "gpu-cdi-specs";
    let dirs: Vec<_> = source.dirs().iter().map(|dir| dir.display().to_string()).collect();
    let place = format!("in {}, up to version {}", dirs.join(" and "), source.newest());
    let count = registry.specs().len();
    match registry.problems() {
        [] if count == 0 => Finding::new(CODE, Verdict::NotApplicable, format!("no CDI spec {place}")),
        [] => Finding::good(CODE, format!("{count} CDI specs {place}")),
        problems => {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Finding::new(CODE, Verdict::Problem, format!("of the CDI specs {place}: {}", problems.join("; ")))
                .with_hint("generate them anew, or remove them")
        }
    }
}

fn devices(check: &SpecCheck) -> Finding {
    const CODE: &str = "gpu-cdi-devices";
    // A device is shadowed on purpose.
    let wanted =
        || check.devices.iter().filter(|device| !matches!(device.state, DeviceState::Shadowed { .. }));
    let bad: Vec<_> = wanted().filter(|device| !device.is_usable()).map(ToString::to_string).collect();
    match (wanted().count(), bad.is_empty()) {
        (0, _) => Finding::new(CODE, Verdict::NotApplicable, "no CDI device is declared"),
        (count, true) => Finding::good(CODE, format!("{count} CDI devices, and all that they need is there")),
        (_, false) => Finding::new(CODE, Verdict::Problem, bad.join("; ")).with_hint(
            "generate the spec anew after a change of driver: nvidia-ctk cdi generate, for NVIDIA",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The verdicts for a host with these spec files and this device node.
    fn check(files: &[(&str, &str)], expected: [Verdict; 2]) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let source = CdiSource::default();
        let host = GpuHost::at(root.path()).cdi_source(source.clone());
        let registry = host.cdi();
        let found = [specs(&source, &registry), devices(&registry.check(host.root()))];
        assert_eq!(found.each_ref().map(|finding| finding.verdict), expected, "{found:?}");
        assert!(found.iter().all(|finding| (finding.verdict < Verdict::Unknown) == finding.hint.is_none()));
    }

    const SPEC: &str = r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0",
        "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}]}}]}"#;

    #[test]
    fn a_host_without_specs_has_nothing_to_check() {
        check(&[], [Verdict::NotApplicable; 2]);
    }

    #[test]
    fn a_device_that_is_there_is_good_and_one_that_is_not_is_stale() {
        let spec = ("etc/cdi/nvidia.json", SPEC);
        check(&[spec, ("dev/nvidia0", "")], [Verdict::Good; 2]);
        check(&[spec], [Verdict::Good, Verdict::Problem]);
    }

    #[test]
    fn a_spec_that_cannot_be_read_is_a_problem() {
        check(&[("etc/cdi/nvidia.json", "{")], [Verdict::Problem, Verdict::NotApplicable]);
    }
}
