//! What a backend tells the suite about itself. What it can do it says by its capabilities, not here.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rt_protocol::{ContainerName, ContainerRuntime, ImageRef, LaunchSpec, LaunchSpecBuilder, NamePrefix};

use crate::Need;

/// The surroundings of one run of the suite: which names it may use, which image, and what it may look at.
///
/// Everything but a prefix and an image has a default, which suits a backend that runs real commands in containers it
/// can make.
pub trait Fixture: fmt::Debug + Send + Sync {
    /// The family of every container that the suite makes. Nothing else has names of this family, or of one that
    /// begins like it.
    fn prefix(&self) -> &NamePrefix;

    /// An image that is here, with a POSIX shell and the tools that [`Script`](crate::Script) names.
    fn image(&self) -> &ImageRef;

    /// A running container that the suite may run commands in but not stop, for a backend that makes none. By default
    /// the suite makes one.
    fn standing(&self) -> Option<ContainerName> {
        None
    }

    /// Why a need cannot be met here; `None` when it can.
    fn lacks(&self, need: Need) -> Option<String> {
        let _ = need;
        None
    }

    /// Adds to the description of a container what the backend cannot do without, such as the published port by which
    /// commands get in. The suite describes every container of its image with it; nothing is added by default.
    fn equip(&self, spec: LaunchSpecBuilder) -> LaunchSpecBuilder {
        spec
    }

    /// Called before the suite starts a container that it made. A backend that runs nothing learns here what the main
    /// process is to do.
    fn before_start(&self, spec: &LaunchSpec) {
        let _ = spec;
    }

    /// Called after the suite started such a container. A backend that runs nothing lets the main process begin here, and
    /// end where its command ends by itself.
    fn after_start(&self, container: &ContainerName) {
        let _ = container;
    }

    /// How long the backend's clock has run. The suite compares it with itself alone; it is another than the system's for
    /// a backend that skips time instead of waiting.
    fn clock(&self) -> Duration {
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        BEGIN.get_or_init(Instant::now).elapsed()
    }

    /// A user of every guest who is not root, as a request names it, and its number.
    fn user(&self) -> (&'static str, u32) {
        ("1234", 1234)
    }

    /// A directory of every guest in which commands may write.
    fn scratch(&self) -> &'static str {
        "/tmp"
    }

    /// A variable that the image sets, and its value. `None` where no image has any.
    fn image_variable(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Makes an image that nobody uses, with two names, and answers one of them. The case removes both. `None` where no
    /// image can be made.
    fn image_with_two_names(&self) -> Option<ImageRef> {
        None
    }

    /// How many exec sessions the engine still holds in this container; `None` when that cannot be asked. Looked at before
    /// and after each case.
    fn exec_sessions(&self, container: &ContainerName) -> Option<usize> {
        let _ = container;
        None
    }

    /// Whether the engine is known to keep the session of a command that could not be started, as podman before 4.8 does
    /// (containers/podman#20392). Cases that are about such commands then count no sessions.
    fn keeps_sessions_of_the_unstarted(&self) -> bool {
        false
    }

    /// A runtime of the same kind whose engine cannot be asked: its program is missing, or fails.
    fn broken(&self) -> Option<Arc<dyn ContainerRuntime>> {
        None
    }
}
