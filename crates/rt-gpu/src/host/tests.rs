//! What is seen of a host's GPUs, on hosts made of files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

/// A host of files; links are given as `path -> target`.
pub(crate) fn host(files: &[&str]) -> (tempfile::TempDir, GpuHost) {
    let root = tempfile::tempdir().unwrap();
    for line in files {
        let (path, rest) = line.split_once(' ').unwrap_or((line, ""));
        let path = root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match rest.strip_prefix("-> ") {
            Some(target) => symlink(target, path).unwrap(),
            None => fs::write(path, rest).unwrap(),
        }
    }
    let host = GpuHost::at(root.path());
    (root, host)
}

/// A spec that declares these devices, as a line for [`host`].
pub(crate) fn spec(path: &str, kind: &str, devices: &[&str]) -> String {
    let devices: Vec<_> =
        devices.iter().map(|name| format!("{{name: {name:?}, containerEdits: {{env: [A=b]}}}}")).collect();
    format!("{path} {{cdiVersion: 0.5.0, kind: {kind}, devices: [{}]}}", devices.join(", "))
}

/// The files of a render node.
pub(crate) fn render_node(number: u32, pci: &str, vendor: &str) -> [String; 4] {
    [
        format!("/sys/bus/{pci}/vendor {vendor}\n"),
        format!("/sys/class/drm/renderD{number}/device -> ../../../bus/{pci}"),
        format!("/dev/dri/renderD{number}"),
        format!("/dev/dri/by-path/pci-{pci}-render -> ../renderD{number}"),
    ]
}

fn shown(host: &GpuHost, vendor: GpuVendor) -> Vec<String> {
    host.gpus(vendor).iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_host_serves_nobody_and_says_what_is_missing() {
    let (root, host) = host(&[]);
    assert!(!host.check_gpu_available());
    assert_eq!(host.detect_gpu_vendors(), []);
    assert_eq!(host.root(), root.path());
    assert_eq!(
        host.report().to_string(),
        "nvidia: not usable\n  no CDI spec in /etc/cdi or /var/run/cdi declares nvidia.com/gpu\n  no OCI hook \
         oci-nvidia-hook.json in /usr/share/containers/oci/hooks.d or /etc/containers/oci/hooks.d\n  no /dev/nvidiactl: the \
         driver is not loaded\namd: not usable\n  no CDI spec in /etc/cdi or /var/run/cdi declares amd.com/gpu\n  no render \
         node of amd's in /sys/class/drm\n  no /dev/kfd: the compute driver is not loaded\nintel: not usable\n  no CDI spec in \
         /etc/cdi or /var/run/cdi declares intel.com/gpu\n  no render node of intel's in /sys/class/drm"
    );
}

#[test]
fn a_spec_of_nvidias_kind_makes_gpus_available() {
    let (_root, host) = host(&[&spec("/var/run/cdi/n.yaml", "nvidia.com/gpu", &["all", "GPU-1a", "1", "0"])]);
    assert!(host.check_gpu_available());
    assert_eq!(host.detect_gpu_vendors(), [GpuVendor::Nvidia]);
    assert_eq!(host.report().vendors[0].to_string(), "nvidia: by CDI (0, 1, GPU-1a, all)");
    assert!(
        !host
            .clone()
            .cdi_source(CdiSource::new(["/etc/cdi"], crate::CdiVersion::NEWEST))
            .check_gpu_available()
    );
}

#[test]
fn specs_that_do_not_count_make_no_gpus_available() {
    for line in [
        spec("/etc/cdi/a.yaml", "management.nvidia.com/gpu", &["all"]),
        spec("/etc/cdi/a.yaml", "nvidia.com/gpu-legacy", &["all"]),
        spec("/etc/cdi/a.yml", "nvidia.com/gpu", &["all"]),
        String::from("/etc/cdi/a.yaml # nvidia.com/gpu"),
        String::from(
            "/etc/cdi/a.yaml {cdiVersion: 0.6.0, kind: a.b/c, annotations: {k: nvidia.com/gpu}, devices: [{name: x, containerEdits: {env: [A=b]}}]}",
        ),
        String::from("/etc/cdi/a.json {\"kind\": \"nvidia.com/gpu\", "),
    ] {
        let (_root, host) = host(&[&line]);
        assert!(!host.check_gpu_available(), "{line}");
    }
    let escaped = r#"/etc/cdi/a.json {"cdiVersion": "0.5.0", "kind": "nvidia.com\/gpu", "devices": [{"name": "all", "containerEdits": {"env": ["A=b"]}}]}"#;
    assert!(host(&[escaped]).1.check_gpu_available());
}

#[test]
fn a_broken_spec_is_named_where_the_kind_is_missed() {
    let (_root, host) = host(&["/etc/cdi/a.json {"]);
    let report = host.report().to_string();
    assert!(report.contains("etc/cdi/a.json: line "), "{report}");
}

#[test]
fn specs_in_conflict_leave_no_device() {
    let (_root, host) = host(&[
        &spec("/etc/cdi/a.yaml", "nvidia.com/gpu", &["all"]),
        &spec("/etc/cdi/b.yaml", "nvidia.com/gpu", &["all"]),
    ]);
    assert!(host.check_gpu_available(), "declared it is");
    assert_eq!(host.detect_gpu_vendors(), []);
    assert!(host.report().to_string().contains("in conflict"), "{}", host.report());
}

#[test]
fn nvidia_gpus_are_ordered_by_pci_address() {
    let gpu = |pci: &str, text: &str| format!("/proc/driver/nvidia/gpus/{pci}/information {text}");
    let (_root, host) = host(&[
        &gpu("0000:41:00.0", "Model: \t\t X\nDevice Minor: \t 0\nGPU Excluded:\t No\n"),
        &gpu("0000:0a:00.0", "Device Minor: \t 10\n"),
        &gpu("0000:c1:00.0", "Model: X\n"),
        &gpu("not-an-address", "Device Minor: 1\n"),
    ]);
    assert_eq!(
        shown(&host, GpuVendor::Nvidia),
        [
            "nvidia:0 at 0000:0a:00.0, /dev/nvidia10",
            "nvidia:1 at 0000:41:00.0, /dev/nvidia0",
            "nvidia:2 at 0000:c1:00.0, of unknown minor number",
        ]
    );
}

#[test]
fn render_nodes_are_told_by_vendor_and_ordered_by_address() {
    let files = [
        render_node(128, "0000:c1:00.0", "0x1002"),
        render_node(129, "0000:03:00.0", "0x1002"),
        render_node(130, "0000:00:02.0", "0x8086"),
        render_node(131, "0000:01:00.0", "0x10de"),
    ]
    .concat();
    let mut files: Vec<&str> = files.iter().map(String::as_str).collect();
    files.extend([
        // No PCI device, no node, no vendor, no render node.
        "/sys/class/drm/renderD140/device/vendor 0x1002",
        "/dev/dri/renderD140",
        "/sys/class/drm/renderD141/device/vendor 0x1002",
        "/sys/class/drm/renderD142/device/x",
        "/sys/class/drm/card0/device/vendor 0x1002",
        "/sys/class/drm/renderDx/device/vendor 0x1002",
        "/dev/kfd",
    ]);
    let (_root, host) = host(&files);
    assert_eq!(
        shown(&host, GpuVendor::Amd),
        [
            "amd:0 at 0000:03:00.0, /dev/dri/renderD129",
            "amd:1 at 0000:c1:00.0, /dev/dri/renderD128",
            "amd:2, /dev/dri/renderD140",
        ]
    );
    assert_eq!(shown(&host, GpuVendor::Intel), ["intel:0 at 0000:00:02.0, /dev/dri/renderD130"]);
    assert_eq!(host.detect_gpu_vendors(), [GpuVendor::Amd, GpuVendor::Intel]);
    fs::remove_file(host.root().join("dev/kfd")).unwrap();
    assert_eq!(host.detect_gpu_vendors(), [GpuVendor::Intel]);
}

#[test]
fn this_host_can_be_asked() {
    // Whatever it has: the questions answer, and agree.
    let vendors = detect_gpu_vendors();
    assert_eq!(vendors, GpuHost::default().detect_gpu_vendors());
    let _ = check_gpu_available();
    assert_eq!(GpuHost::new().root(), Path::new("/"));
}
