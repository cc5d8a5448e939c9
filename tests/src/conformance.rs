//! The conformance suite on real podman: what the suite is told about this machine's podman. Through rt-krun: `krun`.

pub mod krun;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rt_conformance::Fixture;
use rt_podman::PodmanRuntime;
use rt_process::{ProcessSpec, Program};
use rt_protocol::{ContainerName, ContainerRuntime, ImageRef, NamePrefix, OutputLimit, Source, Until};

/// The surroundings of a run on podman.
#[derive(Debug)]
pub struct PodmanFixture {
    prefix: NamePrefix,
    image: ImageRef,
    podman: PathBuf,
}

impl PodmanFixture {
    /// Names of this process's own, containers of `image`, and the podman whose records are looked into.
    ///
    /// # Errors
    /// Never in practice: the prefix is well-formed.
    pub fn new(podman: &Path, image: &ImageRef) -> rt_protocol::Result<Self> {
        Ok(Self {
            prefix: NamePrefix::new(format!("rtc{}", std::process::id()))?,
            image: image.clone(),
            podman: podman.to_owned(),
        })
    }
}

impl Fixture for PodmanFixture {
    fn prefix(&self) -> &NamePrefix {
        &self.prefix
    }

    fn image(&self) -> &ImageRef {
        &self.image
    }

    fn image_variable(&self) -> Option<(&'static str, &'static str)> {
        Some(("RT_IMAGE", "image"))
    }

    /// Counts the records of commands that were started. podman 4.3 itself forgets to clean up after commands that were
    /// not: it keeps the id of one that was not found (podman#20392), and the empty record of one with an unknown user.
    fn exec_sessions(&self, container: &ContainerName) -> Option<usize> {
        let podman = Program::find(&self.podman).ok()?;
        let spec = ProcessSpec::new(&podman).args([
            "container",
            "inspect",
            "--format={{.StaticDir}}",
            "--",
            container.as_str(),
        ]);
        let limit = OutputLimit::UNLIMITED;
        let until = Until::after(Duration::from_secs(30));
        let answer = rt_process::capture(&spec, Source::empty(), limit, limit, &until).ok()?;
        let directory = PathBuf::from(answer.stdout_capture.text().trim());
        let sessions = fs::read_dir(directory).ok()?.filter_map(Result::ok);
        Some(sessions.filter(|entry| entry.path().join("exec_pid").exists()).count())
    }

    fn broken(&self) -> Option<Arc<dyn ContainerRuntime>> {
        let broken = PodmanRuntime::builder().binary("false").build().ok()?;
        Some(Arc::new(broken))
    }
}
