//! Tests the classifier of podman's messages: each text that it knows is printed by some podman,
//! and becomes the error kind on which a caller branches.

#![allow(clippy::unwrap_used, reason = "the panic of a test is its report")]

#[path = "stage/engine.rs"]
mod engine;

use rt_protocol::{Container, ContainerName, ContainerRuntime, ErrorKind};

use engine::{Engine, patience};

/// Words of podman and their kind. Recorded on podman 4.3.1 and 5.4.2, with crun and with runc,
/// unless a line says otherwise; names and ids are shortened.
const TEXTS: &[(ErrorKind, &str)] = &[
    (ErrorKind::NoSuchContainer, "Error: container has already been removed"),
    (
        ErrorKind::NotRunning,
        "Error: can only create exec sessions on running containers: container state improper",
    ),
    // Not recorded: krun cannot be run on the hosts of the recordings.
    (ErrorKind::Unsupported, "Error: the handler does not support exec: OCI runtime error"),
    (ErrorKind::UnknownUser, "Error: unable to find user nosuch: no matching entries in passwd file"),
    // Not recorded: the group's half of the line above.
    (ErrorKind::UnknownUser, "Error: unable to find group nosuch: no matching entries in group file"),
    (ErrorKind::NoSuchContainer, "Error: no container with name or ID \"nosuch\" found: no such container"),
    (ErrorKind::NoSuchContainer, "Error: no container with ID or name \"nosuch\" found: no such container"),
    (ErrorKind::NoSuchContainer, "Error: inspecting object: no such object: \"nosuch\""),
    (ErrorKind::NoSuchContainer, "Error: no such container nosuch"),
    (ErrorKind::NoSuchContainer, "Error: container \"nosuch\" does not exist"),
    (
        ErrorKind::NameInUse,
        "Error: creating container storage: the container name \"x-a\" is already in use by 1aa0. You have to remove \
         that container to be able to reuse that name: that name is already in use",
    ),
    (
        ErrorKind::NameInUse,
        "Error: creating container storage: the container name \"x-a\" is already in use by 1aa0. You have to remove \
         that container to be able to reuse that name: that name is already in use, or use --replace to instruct \
         Podman to do so.",
    ),
    (
        ErrorKind::ImageInUse,
        "Error: image used by 1aa0: image is in use by a container: consider listing external containers and \
         force-removing image",
    ),
    (ErrorKind::NoSuchImage, "Error: localhost/nosuch: image not known"),
    (
        ErrorKind::NoSuchImage,
        "Error: short-name \"nosuch\" did not resolve to an alias and no unqualified-search registries are defined in \
         \"/etc/containers/registries.conf\"",
    ),
    (
        ErrorKind::RegistryUnreachable,
        "Error: initializing source docker://localhost/nosuch:latest: pinging container registry localhost: Get \
         \"https://localhost/v2/\": dial tcp 127.0.0.1:443: connect: connection refused",
    ),
    (
        ErrorKind::PortInUse,
        "Error: cannot listen on the TCP port: listen tcp4 127.0.0.1:18180: bind: address already in use",
    ),
    (ErrorKind::PortInUse, "Error: rootlessport listen tcp 127.0.0.1:18302: bind: address already in use"),
    (
        ErrorKind::PortInUse,
        "Error: pasta failed with exit code 1:\nFailed to bind port 18302 (Address already in use) for option '-t \
         127.0.0.1/18302-18302:80-80'",
    ),
    (
        ErrorKind::BadWorkdir,
        "Error: crun: chdir `/nosuch`: No such file or directory: OCI runtime attempted to invoke a command that was \
         not found",
    ),
    (
        ErrorKind::BadWorkdir,
        "Error: crun: chdir to `/nosuch`: No such file or directory: OCI runtime attempted to invoke a command that \
         was not found",
    ),
    (ErrorKind::BadWorkdir, "Error: workdir \"/nosuch\" does not exist on container 1aa0"),
    (
        ErrorKind::NoSuchPath,
        "Error: crun: error stat'ing file `/x`: No such file or directory: OCI runtime attempted to invoke a command \
         that was not found",
    ),
    // Not recorded: another crun's words for the same.
    (
        ErrorKind::NoSuchPath,
        "Error: crun: cannot stat `/x`: No such file or directory: OCI runtime attempted to invoke a command that was \
         not found",
    ),
    (
        ErrorKind::CommandNotFound,
        "Error: crun: executable file `nosuchcmd` not found in $PATH: No such file or directory: OCI runtime attempted \
         to invoke a command that was not found",
    ),
    (
        ErrorKind::CommandNotFound,
        "Error: runc: runc create failed: unable to start container process: exec: \"nosuchcmd\": executable file not \
         found in $PATH: OCI runtime attempted to invoke a command that was not found",
    ),
    (
        ErrorKind::CommandNotExecutable,
        "Error: crun: open executable: Permission denied: OCI permission denied",
    ),
    (
        ErrorKind::CommandNotExecutable,
        "Error: crun: the path `/etc/passwd` exists but it is not executable: Operation not permitted: OCI permission \
         denied",
    ),
    (
        ErrorKind::CommandNotExecutable,
        "Error: OCI runtime error: runc: exec failed: unable to start container process: exec: \"/etc\": is a directory",
    ),
    (
        ErrorKind::NoSuchPath,
        "Error: \"/no/such/dir\" could not be found on container x-a: no such file or directory",
    ),
    // Recorded on podman 4.3.1, of a container that had just ended.
    (
        ErrorKind::BackendFailed,
        "Error: \"/etc/passwd/.\" could not be found on container 0699: mounting storage for container 0699: lstat \
         /s/overlay/322d/merged: no such file or directory",
    ),
    // Recorded on podman 4.3.1 without cgroups; the others are from podman's source.
    (
        ErrorKind::Unsupported,
        "Error: cannot pause without using Cgroups: this container does not have a cgroup",
    ),
    (ErrorKind::Unsupported, "Error: pause is not supported for cgroupv1 rootless containers"),
    (ErrorKind::Unsupported, "Error: stats is not supported in rootless mode without cgroups v2"),
    (ErrorKind::NoSuchPath, "Error: \"nosuch\" could not be found on the host: no such file or directory"),
    // Not recorded: `podman cp -` onto a file.
    (ErrorKind::NoSuchPath, "Error: destination must be a directory when copying from stdin"),
    // Recorded on podman 4.3.1 alone.
    (
        ErrorKind::InvalidRequest,
        "Error: 1 error occurred:\n\t* copying from host: copier: get: \"/tmp/s\": generating tar header for /tmp/s (): \
         archive/tar: sockets not supported",
    ),
    (ErrorKind::NoSuchPath, "Error: statfs /nonexistent: no such file or directory"),
    (
        ErrorKind::NotRunning,
        "Error: can only kill running containers. 1aa0 is in state exited: container state improper",
    ),
    // Recorded after conmon and the main process were killed.
    (ErrorKind::NotRunning, "Error: OCI runtime error: crun: the container `22e2ffe7` is not running"),
    (
        ErrorKind::NotRunning,
        "Error: OCI runtime error: runc: exec failed: cannot exec in a stopped container",
    ),
    (
        ErrorKind::BackendFailed,
        "Error: runc: runc create failed: unable to start container process: error closing exec fds: open /proc/self/fd: no \
         such file or directory: OCI runtime attempted to invoke a command that was not found",
    ),
    // Recorded after a start that was killed half-way; runc's words are from its source.
    (
        ErrorKind::BackendFailed,
        "Error: OCI runtime error: unable to start container \"25889f2c\": crun: container `25889f2c` already exists",
    ),
    (ErrorKind::BackendFailed, "Error: runc: runc create failed: container with given ID already exists"),
    (
        ErrorKind::ImageInUse,
        "Error: unable to delete image \"eba4ff09\" by ID with more than one tag ([localhost/two:1 localhost/two:2]): please \
         force removal",
    ),
    // From podman's source.
    (ErrorKind::ImageInUse, "Error: cannot remove read-only image \"eba4ff09\""),
    // The host's own limit, in words that sound like the command's.
    (
        ErrorKind::BackendFailed,
        "Error: crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied",
    ),
    // Of a client with `--remote`.
    (ErrorKind::Unsupported, "Error: unknown flag: --runtime"),
    // Nothing that the classifier knows.
    (ErrorKind::BackendFailed, "Error: unknown flag: --nosuchflag\nSee 'podman run --help'"),
    (ErrorKind::BackendFailed, "Error: invalid reference format"),
    (ErrorKind::BackendFailed, "no such container, said somebody else"),
    (ErrorKind::BackendFailed, "time=\"2026-11-21T20:38:42Z\" level=warning msg=\"no such container\""),
];

/// Starts a container with a podman that says this.
fn kind_of(engine: &Engine, text: &str) -> ErrorKind {
    let fault = format!("start:fail=125:{}", text.replace(',', "\\,"));
    let container = engine.faulty(&fault).container(&ContainerName::new("x-a").unwrap());
    container.start(&patience()).unwrap_err().kind()
}

#[test]
fn every_text_has_its_kind() {
    let engine = Engine::new("4.3.1");
    for (kind, text) in TEXTS {
        assert_eq!(kind_of(&engine, text), *kind, "{text}");
    }
}

#[test]
fn warnings_before_the_error_change_nothing() {
    let engine = Engine::new("4.3.1");
    for (kind, text) in TEXTS.iter().filter(|(_, text)| text.starts_with("Error: ")) {
        let text = format!("time=\"x\" level=warning msg=\"container state improper\"\n{text}");
        assert_eq!(kind_of(&engine, &text), *kind, "{text}");
    }
}

#[test]
fn no_text_of_the_classifier_is_left_out() {
    let source = include_str!("../../../crates/rt-podman/src/cli/failure.rs");
    let begin = source.find("const TEXTS").unwrap();
    let table = &source[begin..begin + source[begin..].find("];").unwrap()];
    let mut known = 0;
    for line in table.lines().filter_map(|line| line.trim().strip_prefix("(\"")) {
        let (text, _) = line.rsplit_once("\", Failure::").unwrap();
        let text = text.replace("\\\"", "\"");
        known += 1;
        assert!(TEXTS.iter().any(|(_, said)| said.contains(&text)), "nobody says {text:?}");
    }
    assert!(known > 20, "{known} texts are read");
}
