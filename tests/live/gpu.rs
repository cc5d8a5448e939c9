//! GPUs through a real podman, with harmless CDI specs: no GPU is needed, and none is touched.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rt_gpu::{
    CdiFault, CdiRegistry, CdiVersion, GpuArgs, GpuHost, GpuLaunch, GpuSelection, GpuVendor, gpu_run_args,
};
use rt_protocol::{ContainerExt, ContainerState, Error, ErrorKind, Until};
use rt_tests::live::Live;
use rt_tests::sandbox::Sandbox;

use crate::case::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    ("gpu: a launch with a selection has what the spec adds", served),
    ("gpu: without a spec the start fails over its GPU configuration", no_spec),
    ("gpu: a device node that is gone fails the start, and is found before it", no_node),
    ("gpu: a mount source that is gone fails the start, and is found before it", no_source),
    ("gpu: specs in conflict fail the start, and are found before it", conflict),
    ("gpu: the profile's highest version of a spec is podman's", versions),
    ("gpu: a spec counts for podman exactly where it counts for the reader", agreement),
    ("gpu: a launch that fails otherwise is no failure over GPUs", other_failures),
];

const KIND: &str = "nvidia.com/gpu";
const DIR: &str = "/run/cdi";

/// Why specs cannot be tried out here.
pub(crate) fn obstacle(live: &Live) -> Option<String> {
    if !fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0) {
        return Some(format!("only root can write a CDI spec to {DIR}"));
    }
    match host(live) {
        Ok(host) => {
            let cdi = host.cdi();
            let real = cdi.specs().iter().find(|spec| spec.kind() == KIND)?;
            Some(format!("there is a real spec of {KIND}: {}", real.path().display()))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// This host, as this podman sees it.
fn host(live: &Live) -> rt_protocol::Result<GpuHost> {
    Ok(GpuHost::new().cdi_source(live.runtime.profile()?.cdi_source()))
}

/// A spec of a name that nobody else has. Removed when it is dropped, also by a panic, and the
/// directory with it if it was made for it.
struct Spec {
    path: PathBuf,
    dir: Option<PathBuf>,
}

impl Spec {
    fn write(text: &str) -> io::Result<Self> {
        Self::write_as(DIR, "json", text)
    }

    fn write_as(dir: &str, extension: &str, text: &str) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let made = fs::create_dir(dir).is_ok();
        let path = Path::new(dir).join(format!("rt-test-{}-{number}.{extension}", std::process::id()));
        let spec = Self { path, dir: made.then(|| PathBuf::from(dir)) };
        fs::write(&spec.path, text)?;
        Ok(spec)
    }
}

impl Drop for Spec {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        if let Some(dir) = &self.dir {
            let _ = fs::remove_dir(dir);
        }
    }
}

/// A spec of one device, `all`, with these edits.
fn with_edits(edits: &str) -> String {
    format!(
        r#"{{"cdiVersion": "0.5.0", "kind": "{KIND}", "devices": [{{"name": "all", "containerEdits": {{{edits}}}}}]}}"#
    )
}

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

/// Makes a container with all of NVIDIA's GPUs and answers what its start says.
fn start(live: &Live) -> Result<Result<(), Error>, Error> {
    let spec = Sandbox::spec(live).gpus(&GpuArgs::switched(true)).command(["true"]);
    let sandbox = Sandbox::create(&live.runtime, spec)?;
    let answer = sandbox.container.start(&until());
    if answer.is_err() {
        assert_eq!(sandbox.container.state(Until::forever())?, Some(ContainerState::Created));
    }
    Ok(answer)
}

/// The start fails over its GPUs, with these words of podman's.
fn check_refused(live: &Live, words: &str) -> Outcome {
    let error = start(live)?.expect_err("a start without its GPUs");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::GpuConfig, "start"), "{error}");
    let gpu = error.gpu_config().ok_or("no GPU error")?;
    assert!(gpu.message().contains("Error: ") && gpu.message().contains(words), "{gpu}");
    assert!(gpu.hint().contains("nvidia-ctk cdi generate") && gpu.message().ends_with(gpu.hint()), "{gpu}");
    assert_eq!(error.hint(), Some(gpu.hint()));
    Ok(())
}

fn served(live: &Live) -> Outcome {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), "from the host")?;
    let _spec = Spec::write(&with_edits(&format!(
        r#""env": ["RT_GPU_TEST=of the spec"],
           "deviceNodes": [{{"path": "/dev/rt-gpu0", "hostPath": "/dev/null"}}],
           "mounts": [{{"hostPath": "{}", "containerPath": "/driver", "options": ["ro", "bind"]}}]"#,
        file.path().display()
    )))?;
    let host = host(live)?;
    assert!(host.check_gpu_available());
    assert_eq!(host.detect_gpu_vendors().first(), Some(&GpuVendor::Nvidia));
    let check = host.cdi().check(host.root());
    assert!(
        check.devices.iter().any(|device| device.name == "nvidia.com/gpu=all" && device.is_usable()),
        "{check}"
    );
    let args = gpu_run_args(&"nvidia".parse::<GpuSelection>()?, &host)?;
    let spec = Sandbox::spec(live).gpus(&args).command(["sleep", "777777"]);
    let sandbox = Sandbox::launch(&live.runtime, spec)?;
    let seen =
        sandbox.sh("echo $RT_GPU_TEST; echo $NVIDIA_VISIBLE_DEVICES; test -c /dev/rt-gpu0 && cat /driver")?;
    // An exec has the variables of the container's configuration; those of the spec are its first
    // process's.
    let first = sandbox.sh("tr '\\0' '\\n' </proc/1/environ")?;
    assert!(first.stdout.text().lines().any(|line| line == "RT_GPU_TEST=of the spec"), "{first:?}");
    assert!(seen.stdout.text().ends_with("all\nfrom the host"), "{seen:?}");
    Ok(())
}

fn no_spec(live: &Live) -> Outcome {
    check_refused(live, "unresolvable CDI devices nvidia.com/gpu=all")?;
    let error = gpu_run_args(&GpuSelection::vendor(GpuVendor::Nvidia), &host(live)?);
    // Unless the host has the driver or its hook.
    if let Err(error) = error {
        assert!(error.to_string().contains(KIND), "{error}");
    }
    Ok(())
}

/// The check names this path.
fn check_missing(live: &Live, path: &str) -> Outcome {
    let host = host(live)?;
    let check = host.cdi().check(host.root());
    let device =
        check.devices.iter().find(|device| device.name == "nvidia.com/gpu=all").ok_or("not declared")?;
    assert!(
        !device.is_usable() && device.missing.iter().any(|missing| missing.path == Path::new(path)),
        "{check}"
    );
    Ok(())
}

fn no_node(live: &Live) -> Outcome {
    let _spec = Spec::write(&with_edits(
        r#""deviceNodes": [{"path": "/dev/rt-gpu0", "hostPath": "/dev/rt-no-such-node"}]"#,
    ))?;
    check_missing(live, "/dev/rt-no-such-node")?;
    check_refused(live, "/dev/rt-no-such-node")
}

fn no_source(live: &Live) -> Outcome {
    let path = "/usr/lib/libEGL_nvidia.so.535.rt-no-such-file";
    let edits = format!(
        r#""mounts": [{{"hostPath": "{path}", "containerPath": "{path}", "options": ["ro", "bind"]}}]"#
    );
    let _spec = Spec::write(&with_edits(&edits))?;
    check_missing(live, path)?;
    check_refused(live, path)
}

fn conflict(live: &Live) -> Outcome {
    let (_one, _other) =
        (Spec::write(&with_edits(r#""env": ["A=b"]"#))?, Spec::write(&with_edits(r#""env": ["A=b"]"#))?);
    let problems = host(live)?.cdi().problems().to_vec();
    assert!(
        problems.iter().any(|problem| matches!(problem.fault, CdiFault::Conflict { .. })),
        "{problems:?}"
    );
    check_refused(live, "unresolvable CDI devices")
}

fn versions(live: &Live) -> Outcome {
    let newest = live.runtime.profile()?.cdi_source().newest();
    let text = |version: CdiVersion| {
        format!(
            "cdiVersion: {version}\nkind: {KIND}\ndevices: [{{name: all, containerEdits: {{env: [A=b]}}}}]\n"
        )
    };
    for version in CdiVersion::RELEASED {
        let _spec = Spec::write_as(DIR, "yaml", &text(version))?;
        let answer = start(live)?;
        assert_eq!(answer.is_ok(), host(live)?.check_gpu_available(), "{version}: {answer:?}");
        // Newer readers refuse the oldest.
        if version > newest || version >= CdiVersion::new(0, 3, 0) {
            assert_eq!(answer.is_ok(), version <= newest, "{version}: {answer:?}");
        }
    }
    Ok(())
}

/// Specs, by the end of their names: the reader and podman must agree on each, whatever they
/// answer. `nvidia.com\/gpu`, an escape of JSON's that YAML 1.1 does not have, is none of them: the
/// reader takes it, podman 4.3.1 does not.
const SPECS: &[(&str, &str)] = &[
    (
        "json",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits:\n    env: [A=b]\n",
    ),
    (
        "yaml",
        "---\ncdiVersion: \"0.5.0\"\nkind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits: {env: [A=b]}\n...\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {env: [A=b]}}]\n---\nrubbish: true\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: &kind nvidia.com/gpu\ndevices: [{name: all, containerEdits: &e {env: [A=b]}}]\ncontainerEdits: *e\n",
    ),
    (
        "yml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {env: [A=b]}}]\n",
    ),
    (
        "JSON",
        r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {"env": ["A=b"]}}]}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {"env": ["A=b"]}}], "unknown": 1}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.5.0", "kind": "x.y/z", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {"env": ["A=b"]}}]}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {"env": ["A=b"]}}, {"name": "all", "containerEdits": {"env": ["A=b"]}}]}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {"env": ["A=b"]}}, {"name": "-", "containerEdits": {"env": ["A=b"]}}]}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.5.1", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {"env": ["A=b"]}}]}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.3.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {"env": ["A=b"]}}, {"name": "0", "containerEdits": {"env": ["A=b"]}}]}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "annotations": {"a": "b"}, "devices": [{"name": "all", "containerEdits": {"env": ["A=b"]}}]}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {"env": ["AB"]}}]}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {"hooks": [{"hookName": "x", "path": "/bin/true"}]}}]}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": {"name": "all", "containerEdits": {"env": ["A=b"]}}}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.5.0", "kind": "management.nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {"env": ["A=b"]}}]}"#,
    ),
    (
        "json",
        r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {"env": ["A=b"]}}]"#,
    ),
    ("json", r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all"}]}"#),
    (
        "json",
        r#"{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": {}}]}"#,
    ),
    ("json", ""),
    // Letter case of fields, versions that are not as they were released, numbers that are texts,
    // and texts that are none.
    (
        "yaml",
        "CDIversion: 0.5.0\nKind: nvidia.com/gpu\nDEVICES: [{Name: all, ContainerEdits: {Env: [A=b]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: v0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {env: [A=b]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.00\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {env: [A=b]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {deviceNodes: [{path: /dev/x, hostPath: /dev/null, fileMode: 438}]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {deviceNodes: [{path: /dev/x, hostPath: /dev/null, fileMode: 0666}]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {deviceNodes: [{path: /dev/x, hostPath: /dev/null, fileMode: 1e2}]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {deviceNodes: [{path: /dev/x, hostPath: /dev/null, fileMode: \"438\"}]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {deviceNodes: [{path: /dev/x, hostPath: /dev/null, fileMode: -1}]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {deviceNodes: [{path: /dev/x, hostPath: /dev/null, fileMode: 4294967296}]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {env: [A=b]}}, {name: yes, containerEdits: {env: [A=b]}}, {name: \"true\", containerEdits: {env: [A=b]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {env: [A=b]}}, {name: yes, containerEdits: {env: [A=b]}}, {name: \"yes\", containerEdits: {env: [A=b]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {env: [A=b]}}, {name: 0x1f, containerEdits: {env: [A=b]}}, {name: \"31\", containerEdits: {env: [A=b]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {env: [A=b]}}, {name: 1e3, containerEdits: {env: [A=b]}}, {name: \"1000\", containerEdits: {env: [A=b]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {env: [A=b]}}, {name: 017, containerEdits: {env: [A=b]}}, {name: \"15\", containerEdits: {env: [A=b]}}]\n",
    ),
    (
        "yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: [{name: all, containerEdits: {env: [A=b]}}, {name: 1e3, containerEdits: {env: [A=b]}}, {name: \"1e3\", containerEdits: {env: [A=b]}}]\n",
    ),
];

fn agreement(live: &Live) -> Outcome {
    let found = |host: &GpuHost| CdiRegistry::device(&host.cdi(), "nvidia.com/gpu=all").is_some();
    let (mut counted, mut disputed) = (0, Vec::new());
    for (extension, text) in SPECS {
        let _spec = Spec::write_as(DIR, extension, text)?;
        let host = host(live)?;
        let answer = start(live)?;
        counted += usize::from(answer.is_ok());
        if answer.is_ok() != found(&host) {
            disputed.push(format!(
                "{extension} {text}: podman {answer:?}, the reader {:?}",
                host.cdi().problems()
            ));
        }
    }
    assert_eq!(disputed, [""; 0]);
    // Newer readers take fewer: they hold a file against its own version.
    assert!((4..=SPECS.len() - 10).contains(&counted), "{counted} specs count");
    // In conflict in one directory, and declared in a later one.
    if host(live)?.cdi().specs().is_empty() && live.runtime.profile()?.cdi_source().dirs().len() > 1 {
        let text = with_edits(r#""env": ["A=b"]"#);
        // Dropped the other way round: the first one has made the directory.
        let _one = Spec::write_as("/etc/cdi", "json", &text)?;
        let _other = Spec::write_as("/etc/cdi", "json", &text)?;
        let _later = Spec::write(&text)?;
        assert!(!found(&host(live)?));
        check_refused(live, "unresolvable CDI devices")?;
    }
    Ok(())
}

fn other_failures(live: &Live) -> Outcome {
    let _spec = Spec::write(&with_edits(r#""env": ["A=b"]"#))?;
    let gpus = GpuArgs::switched(true);
    let start = |spec| Sandbox::create(&live.runtime, spec)?.container.start(&until());
    let missing = start(Sandbox::spec(live).gpus(&gpus).command(["nvidia-smi-rt"])).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::CommandNotFound, "{missing}");
    let workdir =
        start(Sandbox::spec(live).gpus(&gpus).workdir("/nvidia.com/gpu=all").command(["true"])).unwrap_err();
    assert_eq!(workdir.kind(), ErrorKind::BadWorkdir, "{workdir}");
    Ok(())
}
