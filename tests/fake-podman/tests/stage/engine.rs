//! A fake engine for one test: a directory for its state, a version, faults, and an end that leaves
//! nothing.

#![allow(dead_code, reason = "each test target uses a part of it")]
#![allow(clippy::unwrap_used, reason = "the panic of a test is its report")]

use std::fs::{self, Permissions};
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rt_podman::{ExecPath, PodmanRuntime, PodmanRuntimeBuilder};
use rt_process::{ProcessSpec, Program};
use rt_protocol::{
    Container, ContainerRuntime, ContainerRuntimeExt, ImageRef, LaunchSpec, LaunchSpecBuilder, OutputLimit,
    Source, Until,
};
use tempfile::TempDir;

// It is formatted as the example that it is a part of.
#[rustfmt::skip]
#[path = "../../../../crates/rt/examples/quickstart/busybox_image.rs"]
mod busybox_image;

/// The program under `target`.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_fake-podman");

/// Every version, and those that were recorded.
pub(crate) const PROFILES: [&str; 4] = ["4.3.1", "4.9", "5.4.2", "6.0"];

/// One engine.
#[derive(Debug)]
pub(crate) struct Engine {
    directory: TempDir,
    profile: &'static str,
}

/// Longer than anything here takes.
pub(crate) fn patience() -> Until {
    Until::after(Duration::from_secs(60))
}

impl Engine {
    pub(crate) fn new(profile: &'static str) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), profile }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A runtime over this engine, which runs no agents.
    pub(crate) fn builder(&self) -> PodmanRuntimeBuilder {
        PodmanRuntime::builder()
            .binary(PROGRAM)
            .exec_path(ExecPath::Cold)
            .env("FAKE_PODMAN_DIR", self.directory.path())
            .env("FAKE_PODMAN_PROFILE", self.profile)
    }

    pub(crate) fn runtime(&self) -> PodmanRuntime {
        self.builder().build().unwrap()
    }

    /// A runtime over this engine with which something goes wrong.
    pub(crate) fn faulty(&self, fault: &str) -> PodmanRuntime {
        self.builder().env("FAKE_PODMAN_FAULT", fault).build().unwrap()
    }

    /// A program that is this engine without any variable, for who can only be given a path.
    pub(crate) fn wrapper(&self) -> PathBuf {
        self.script("exec \"$podman\" \"$@\"\n")
    }

    /// A shell script that stands before this engine, which it calls `$podman`.
    pub(crate) fn script(&self, body: &str) -> PathBuf {
        let path = self.directory.path().join("podman");
        let script = format!(
            "#!/bin/sh\nexport FAKE_PODMAN_DIR='{}' FAKE_PODMAN_PROFILE={}\npodman='{PROGRAM}'\n{body}",
            self.directory.path().display(),
            self.profile
        );
        // By another process: a child that another test starts meanwhile would inherit the open
        // file, and while it is open for writing the kernel executes it for nobody (ETXTBSY).
        let tee = ProcessSpec::new(&Program::find("tee").unwrap()).args([&path]);
        let limit = OutputLimit::UNLIMITED;
        rt_process::capture(&tee, Source::bytes(script), limit, limit, &patience()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Asks the engine itself: exit code, stdout, stderr.
    pub(crate) fn ask(&self, words: &[&str]) -> (i32, String, String) {
        self.ask_with("", words)
    }

    /// The same with something that goes wrong.
    pub(crate) fn ask_with(&self, fault: &str, words: &[&str]) -> (i32, String, String) {
        let program = Program::find(PROGRAM).unwrap();
        let spec = ProcessSpec::new(&program)
            .env("FAKE_PODMAN_DIR", self.directory.path())
            .env("FAKE_PODMAN_PROFILE", self.profile)
            .env("FAKE_PODMAN_FAULT", fault)
            .args(words.iter().copied());
        let limit = OutputLimit::UNLIMITED;
        let answer = rt_process::capture(&spec, Source::empty(), limit, limit, &patience()).unwrap();
        (
            answer.status.and_then(rt_process::ExitStatus::code).unwrap_or(-1),
            answer.stdout_capture.text().into_owned(),
            answer.stderr_capture.text().into_owned(),
        )
    }

    /// The words of every call so far.
    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.directory.path().join("calls.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Imports the image of the tests: BusyBox where there is a static one, an empty tree
    /// otherwise.
    pub(crate) fn import(&self) -> ImageRef {
        let image = ImageRef::new("localhost/rt-fake:1").unwrap();
        let archive = match busybox() {
            Some(busybox) => busybox_image::archive(&busybox).unwrap(),
            None => tar::Builder::new(Vec::new()).into_inner().unwrap(),
        };
        let changes = [r#"CMD ["/bin/sh"]"#, "LABEL made-by=rt-fake", "ENV RT_IMAGE=image"];
        self.runtime().import_image(Cursor::new(archive), &image, &changes, &patience()).unwrap();
        image
    }

    /// The beginning of a description of a container that stays.
    pub(crate) fn spec(&self, name: &str) -> LaunchSpecBuilder {
        LaunchSpec::builder(name, self.import().as_str()).command([
            "sh",
            "-c",
            "trap 'exit 0' TERM; sleep 2000000 & wait",
        ])
    }

    /// A container that was made and not started.
    pub(crate) fn created(&self, name: &str) -> Arc<dyn Container> {
        let spec = self.spec(name).build().unwrap();
        self.runtime().create(&spec, &patience()).unwrap()
    }

    /// A running container.
    pub(crate) fn running(&self, name: &str) -> Arc<dyn Container> {
        let spec = self.spec(name).build().unwrap();
        self.runtime().launch(&spec, patience()).unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let (code, _, stderr) = self.ask(&["rm", "--force", "--all", "--time=0"]);
        if code != 0 && !std::thread::panicking() {
            eprintln!("containers are left: {stderr}");
        }
    }
}

/// A static BusyBox of this host.
pub(crate) fn busybox() -> Option<PathBuf> {
    busybox_image::find_static_busybox()
}

/// Why no command can be run here; `None` when it can.
pub(crate) fn cannot_run() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some(String::from("the fake podman runs commands in namespaces, which needs root"));
    }
    if busybox().is_none() {
        return Some(String::from("this host has no static BusyBox to make an image of"));
    }
    let engine = Engine::new("4.3.1");
    let spec = engine.spec("probe").build().ok()?;
    engine.runtime().launch(&spec, patience()).err().map(|error| error.to_string())
}
