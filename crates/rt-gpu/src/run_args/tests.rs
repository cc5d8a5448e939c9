//! The table of tiers, and what is refused.

use super::*;
use crate::host::tests::{host, render_node, spec};

fn check(files: &[String], selection: &str, expected: &str) {
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let (_root, host) = host(&files);
    let args = gpu_run_args(&selection.parse().unwrap(), &host).map(|args| args.to_string());
    assert_eq!(args.as_deref(), Ok(expected), "{selection}");
}

fn refused(files: &[String], selection: &str) -> GpuUnavailable {
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    gpu_run_args(&selection.parse().unwrap(), &host(&files).1).unwrap_err()
}

fn lines(files: &[&str]) -> Vec<String> {
    files.iter().map(ToString::to_string).collect()
}

fn cdi(kind: &str, devices: &[&str]) -> Vec<String> {
    vec![spec(&format!("/etc/cdi/{}.yaml", kind.replace('/', "-")), kind, devices)]
}

const ALL: &str = "-e NVIDIA_VISIBLE_DEVICES=all -e NVIDIA_DRIVER_CAPABILITIES=all";
const HOOK: &str = "/usr/share/containers/oci/hooks.d/oci-nvidia-hook.json {}";

/// Two GPUs by their device nodes; the first on the bus has the second minor number.
fn nvidia_nodes() -> Vec<String> {
    lines(&[
        "/dev/nvidiactl",
        "/dev/nvidia-uvm",
        "/dev/nvidia1",
        "/dev/nvidia0",
        "/dev/nvidia-caps/nvidia-cap1",
        "/dev/nvidia,strange",
        "/dev/null",
        "/proc/driver/nvidia/gpus/0000:01:00.0/information Device Minor: 1",
        "/proc/driver/nvidia/gpus/0000:02:00.0/information Device Minor: 0",
    ])
}

fn amd_nodes() -> Vec<String> {
    let mut files =
        [render_node(128, "0000:c1:00.0", "0x1002"), render_node(129, "0000:03:00.0", "0x1002")].concat();
    files.push(String::from("/dev/kfd"));
    files
}

#[test]
fn nothing_is_granted_where_nothing_is_asked_for() {
    check(&[], "", "");
    check(&nvidia_nodes(), "false", "");
}

#[test]
fn nvidia_by_cdi() {
    check(&cdi("nvidia.com/gpu", &["all", "0"]), "nvidia", &format!("--device nvidia.com/gpu=all {ALL}"));
    check(
        &cdi("nvidia.com/gpu", &["all", "0", "1"]),
        "nvidia:1,nvidia:0",
        "--device nvidia.com/gpu=0 --device nvidia.com/gpu=1 -e NVIDIA_VISIBLE_DEVICES=0,1 -e \
         NVIDIA_DRIVER_CAPABILITIES=all",
    );
    // No `all` declared.
    check(
        &cdi("nvidia.com/gpu", &["1", "0", "GPU-1a"]),
        "nvidia",
        &format!("--device nvidia.com/gpu=0 --device nvidia.com/gpu=1 {ALL}"),
    );
    check(&cdi("nvidia.com/gpu", &["mig1:0"]), "nvidia", &format!("--device nvidia.com/gpu=mig1:0 {ALL}"));
    // It comes before the other tiers.
    let files = [cdi("nvidia.com/gpu", &["all"]), lines(&[HOOK]), nvidia_nodes()].concat();
    check(&files, "nvidia", &format!("--device nvidia.com/gpu=all {ALL}"));
}

#[test]
fn nvidia_by_its_hook() {
    for hook in [HOOK, "/etc/containers/oci/hooks.d/oci-nvidia-hook.json"] {
        let files = [lines(&[hook]), nvidia_nodes()].concat();
        check(&files, "nvidia", ALL);
        check(&files, "nvidia:1", "-e NVIDIA_VISIBLE_DEVICES=1 -e NVIDIA_DRIVER_CAPABILITIES=all");
        assert!(matches!(refused(&files, "nvidia:2"), GpuUnavailable::Device { index: 2, .. }));
        check(&lines(&[hook]), "nvidia:7", "-e NVIDIA_VISIBLE_DEVICES=7 -e NVIDIA_DRIVER_CAPABILITIES=all");
    }
}

#[test]
fn nvidia_by_device_nodes() {
    check(
        &nvidia_nodes(),
        "nvidia",
        &format!(
            "--device /dev/nvidia-caps --device /dev/nvidia-uvm --device /dev/nvidiactl --device /dev/nvidia0 --device \
             /dev/nvidia1 {ALL}"
        ),
    );
    check(
        &nvidia_nodes(),
        "nvidia:0",
        "--device /dev/nvidia-caps --device /dev/nvidia-uvm --device /dev/nvidiactl --device /dev/nvidia1 -e \
         NVIDIA_VISIBLE_DEVICES=0 -e NVIDIA_DRIVER_CAPABILITIES=all",
    );
    let error = refused(&nvidia_nodes(), "nvidia:0,nvidia:5");
    assert_eq!(error.to_string(), "there is no nvidia:5; there is 0, 1");
    let mut files = nvidia_nodes();
    files.push(String::from("/proc/driver/nvidia/gpus/0000:03:00.0/information Model: x"));
    assert_eq!(
        refused(&files, "nvidia:2"),
        GpuUnavailable::UnknownNode { vendor: GpuVendor::Nvidia, index: 2 }
    );
    assert!(refused(&lines(&["/dev/nvidiactl"]), "nvidia:0").to_string().contains("minor number"));
}

#[test]
fn amd_and_intel_by_cdi() {
    check(&cdi("amd.com/gpu", &["all"]), "amd", "--device amd.com/gpu=all --group-add keep-groups");
    let files = [cdi("amd.com/gpu", &["0", "1"]), cdi("intel.com/gpu", &["all"])].concat();
    check(&files, "intel,amd:1", "--device amd.com/gpu=1 --group-add keep-groups --device intel.com/gpu=all");
    assert_eq!(refused(&files, "amd:9").to_string(), "there is no amd:9; there is 0, 1");
}

#[test]
fn amd_by_device_nodes() {
    check(
        &amd_nodes(),
        "amd",
        "--device /dev/kfd --device /dev/dri/renderD129 --device /dev/dri/renderD128 --mount \
         type=bind,source=/dev/dri/by-path/pci-0000:03:00.0-render,destination=/dev/dri/by-path/pci-0000:03:00.0-render,ro=true \
         --mount \
         type=bind,source=/dev/dri/by-path/pci-0000:c1:00.0-render,destination=/dev/dri/by-path/pci-0000:c1:00.0-render,ro=true \
         --group-add keep-groups",
    );
    check(
        &amd_nodes(),
        "amd:1",
        "--device /dev/kfd --device /dev/dri/renderD128 --mount \
         type=bind,source=/dev/dri/by-path/pci-0000:c1:00.0-render,destination=/dev/dri/by-path/pci-0000:c1:00.0-render,ro=true \
         --group-add keep-groups",
    );
    assert_eq!(refused(&amd_nodes(), "amd:2").to_string(), "there is no amd:2; there is 0, 1");
}

#[test]
fn intel_by_device_nodes() {
    // Without a name by path.
    let files = render_node(128, "0000:00:02.0", "0x8086");
    check(&files[..3], "intel", "--device /dev/dri/renderD128 --group-add keep-groups");
    check(&files[..3], "all", "--device /dev/dri/renderD128 --group-add keep-groups");
}

#[test]
fn all_is_every_vendor_that_can_be_served() {
    let files =
        [cdi("nvidia.com/gpu", &["all"]), amd_nodes(), render_node(130, "0000:00:02.0", "0x8086").into()]
            .concat();
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let (_root, host) = host(&files);
    let args = gpu_run_args(&GpuSelection::All, &host).unwrap();
    let grants: Vec<_> = args.grants().iter().map(|grant| (grant.vendor, grant.tier)).collect();
    assert_eq!(
        grants,
        [
            (GpuVendor::Nvidia, GpuTier::Cdi),
            (GpuVendor::Amd, GpuTier::DeviceNodes),
            (GpuVendor::Intel, GpuTier::DeviceNodes),
        ]
    );
    let words = args.words();
    assert_eq!(words.iter().filter(|word| *word == "keep-groups").count(), 1);
    assert!(words.iter().all(|word| word != "/dev/dri"));
}

#[test]
fn what_cannot_be_served_is_refused_with_what_is_missing() {
    let error = refused(&[], "all");
    assert!(matches!(error, GpuUnavailable::None { .. }));
    for missing in ["nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu", "/dev/nvidiactl", "/dev/kfd"] {
        assert!(error.to_string().contains(missing), "{error}");
    }
    let error = refused(&cdi("nvidia.com/gpu", &["all"]), "nvidia,intel");
    assert!(matches!(error, GpuUnavailable::Vendor { vendor: GpuVendor::Intel, .. }));
    let error = rt_protocol::Error::from(error);
    assert_eq!(error.kind(), rt_protocol::ErrorKind::GpuConfig);
    assert!(error.gpu_config().unwrap().message().contains("intel.com/gpu") && error.hint().is_some());
}
