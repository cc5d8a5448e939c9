//! What is read of a host's specs, what is not, and why.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::spec::parse as spec_parse;
use super::*;
use crate::rooted_path::rooted_path;
use crate::{CdiSource, CdiVersion};

/// A root with these files.
fn host(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (path, text) in files {
        let path = rooted_path(root.path(), Path::new(path));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn read(root: &TempDir) -> CdiRegistry {
    CdiRegistry::read(root.path(), &CdiSource::default())
}

fn declaring(kind: &str, device: &str) -> String {
    format!(
        "{{\"cdiVersion\": \"0.5.0\", \"kind\": \"{kind}\", \"devices\": [{{\"name\": \"{device}\", \"containerEdits\": {{\"env\": [\"A=b\"]}}}}]}}"
    )
}

/// The problems, with paths as the host itself would name them.
fn problems(root: &TempDir, registry: &CdiRegistry) -> Vec<String> {
    let prefix = root.path().display().to_string();
    registry.problems().iter().map(|problem| problem.to_string().replace(&prefix, "")).collect()
}

/// A spec file that is no good, and why.
fn check_refused(text: &str, reason: &str) {
    let root = host(&[("/etc/cdi/x.yaml", text)]);
    let registry = read(&root);
    assert!(registry.specs().is_empty(), "{text}");
    assert_eq!(problems(&root, &registry), [format!("/etc/cdi/x.yaml: {reason}")], "{text}");
}

#[test]
fn json_and_yaml_specs_are_read_with_all_that_a_start_needs() {
    let yaml = "# nvidia.com/gpu\n---\ncdiVersion: 0.5.0\nkind: nvidia.com/gpu\ncontainerEdits:\n  env: [A=b]\n  hooks:\n  - \
                hookName: createContainer\n    path: /usr/bin/hook\n    args: [hook, run]\ndevices:\n- name: 0\n  \
                containerEdits:\n    deviceNodes:\n    - {path: /dev/x, hostPath: /dev/y}\n    - {path: /dev/z, type: c, major: \
                195, minor: 0}\n    mounts:\n    - hostPath: /lib/a.so\n      containerPath: /lib/a.so\n      options: [ro, \
                bind]\n- name: all\n  containerEdits: {env: [A=b]}\n";
    let root = host(&[
        ("/etc/cdi/nvidia.yaml", yaml),
        ("/var/run/cdi/amd.json", &declaring("amd.com\\/gpu", "all")),
    ]);
    let registry = read(&root);
    assert_eq!(problems(&root, &registry), [""; 0]);
    assert!(registry.declares("nvidia.com/gpu") && registry.declares("amd.com/gpu"));
    assert_eq!(registry.device_names("nvidia.com/gpu"), ["0", "all"]);
    let (spec, device) = registry.device("nvidia.com/gpu=0").unwrap();
    assert_eq!((spec.version(), spec.priority()), (CdiVersion::new(0, 5, 0), 0));
    assert_eq!(spec.edits().env, ["A=b"]);
    assert_eq!(spec.edits().hooks[0].path, Path::new("/usr/bin/hook"));
    assert_eq!(device.edits.device_nodes[0].host_path.as_deref(), Some(Path::new("/dev/y")));
    assert!(device.edits.device_nodes[1].is_described && !device.edits.device_nodes[0].is_described);
    assert!(device.edits.mounts[0].is_bind);
    assert!(registry.device("nvidia.com/gpu=1").is_none() && registry.device("nvidia.com/gpu").is_none());
}

#[test]
fn only_what_is_declared_counts() {
    let other = declaring("management.nvidia.com/gpu", "all");
    let legacy = declaring("nvidia.com/gpu-legacy", "all");
    let annotated = "cdiVersion: 0.6.0\nkind: a.b/c\nannotations: {kind: nvidia.com/gpu}\ndevices: [{name: x, containerEdits: {env: [A=b]}}] # nvidia.com/gpu\n";
    let root = host(&[
        ("/etc/cdi/a.json", &other),
        ("/etc/cdi/b.json", &legacy),
        ("/etc/cdi/c.yaml", annotated),
        ("/etc/cdi/d.yml", &declaring("nvidia.com/gpu", "all")),
        ("/etc/cdi/e.json.bak", &declaring("nvidia.com/gpu", "all")),
        ("/etc/cdi/sub/f.json", &declaring("nvidia.com/gpu", "all")),
    ]);
    let registry = read(&root);
    assert!(!registry.declares("nvidia.com/gpu"));
    assert_eq!(registry.specs().len(), 3);
    assert_eq!(problems(&root, &registry), ["/etc/cdi/d.yml: is not read by its name; rename it to .yaml"]);
}

#[test]
fn files_that_engines_refuse_are_refused_with_the_reason() {
    let devices = "devices: [{name: all, containerEdits: {env: [A=b]}}]";
    check_refused("", "is empty");
    check_refused("cdiVersion: [", "line 2: while parsing a node, did not find expected node content");
    check_refused("[]", "line 1: a spec is a map");
    check_refused(&format!("kind: a.b/c\n{devices}"), "line 1: a spec has no cdiVersion");
    check_refused(
        &format!("cdiVersion: 0.5.1\nkind: a.b/c\n{devices}"),
        "cdiVersion \"0.5.1\" is none of CDI's versions",
    );
    check_refused(
        &format!("cdiVersion: 9.0.0\nkind: a.b/c\n{devices}"),
        "cdiVersion 9.0.0 is newer than 1.1.0, which is as far as this engine goes; write an older spec",
    );
    for kind in ["gpu", "nvidia.com/", "/gpu", "a/b/c", "1a/b", "a/b-", "a b/c", "\"\""] {
        let shown = kind.trim_matches('"');
        check_refused(
            &format!("cdiVersion: 0.5.0\nkind: {kind}\n{devices}"),
            &format!("{shown:?} is no CDI kind; it is vendor/class, such as nvidia.com/gpu"),
        );
    }
    let head = "cdiVersion: 0.5.0\nkind: a.b/c";
    check_refused(head, "declares no device");
    check_refused(&format!("{head}\ndevices: []"), "declares no device");
    for edits in ["", ", containerEdits: {}", ", containerEdits: {env: [], mounts: ~}"] {
        check_refused(
            &format!("{head}\ndevices: [{{name: x{edits}}}]"),
            "device \"x\" has no containerEdits",
        );
    }
    check_refused(
        &format!(
            "{head}\ndevices: [{{name: x, containerEdits: {{env: [A=b]}}}}, {{name: x, containerEdits: {{env: [A=b]}}}}]"
        ),
        "declares device \"x\" twice",
    );
    check_refused(
        &format!("{head}\ndevices: [{{name: -x}}]"),
        "\"-x\" is no name of a CDI device: letters, digits, and `_-.:` between them",
    );
    check_refused(&format!("{head}\n{devices}\nnew: 1"), "line 4: a spec has no field \"new\"");
    check_refused(&format!("{head}\n{devices}\nkind: a.b/c"), "line 4: \"kind\" stands there twice");
    check_refused(&format!("{head}\ndevices: {{}}"), "line 3: devices is a list");
    check_refused(
        &format!("{head}\ncontainerEdits: {{env: [secret-word]}}\n{devices}"),
        "line 3: entry 1 of env is not NAME=VALUE",
    );
    check_refused(
        &format!("{head}\ncontainerEdits: {{hooks: [{{hookName: never, path: /x}}]}}\n{devices}"),
        "line 3: \"never\" is no name of a hook",
    );
    check_refused(
        &format!("{head}\ncontainerEdits: {{deviceNodes: [{{path: /x, major: one}}]}}\n{devices}"),
        "line 3: major is a whole number",
    );
}

#[test]
fn a_spec_is_held_against_its_own_version() {
    for (version, kind, rest, feature, needs) in [
        ("0.5.0", "a.b/c", "annotations: {a: b}\n", "annotations", "0.6.0"),
        ("0.5.0", "a.b/c.d", "", "a dot in the class of the kind", "0.6.0"),
        ("0.6.0", "a.b/c", "containerEdits: {additionalGids: [1]}\n", "additionalGids", "0.7.0"),
        (
            "0.3.0",
            "a.b/c",
            "containerEdits: {mounts: [{hostPath: /a, containerPath: /a, type: bind}]}\n",
            "the type of a mount",
            "0.4.0",
        ),
        ("1.0.0", "a.b/c", "containerEdits: {netDevices: [{}]}\n", "netDevices", "1.1.0"),
        ("0.1.0", "a.b/c", "", "any spec, to this engine,", "0.3.0"),
        ("0.2.0", "a.b/c", "", "any spec, to this engine,", "0.3.0"),
    ] {
        check_refused(
            &format!(
                "cdiVersion: {version}\nkind: {kind}\n{rest}devices: [{{name: all, containerEdits: {{env: [A=b]}}}}]"
            ),
            &format!("{feature} needs cdiVersion {needs}, and the file says {version}"),
        );
    }
    // Before 0.6 readers did not look.
    let root = host(&[(
        "/etc/cdi/x.yaml",
        "cdiVersion: 0.1.0\nkind: a.b/c\ndevices: [{name: 0, containerEdits: {env: [A=b]}}]\n",
    )]);
    let old = CdiSource::new(["/etc/cdi"], CdiVersion::new(0, 5, 0));
    assert!(CdiRegistry::read(root.path(), &old).declares("a.b/c"));
    assert!(!read(&root).declares("a.b/c"));
    // And knew nothing newer (measured on podman 4.3.1).
    let newer = "cdiVersion: 0.5.0\nkind: a.b/c\nannotations: {a: b}\ndevices: [{name: x, containerEdits: {env: [A=b]}}]\n";
    assert!(!CdiRegistry::read(host(&[("/etc/cdi/x.yaml", newer)]).path(), &old).declares("a.b/c"));
}

#[test]
fn the_newest_version_is_the_callers() {
    let root = host(&[(
        "/etc/cdi/x.yaml",
        "cdiVersion: 0.8.0\nkind: a.b/c\ndevices: [{name: x, containerEdits: {env: [A=b]}}]\n",
    )]);
    for (newest, expected) in [((0, 5, 0), false), ((0, 8, 0), true), ((1, 0, 0), true)] {
        let source = CdiSource::new(["/etc/cdi"], CdiVersion::new(newest.0, newest.1, newest.2));
        assert_eq!(CdiRegistry::read(root.path(), &source).declares("a.b/c"), expected, "{newest:?}");
    }
}

#[test]
fn the_later_directory_wins_and_within_one_none_does() {
    let root = host(&[
        ("/etc/cdi/a.json", &declaring("a.b/c", "x")),
        ("/var/run/cdi/a.json", &declaring("a.b/c", "x")),
    ]);
    let registry = read(&root);
    assert_eq!(registry.device("a.b/c=x").unwrap().0.priority(), 1);
    assert!(registry.problems().is_empty());
    let check = registry.check(root.path());
    assert!(
        matches!(&check.devices[0].state, DeviceState::Shadowed { by } if by.ends_with("var/run/cdi/a.json"))
    );
    assert!(check.devices[1].is_usable());

    fs::write(root.path().join("etc/cdi/b.json"), declaring("a.b/c", "x")).unwrap();
    let registry = read(&root);
    // As in the library: what was in conflict once is lost.
    assert!(registry.device("a.b/c=x").is_none() && registry.declares("a.b/c"));
    assert_eq!(registry.device_names("a.b/c"), [""; 0]);
    assert_eq!(registry.problems().len(), 3);
    assert!(
        matches!(registry.check(root.path()).devices[0].state, DeviceState::Conflict { ref with } if with.len() == 2)
    );
}

#[test]
fn what_is_no_readable_file_is_told_and_never_blocks() {
    let root = host(&[("/etc/cdi/good.json", &declaring("a.b/c", "x"))]);
    let dir = root.path().join("etc/cdi");
    rustix::fs::mknodat(rustix::fs::CWD, dir.join("pipe.json"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    fs::create_dir(dir.join("dir.json")).unwrap();
    symlink(&dir, dir.join("link-to-dir.json")).unwrap();
    symlink("nowhere", dir.join("dangling.json")).unwrap();
    symlink("good.json", dir.join("link.json")).unwrap();
    fs::write(dir.join("bytes.json"), b"\xff\xfe").unwrap();
    fs::write(dir.join(OsStr::from_bytes(b"\xff.json")), "").unwrap();
    let large = fs::File::create(dir.join("large.json")).unwrap();
    large.set_len(LARGEST_SPEC_FILE + 1).unwrap();
    let registry = read(&root);
    let mut found: Vec<_> =
        problems(&root, &registry).into_iter().filter(|text| !text.contains("also declared")).collect();
    found.sort();
    assert_eq!(
        found,
        [
            "/etc/cdi/bytes.json: is not UTF-8",
            "/etc/cdi/dangling.json: cannot be read: No such file or directory (os error 2); see its permissions",
            "/etc/cdi/large.json: is larger than 4194304 bytes",
            "/etc/cdi/link-to-dir.json: is not a regular file",
            "/etc/cdi/pipe.json: is not a regular file",
            "/etc/cdi/\u{fffd}.json: is empty",
        ]
    );
    assert_eq!(registry.specs().len(), 2, "the link is a file of its own, in conflict with the other");
}

#[test]
fn a_directory_that_cannot_be_read_ends_the_reading() {
    let root = host(&[("/etc/cdi", "a file"), ("/var/run/cdi/x.json", &declaring("a.b/c", "x"))]);
    let registry = read(&root);
    assert!(registry.specs().is_empty());
    assert_eq!(registry.problems().len(), 1, "{registry:?}");
    assert!(matches!(registry.problems()[0].fault, CdiFault::Unreadable { .. }));
    assert!(read(&host(&[])).problems().is_empty());
}

#[test]
fn a_file_without_permission_is_told() {
    let root = host(&[("/etc/cdi/x.json", &declaring("nvidia.com/gpu", "x"))]);
    fs::set_permissions(root.path().join("etc/cdi/x.json"), fs::Permissions::from_mode(0o000)).unwrap();
    let registry = read(&root);
    // Root reads it all the same.
    let refused = matches!(registry.problems(), [CdiProblem { fault: CdiFault::Unreadable { .. }, .. }]);
    assert_ne!(registry.declares("nvidia.com/gpu"), refused);
}

#[test]
fn only_so_many_files_are_read() {
    let root = host(&[]);
    let dir = root.path().join("etc/cdi");
    fs::create_dir_all(&dir).unwrap();
    for number in 0..=MOST_SPEC_FILES {
        fs::write(dir.join(format!("{number}.json")), "").unwrap();
    }
    let registry = read(&root);
    assert_eq!(registry.problems().len(), MOST_SPEC_FILES + 1);
    assert_eq!(registry.problems()[0].fault, CdiFault::TooManyFiles);
}

#[test]
fn a_check_names_every_path_that_is_missing() {
    let text = "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ncontainerEdits:\n  mounts:\n  - {hostPath: /lib/here.so, containerPath: \
                /x}\n  - {hostPath: /lib/libcuda.so.535, containerPath: /x}\n  - {hostPath: tmpfs, containerPath: /t, type: \
                tmpfs}\ndevices:\n- name: all\n  containerEdits:\n    deviceNodes: [{path: /dev/gone}, {path: /dev/made, type: c, \
                major: 1}]\n    hooks: [{hookName: createContainer, path: /usr/bin/gone}]\n- name: good\n  containerEdits: {env: [A=b]}\n";
    let root = host(&[("/etc/cdi/x.yaml", text), ("/lib/here.so", "")]);
    let check = read(&root).check(root.path());
    let spec = root.path().join("etc/cdi/x.yaml").display().to_string();
    assert_eq!(
        check.to_string(),
        format!(
            "nvidia.com/gpu=all of {spec}: mount source /lib/libcuda.so.535 is missing, device node /dev/gone is missing, hook \
             /usr/bin/gone is missing; generate the spec anew\nnvidia.com/gpu=good of {spec}: mount source \
             /lib/libcuda.so.535 is missing; generate the spec anew"
        )
    );
    fs::write(root.path().join("lib/libcuda.so.535"), "").unwrap();
    let check = read(&root).check(root.path());
    assert!(!check.devices[0].is_usable() && check.devices[1].is_usable());
    assert_eq!(read(&host(&[])).check(root.path()).to_string(), "no CDI spec was found");
}

proptest::proptest! {
    #[test]
    fn no_spec_file_makes_the_reader_panic(
        text in "\\PC{0,80}",
        kind in "\\PC{0,12}|[a-z.]{1,8}/[a-z.]{0,6}", name in "\\PC{0,8}|[a-z0-9:]{0,6}", edits in "(\\{|\\}|env|mounts|hooks|: |\\[|\\]|/x|, ){0,12}",
    ) {
        let source = CdiVersion::NEWEST;
        let _ = spec::parse(&text, Path::new("x"), 0, source);
        let text = format!("{{cdiVersion: 0.5.0, kind: {kind:?}, devices: [{{name: {name:?}, containerEdits: {edits}}}]}}");
        let _ = spec::parse(&text, Path::new("x"), 0, source);
    }
}

#[test]
fn unquoted_names_are_what_engines_take_them_for() {
    let device = |name: &str| format!("{{name: {name}, containerEdits: {{env: [A=b]}}}}");
    let spec = |names: &[&str]| {
        let devices: Vec<_> = names.iter().map(|name| device(name)).collect();
        format!("CdiVersion: 0.5.0\nKind: nvidia.com/gpu\ndevices: [{}]\n", devices.join(", "))
    };
    let root = host(&[("/etc/cdi/x.yaml", &spec(&["yes", "0x1f", "1e3", "\"no\"", "all"]))]);
    let registry = read(&root);
    assert_eq!(registry.device_names("nvidia.com/gpu"), ["31", "1000", "all", "no", "true"]);
    check_refused(&spec(&["yes", "\"true\""]), "declares device \"true\" twice");
}

#[test]
fn a_version_is_written_as_it_was_released() {
    let spec = |version: &str| declaring("nvidia.com/gpu", "all").replace("0.5.0", version);
    for (version, newest, counts) in [
        ("v0.5.0", CdiVersion::new(0, 5, 0), false),
        ("v0.5.0", CdiVersion::NEWEST, true),
        ("0.5.00", CdiVersion::new(0, 5, 0), false),
        ("0.5.00", CdiVersion::NEWEST, false),
        ("0.5.0", CdiVersion::new(0, 5, 0), true),
    ] {
        let answer = spec_parse(&spec(version), Path::new("/x.json"), 0, newest);
        assert_eq!(answer.is_ok(), counts, "{version} to {newest}: {answer:?}");
    }
}

#[test]
fn numbers_are_numbers_and_fit() {
    let spec = |mode: &str| {
        declaring("nvidia.com/gpu", "all").replace(
            "\"env\"",
            &format!("\"deviceNodes\": [{{\"path\": \"/dev/x\", \"fileMode\": {mode}}}], \"env\""),
        )
    };
    for (mode, counts) in [
        ("438", true),
        ("0666", true),
        ("1e2", true),
        ("\"438\"", false),
        ("-1", false),
        ("4294967296", false),
        ("1.5", false),
    ] {
        let answer = spec_parse(&spec(mode), Path::new("/x.json"), 0, CdiVersion::new(0, 5, 0));
        assert_eq!(answer.is_ok(), counts, "{mode}: {answer:?}");
    }
}
