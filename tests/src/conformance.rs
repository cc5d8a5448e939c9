//! The conformance suite on real podman: what the suite is told about this machine's podman.
//! Through rt-krun: `krun`.

pub mod krun;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rt_conformance::{Fixture, Need, ServedImages};
use rt_podman::PodmanRuntime;
use rt_process::{ProcessSpec, Program};
use rt_protocol::{ContainerName, ContainerRuntime, ImageRef, NamePrefix, OutputLimit, Source, Until};

use crate::ssh_lab::answer;

/// The surroundings of a run on podman.
#[derive(Debug)]
pub struct PodmanFixture {
    prefix: NamePrefix,
    image: ImageRef,
    podman: PathBuf,
    runtime: PodmanRuntime,
    lacks_cgroups: Option<&'static str>,
    registry: Option<ServedImages>,
}

impl PodmanFixture {
    /// Names of its own, containers of `image`, the podman whose records are looked
    /// into, and the runtime that is tested.
    ///
    /// # Errors
    /// Never in practice: the prefix is well-formed.
    pub fn new(podman: &Path, image: &ImageRef, runtime: &PodmanRuntime) -> rt_protocol::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Ok(Self {
            prefix: NamePrefix::new(format!(
                "rtc{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            ))?,
            image: image.clone(),
            podman: podman.to_owned(),
            runtime: runtime.clone(),
            lacks_cgroups: None,
            registry: None,
        })
    }

    /// The same where containers have no control groups of their own, for this reason.
    #[must_use]
    pub fn without_cgroups(self, reason: &'static str) -> Self {
        Self { lacks_cgroups: Some(reason), ..self }
    }

    /// The same with registries that serve this.
    #[must_use]
    pub fn with_registry(self, registry: Option<ServedImages>) -> Self {
        Self { registry, ..self }
    }
}

/// An image of this process's own, of nothing and with two names.
pub(crate) fn two_names(podman: &Path) -> Option<ImageRef> {
    let [one, other] = [1, 2].map(|tag| format!("localhost/rtc{}-two:{tag}", std::process::id()));
    let mut archive = tempfile::NamedTempFile::new().ok()?;
    archive.write_all(&[0; 1024]).ok()?;
    answer(podman, ["import", archive.path().to_str()?, &one]).ok()?;
    answer(podman, ["tag", &one, &other]).ok()?;
    ImageRef::new(one).ok()
}

impl Fixture for PodmanFixture {
    fn prefix(&self) -> &NamePrefix {
        &self.prefix
    }

    fn image(&self) -> &ImageRef {
        &self.image
    }

    fn lacks(&self, need: Need) -> Option<String> {
        self.lacks_cgroups.filter(|_| need == Need::Cgroups).map(String::from)
    }

    fn image_variable(&self) -> Option<(&'static str, &'static str)> {
        Some(("RT_IMAGE", "image"))
    }

    fn image_with_two_names(&self) -> Option<ImageRef> {
        two_names(&self.podman)
    }

    fn registry(&self) -> Option<ServedImages> {
        self.registry.clone()
    }

    /// Counts the records of commands that were started. podman 4.3 itself forgets to clean up
    /// after commands that were not: it keeps the id of one that was not found (podman#20392), and
    /// the empty record of one with an unknown user.
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

    fn release(&self) {
        // What does not end in time is counted.
        let _ = self.runtime.cool_down(&Until::after(Duration::from_secs(30)));
    }

    fn broken(&self) -> Option<Arc<dyn ContainerRuntime>> {
        let broken = PodmanRuntime::builder().binary("false").build().ok()?;
        Some(Arc::new(broken))
    }
}
